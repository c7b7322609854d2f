/// RFC 8259 once more, by other means than the daemon's own: what a parser here accepts must be JSON, and so must every body that
/// is answered.
struct StrictJSON {
    private let bytes: ArraySlice<UInt8>
    private var index: Int

    private init(_ bytes: ArraySlice<UInt8>) {
        self.bytes = bytes
        index = bytes.startIndex
    }

    /// Whether the bytes are one value of JSON, in UTF-8.
    static func accepts(_ bytes: ArraySlice<UInt8>) -> Bool {
        guard String(validating: bytes, as: UTF8.self) != nil else { return false }
        var reader = StrictJSON(bytes)
        return reader.document()
    }

    private var next: UInt8? { index < bytes.endIndex ? bytes[index] : nil }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard next == byte else { return false }
        index += 1
        return true
    }

    private mutating func blanks() {
        while let byte = next, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { index += 1 }
    }

    /// Without calling itself, so that depth costs no stack.
    private mutating func document() -> Bool {
        var open: [UInt8] = []
        while true {
            blanks()
            switch next {
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                let isObject = next == UInt8(ascii: "{")
                index += 1
                blanks()
                if take(isObject ? UInt8(ascii: "}") : UInt8(ascii: "]")) { break }
                open.append(isObject ? UInt8(ascii: "}") : UInt8(ascii: "]"))
                if isObject, !name() { return false }
                continue
            case UInt8(ascii: "\""): if !string() { return false }
            default: if !word() && !number() { return false }
            }
            // A value has ended: so may those around it.
            while true {
                blanks()
                guard let closing = open.last else { return index == bytes.endIndex }
                if take(UInt8(ascii: ",")) {
                    blanks()
                    if closing == UInt8(ascii: "}"), !name() { return false }
                    break
                }
                guard take(closing) else { return false }
                open.removeLast()
            }
        }
    }

    private mutating func name() -> Bool {
        guard string() else { return false }
        blanks()
        return take(UInt8(ascii: ":"))
    }

    private mutating func string() -> Bool {
        guard take(UInt8(ascii: "\"")) else { return false }
        while let byte = next {
            index += 1
            switch byte {
            case UInt8(ascii: "\""): return true
            case 0..<0x20: return false
            case UInt8(ascii: "\\"): if !escape() { return false }
            default: break
            }
        }
        return false
    }

    private mutating func escape() -> Bool {
        guard let byte = next else { return false }
        index += 1
        guard byte == UInt8(ascii: "u") else { return Array("\"\\/bfnrt".utf8).contains(byte) }
        for _ in 0..<4 {
            guard let digit = next, Character(UnicodeScalar(digit)).isHexDigit else { return false }
            index += 1
        }
        return true
    }

    private mutating func word() -> Bool {
        for word in ["true", "false", "null"] where bytes[index...].starts(with: word.utf8) {
            index += word.utf8.count
            return true
        }
        return false
    }

    private mutating func digits() -> Int {
        let start = index
        while let byte = next, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) { index += 1 }
        return index - start
    }

    private mutating func number() -> Bool {
        _ = take(UInt8(ascii: "-"))
        if !take(UInt8(ascii: "0")), digits() == 0 { return false }
        if take(UInt8(ascii: ".")), digits() == 0 { return false }
        if take(UInt8(ascii: "e")) || take(UInt8(ascii: "E")) {
            if !take(UInt8(ascii: "+")) { _ = take(UInt8(ascii: "-")) }
            if digits() == 0 { return false }
        }
        return true
    }
}
