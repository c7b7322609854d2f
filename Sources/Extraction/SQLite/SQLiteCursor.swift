import FeatureModel
import LocalDatabase

/// A place in the order of a watermark column, as a cursor's text.
///
/// `start` is before everything. `end:…` is the last row of a finished run, `mid:…` the last row of a page inside a run:
/// a run that begins at either steps back by the lookback, one that goes on from its own `mid:` does not. Behind the
/// colon stand the watermark and the tie-breakers, joined by `,`: `i42` an integer, `r…` a real number, `t…` text, `x…` a
/// blob in hex, `n` null. In text, `%` and two hex digits stand for any byte; `%`, `,` and what is not printable ASCII
/// are written so.
struct SQLiteCursor: Hashable, Sendable {
    enum Place: String, Sendable {
        case start
        case mid
        case end
    }

    var place: Place
    /// The watermark and its tie-breakers; empty at the start.
    var position: [SQLiteValue]

    static let start = SQLiteCursor(place: .start, position: [])

    init(place: Place, position: [SQLiteValue]) {
        self.place = place
        self.position = position
    }

    /// - Throws: `misconfigured` when the text is no cursor of this kind with `width` values.
    init(_ cursor: ChangeCursor, width: Int) throws(ExtractionError) {
        if cursor.text == Place.start.rawValue || cursor.text.isEmpty {
            self = .start
            return
        }
        let parts = cursor.text.split(separator: ":", maxSplits: 1)
        guard parts.count == 2, let place = Place(rawValue: String(parts[0])), place != .start else {
            throw Self.refusal(cursor)
        }
        var position: [SQLiteValue] = []
        for field in parts[1].split(separator: ",", omittingEmptySubsequences: false) {
            guard let value = Self.value(field) else { throw Self.refusal(cursor) }
            position.append(value)
        }
        guard position.count == width else { throw Self.refusal(cursor) }
        self.init(place: place, position: position)
    }

    private static func refusal(_ cursor: ChangeCursor) -> ExtractionError {
        ExtractionError(
            .misconfigured, "the cursor is not one of this source",
            detail: "'\(cursor.text.prefix(100))': expected start, end:… or mid:… with the view's watermark columns")
    }

    /// The text form.
    var text: String {
        guard place != .start else { return place.rawValue }
        return place.rawValue + ":" + position.map(Self.field).joined(separator: ",")
    }

    private static func field(_ value: SQLiteValue) -> String {
        switch value {
        case .null: "n"
        case .integer(let number): "i\(number)"
        case .real(let number): "r\(number)"
        case .text(let text): "t" + escape(text)
        case .blob(let bytes): "x" + bytes.map(hex).joined()
        }
    }

    private static func hex(_ byte: UInt8) -> String {
        (byte < 16 ? "0" : "") + String(byte, radix: 16)
    }

    private static func escape(_ text: String) -> String {
        var result = ""
        for byte in text.utf8 {
            if byte > 0x20, byte < 0x7f, byte != UInt8(ascii: "%"), byte != UInt8(ascii: ",") {
                result.unicodeScalars.append(Unicode.Scalar(byte))
            } else {
                result += "%" + hex(byte)
            }
        }
        return result
    }

    private static func value(_ field: Substring) -> SQLiteValue? {
        let body = field.dropFirst()
        switch field.first {
        case "n": return body.isEmpty ? .null : nil
        case "i": return Int64(body).map(SQLiteValue.integer)
        case "r": return Double(body).map(SQLiteValue.real)
        case "t": return unescape(body).flatMap { String(validating: $0, as: UTF8.self) }.map(SQLiteValue.text)
        case "x": return blob(body).map(SQLiteValue.blob)
        default: return nil
        }
    }

    private static func unescape(_ text: Substring) -> [UInt8]? {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%") {
                guard rest.count >= 2, let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
                else { return nil }
                bytes.append(value)
                rest = rest.dropFirst(2)
            } else {
                bytes.append(byte)
            }
        }
        return bytes
    }

    private static func blob(_ text: Substring) -> [UInt8]? {
        let digits = Array(text.utf8)
        guard digits.count % 2 == 0 else { return nil }
        var bytes: [UInt8] = []
        for start in stride(from: 0, to: digits.count, by: 2) {
            guard let byte = UInt8(String(decoding: digits[start..<start + 2], as: UTF8.self), radix: 16) else {
                return nil
            }
            bytes.append(byte)
        }
        return bytes
    }
}

/// A place in the change log: `seq:42`, or `seq:42@1700000000000000` with the time (microseconds) of the entry it stands
/// on, by which an older copy of the file is known even when its log has grown past the cursor again.
struct SQLiteLogCursor: Hashable, Sendable {
    var sequence: Int64
    var loggedAt: Int64?

    init(sequence: Int64, loggedAt: Int64?) {
        self.sequence = sequence
        self.loggedAt = loggedAt
    }

    /// - Throws: `misconfigured` when the text is no such cursor.
    init(_ cursor: ChangeCursor) throws(ExtractionError) {
        let parts = cursor.text.dropFirst(4).split(separator: "@", omittingEmptySubsequences: false)
        guard cursor.text.hasPrefix("seq:"), (1...2).contains(parts.count), let sequence = Int64(parts[0]),
            sequence >= 0
        else {
            throw ExtractionError(
                .misconfigured, "the cursor is not one of this source",
                detail: "'\(cursor.text.prefix(100))': expected seq:NUMBER")
        }
        self.sequence = sequence
        loggedAt = parts.count == 2 ? Int64(parts[1]) : nil
    }

    /// The text form.
    var text: String {
        loggedAt.map { "seq:\(sequence)@\($0)" } ?? "seq:\(sequence)"
    }
}
