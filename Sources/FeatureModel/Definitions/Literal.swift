/// The spellings of plain values in config and definitions. Each is `nil` for anything else.
enum Literal {
    /// Decimal digits with a sign, without leading zeros; in the range of `Int64`.
    static func integer(_ text: String) -> Int64? {
        let digits = Array(text.utf8.drop { $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "+") })
        guard text.utf8.count - digits.count <= 1, !digits.isEmpty, digits.allSatisfy(isDigit),
            digits.count == 1 || digits[0] != UInt8(ascii: "0")
        else { return nil }
        return Int64(text)
    }

    /// A finite decimal number, with an exponent or without.
    static func number(_ text: String) -> Double? {
        guard isNumber(text), let value = Double(text), value.isFinite else { return nil }
        return value
    }

    /// A finite decimal number that fits a `Float`.
    static func float(_ text: String) -> Float? {
        guard isNumber(text), let value = Float(text), value.isFinite else { return nil }
        return value
    }

    static func flag(_ text: String) -> Bool? {
        switch text {
        case "true": true
        case "false": false
        default: nil
        }
    }

    static func duration(_ text: String) -> Duration? {
        let number = text.utf8.prefix { isDigit($0) || $0 == UInt8(ascii: ".") }
        guard let first = number.first, let last = number.last, isDigit(first), isDigit(last) else { return nil }
        return Duration(spelling: text)
    }

    /// A number of bytes, plain or with `KiB`, `MiB` or `GiB`.
    static func byteCount(_ text: String) -> Int64? {
        let units: [(String, Int64)] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)]
        guard let (name, size) = units.first(where: { text.hasSuffix($0.0) }) else {
            return integer(text).flatMap { $0 < 0 ? nil : $0 }
        }
        guard let count = integer(String(text.dropLast(name.count))), count >= 0 else { return nil }
        let (bytes, overflow) = count.multipliedReportingOverflow(by: size)
        return overflow ? nil : bytes
    }

    /// Base64 with padding (RFC 4648, section 4).
    static func base64(_ text: String) -> [UInt8]? {
        let symbols = Array(text.utf8)
        guard symbols.count.isMultiple(of: 4) else { return nil }
        let padding = symbols.reversed().prefix { $0 == UInt8(ascii: "=") }.count
        guard padding <= 2 else { return nil }
        var bytes: [UInt8] = []
        var bits: UInt32 = 0
        var count = 0
        for symbol in symbols.dropLast(padding) {
            guard let value = sextet(symbol) else { return nil }
            bits = bits << 6 | value
            count += 6
            if count >= 8 {
                count -= 8
                bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
            }
        }
        let rest = bits & ((1 << UInt32(count)) - 1)
        return rest == 0 ? bytes : nil
    }

    static func isNumber(_ text: String) -> Bool {
        var rest = Array(text.utf8)[...]
        if let sign = rest.first, sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+") { rest.removeFirst() }
        let whole = rest.prefix(while: isDigit)
        rest = rest.dropFirst(whole.count)
        var fraction = 0
        if rest.first == UInt8(ascii: ".") {
            rest.removeFirst()
            fraction = rest.prefix(while: isDigit).count
            rest = rest.dropFirst(fraction)
        }
        guard !whole.isEmpty || fraction > 0 else { return false }
        if let mark = rest.first, mark | 0x20 == UInt8(ascii: "e") {
            rest.removeFirst()
            if let sign = rest.first, sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+") { rest.removeFirst() }
            let exponent = rest.prefix(while: isDigit)
            guard !exponent.isEmpty else { return false }
            rest = rest.dropFirst(exponent.count)
        }
        return rest.isEmpty
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (48...57).contains(byte) }

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
