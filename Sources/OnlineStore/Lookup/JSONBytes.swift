package import FeatureModel

/// Appends JSON to bytes: for what is not on the path of a lookup.
package struct JSONBytes {
    package private(set) var bytes: [UInt8] = []

    package init() {}

    /// Text that is JSON already.
    package mutating func raw(_ text: String) {
        bytes.append(contentsOf: text.utf8)
    }

    /// Elements with commas between them.
    package mutating func list<Element>(_ elements: [Element], _ write: (inout JSONBytes, Element) -> Void) {
        for (index, element) in elements.enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: ",")) }
            write(&self, element)
        }
    }

    /// A quoted string, escaped as RFC 8259 asks.
    package mutating func string(_ text: String) {
        let utf8 = Array(text.utf8)
        write(6 * utf8.count + 2) { cursor in
            unsafe utf8.withUnsafeBytes { unsafe cursor.string($0, isPlain: false) }
        }
    }

    /// A feature value as `/v1/lookup` spells it: 64-bit integers as numbers, bytes as Base64, timestamps as RFC 3339, numbers
    /// that JSON lacks as strings.
    package mutating func value(_ value: FeatureValue) {
        switch value {
        case .null: raw("null")
        case .bool(let flag): raw(flag ? "true" : "false")
        case .int32(let number): write(NumberText.integerBytes) { $0.integer(Int64(number)) }
        case .int64(let number): write(NumberText.integerBytes) { $0.integer(number) }
        case .float32(let number): write(NumberText.doubleBytes) { $0.float(number) }
        case .float64(let number): write(NumberText.doubleBytes) { $0.double(number) }
        case .string(let text): string(text)
        case .bytes(let bytes):
            write(bytes.count / 3 * 4 + 6) { cursor in
                unsafe bytes.withUnsafeBytes { unsafe cursor.base64($0) }
            }
        case .timestamp(let microseconds): write(JSONBound.timestamp) { $0.timestamp(microseconds) }
        case .list(let elements): list(elements, in: { $0.value($1) })
        case .vector(let elements): list(elements, in: { $0.value(.float32($1)) })
        }
    }

    /// A feature value as Feast's server spells it: floats widened to doubles, timestamps as whole seconds.
    mutating func feastValue(_ value: FeatureValue) {
        switch value {
        case .float32(let number): self.value(.float64(Double(number)))
        case .timestamp(let microseconds): self.value(.int64(FeastTime.seconds(microseconds)))
        case .list(let elements): list(elements, in: { $0.feastValue($1) })
        case .vector(let elements): list(elements, in: { $0.feastValue(.float32($1)) })
        default: self.value(value)
        }
    }

    private mutating func list<Element>(
        _ elements: [Element], in write: (inout JSONBytes, Element) -> Void
    ) {
        raw("[")
        list(elements, write)
        raw("]")
    }

    private mutating func write(_ bound: Int, _ body: (inout JSONWriter) -> Void) {
        Self.write(bound, to: &bytes, body)
    }

    /// Appends at most `bound` bytes, as many as `body` writes.
    @inline(__always)
    static func write(_ bound: Int, to bytes: inout [UInt8], _ body: (inout JSONWriter) -> Void) {
        bytes.append(addingCapacity: bound) { output in
            _ = unsafe output.withUnsafeMutableBufferPointer { buffer, count in
                let room = unsafe UnsafeMutableRawBufferPointer(
                    rebasing: UnsafeMutableRawBufferPointer(buffer)[count...])
                var cursor = unsafe JSONWriter(room)
                body(&cursor)
                count += unsafe cursor.count(from: room)
            }
        }
    }
}

/// How Feast tells time in values.
enum FeastTime {
    /// Whole seconds since 1970, rounded down.
    @inline(__always)
    static func seconds(_ microseconds: Int64) -> Int64 {
        microseconds / 1_000_000 - (microseconds % 1_000_000 < 0 ? 1 : 0)
    }
}

/// RFC 4648 Base64 with padding.
enum Base64 {
    private static let alphabet: StaticString = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

    /// The symbol of the six lowest bits.
    @inline(__always)
    static func symbol(_ bits: UInt32) -> UInt8 { unsafe alphabet.utf8Start[Int(bits & 63)] }

    /// `nil` when the text is not canonical Base64 with padding.
    static func decode(_ text: ArraySlice<UInt8>) -> [UInt8]? {
        guard text.count.isMultiple(of: 4) else { return nil }
        let padding = text.suffix(2).reversed().prefix { $0 == UInt8(ascii: "=") }.count
        var bytes: [UInt8] = []
        var (bits, count): (UInt32, UInt32) = (0, 0)
        for symbol in text.dropLast(padding) {
            guard let value = sextet(symbol) else { return nil }
            bits = bits << 6 | value
            count += 6
            if count >= 8 {
                count -= 8
                bytes.append(UInt8(truncatingIfNeeded: bits >> count))
            }
        }
        return bits & (1 << count - 1) == 0 ? bytes : nil
    }

    private static func sextet(_ symbol: UInt8) -> UInt32? {
        switch symbol {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(symbol - UInt8(ascii: "A"))
        case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(symbol - UInt8(ascii: "a")) + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(symbol - UInt8(ascii: "0")) + 52
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }
}
