/// RFC 4648 Base64, as JSON carries bytes.
enum Base64 {
    /// Appends what a string means; `false`, with `bytes` as they were, when it is not padded Base64 in its one spelling.
    static func decode(_ text: JSONText, _ body: RawSpan, into bytes: inout [UInt8]) -> Bool {
        guard text.isEscaped else { return decode(body.extracting(text.range), into: &bytes) }
        var plain: [UInt8] = []
        text.append(body, to: &plain)
        return decode(unsafe plain.span.bytes, into: &bytes)
    }

    private static func decode(_ text: RawSpan, into bytes: inout [UInt8]) -> Bool {
        guard text.byteCount % 4 == 0 else { return false }
        let start = bytes.count
        var place = 0
        while place < text.byteCount {
            var bits: UInt32 = 0
            var padding = 0
            for offset in place..<place + 4 {
                let byte = JSONCursor.byte(text, offset)
                if byte == UInt8(ascii: "="), place + 4 == text.byteCount, offset >= place + 2 {
                    padding += 1
                    bits <<= 6
                } else if padding == 0, let digit = digit(byte) {
                    bits = bits << 6 | UInt32(digit)
                } else {
                    bytes.removeSubrange(start...)
                    return false
                }
            }
            guard bits & ((1 << (8 * UInt32(padding))) - 1) == 0 else {
                bytes.removeSubrange(start...)
                return false
            }
            for index in 0..<3 - padding { bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(16 - 8 * index))) }
            place += 4
        }
        return true
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): byte - UInt8(ascii: "A")
        case UInt8(ascii: "a")...UInt8(ascii: "z"): byte - UInt8(ascii: "a") + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0") + 52
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }
}
