/// The type of one key column of an entity. Integers of every width share one spelling in keys.
package enum EntityKeyType: String, CaseIterable, Sendable, Codable {
    case int32
    case int64
    case string
    case bytes
}

/// One value of one key column.
package enum EntityKeyValue: Hashable, Sendable {
    case integer(Int64)
    case text(String)
    case bytes([UInt8])

    /// Of the value alone: the keys of one column are all of one kind.
    package func hash(into hasher: inout Hasher) {
        switch self {
        case .integer(let number): hasher.combine(number)
        case .text(let text): hasher.combine(text)
        case .bytes(let bytes): hasher.combine(bytes)
        }
    }
}

/// One entity of one kind, in its canonical escaped spelling.
///
/// Values are joined by `,`. An integer is its decimal digits. Text and bytes keep letters, digits, `-`, `_`, `.`, `~`,
/// `@` and `/`; every other byte is `%` and two upper-case hex digits; an empty value is `%`. The spelling is therefore
/// never empty, holds neither `{` nor `}`, and is one-to-one: two different keys of an entity never share it.
/// `schemas/keys.md` states the grammar.
package struct EntityKey: Hashable, Sendable, Comparable {
    /// The canonical spelling, ASCII, `1...EntityKey.maximumBytes` long.
    package let text: String

    /// The longest spelling accepted, in bytes.
    package static let maximumBytes = 1024

    /// Takes a spelling known to be canonical.
    package init(canonical text: String) {
        self.text = text
    }

    /// Encodes key values in the entity's order.
    ///
    /// - Returns: `nil` when there is no value or the spelling would be longer than `maximumBytes`.
    package init?(_ values: [EntityKeyValue]) {
        guard !values.isEmpty else { return nil }
        if values.count == 1, case .integer(let number) = values[0] {
            text = String(number)
            return
        }
        var spelling: [UInt8] = []
        for (index, value) in values.enumerated() {
            if index > 0 { spelling.append(UInt8(ascii: ",")) }
            switch value {
            case .integer(let number): spelling.append(contentsOf: String(number).utf8)
            case .text(let string): Self.escape(string.utf8, into: &spelling)
            case .bytes(let bytes): Self.escape(bytes, into: &spelling)
            }
            guard spelling.count <= Self.maximumBytes else { return nil }
        }
        text = String(decoding: spelling, as: UTF8.self)
    }

    package static func < (left: EntityKey, right: EntityKey) -> Bool {
        left.text.utf8.lexicographicallyPrecedes(right.text.utf8)
    }

    private static let hexDigits = Array("0123456789ABCDEF".utf8)

    /// Appends the spelling of a text or of bytes.
    package static func escape(_ bytes: some Collection<UInt8>, into spelling: inout [UInt8]) {
        guard !bytes.isEmpty else { return spelling.append(UInt8(ascii: "%")) }
        for byte in bytes {
            if isPlain(byte) {
                spelling.append(byte)
            } else {
                spelling.append(UInt8(ascii: "%"))
                spelling.append(hexDigits[Int(byte >> 4)])
                spelling.append(hexDigits[Int(byte & 15)])
            }
        }
    }

    /// Whether a byte can stand in a spelling.
    static func isOfSpelling(_ byte: UInt8) -> Bool {
        isPlain(byte) || byte == UInt8(ascii: "%") || byte == UInt8(ascii: ",")
    }

    private static func isPlain(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        case UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."), UInt8(ascii: "~"), UInt8(ascii: "@"),
            UInt8(ascii: "/"):
            true
        default: false
        }
    }
}

extension EntityKey {
    /// Decodes the spelling back into values of the given types.
    ///
    /// - Returns: `nil` when the spelling is not canonical for these types.
    package func values(of types: [EntityKeyType]) -> [EntityKeyValue]? {
        let parts = text.utf8.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false)
        guard parts.count == types.count else { return nil }
        var values: [EntityKeyValue] = []
        for (part, type) in zip(parts, types) {
            guard let value = Self.value(Array(part), of: type) else { return nil }
            values.append(value)
        }
        return EntityKey(values) == self ? values : nil
    }

    private static func value(_ part: [UInt8], of type: EntityKeyType) -> EntityKeyValue? {
        switch type {
        case .int32, .int64:
            return Int64(String(decoding: part, as: UTF8.self)).map(EntityKeyValue.integer)
        case .string:
            guard let bytes = unescape(part) else { return nil }
            return String(validating: bytes, as: UTF8.self).map(EntityKeyValue.text)
        case .bytes:
            return unescape(part).map(EntityKeyValue.bytes)
        }
    }

    private static func unescape(_ part: [UInt8]) -> [UInt8]? {
        if part == [UInt8(ascii: "%")] { return [] }
        var bytes: [UInt8] = []
        var index = 0
        while index < part.count {
            if part[index] == UInt8(ascii: "%") {
                guard index + 2 < part.count, let high = nibble(part[index + 1]), let low = nibble(part[index + 2])
                else { return nil }
                bytes.append(high << 4 | low)
                index += 3
            } else {
                bytes.append(part[index])
                index += 1
            }
        }
        return bytes
    }

    private static func nibble(_ byte: UInt8) -> UInt8? {
        hexDigits.firstIndex(of: byte).map { UInt8($0) }
    }
}
