/// What all values of a column are, found out by looking at each of them.
struct CSVColumnType {
    enum Kind: Int {
        case unknown
        case integer
        case real
        case text
    }

    private var kind = Kind.unknown
    private var hasInexactInteger = false

    /// Integers up to here, either way, are exact as REAL.
    private static let exactInteger: Int64 = 1 << 53

    /// Looks at a value. Empty ones say nothing.
    mutating func see(_ field: ArraySlice<UInt8>) {
        guard kind != .text, !field.isEmpty else { return }
        if let number = Self.integer(field) {
            if kind == .unknown { kind = .integer }
            if number > Self.exactInteger || number < -Self.exactInteger { hasInexactInteger = true }
        } else if Self.real(field) != nil {
            kind = .real
        } else {
            kind = .text
        }
    }

    /// The column's type: INTEGER or REAL where all values are, exactly; else TEXT.
    var resolved: Kind {
        switch kind {
        case .unknown: .text
        case .real where hasInexactInteger: .text
        case .integer, .real, .text: kind
        }
    }

    /// A decimal integer of 64 bits without a plus sign or leading zeros, which would be lost.
    static func integer(_ field: ArraySlice<UInt8>) -> Int64? {
        let isNegative = field.first == UInt8(ascii: "-")
        let digits = isNegative ? field.dropFirst() : field
        guard let first = digits.first, digits.count <= 19, first != UInt8(ascii: "0") || digits.count == 1,
            !(isNegative && first == UInt8(ascii: "0"))
        else { return nil }
        var value: Int64 = 0
        for byte in digits {
            guard (48...57).contains(byte) else { return nil }
            let (shifted, overflow) = value.multipliedReportingOverflow(by: 10)
            let digit = Int64(byte - 48)
            let (next, carry) =
                isNegative
                ? shifted.subtractingReportingOverflow(digit) : shifted.addingReportingOverflow(digit)
            guard !overflow, !carry else { return nil }
            value = next
        }
        return value
    }

    /// A decimal number by JSON's grammar, finite.
    static func real(_ field: ArraySlice<UInt8>) -> Double? {
        guard field.count <= 64 else { return nil }
        var rest = field
        func isDigit(_ byte: UInt8?) -> Bool { byte.map { (48...57).contains($0) } ?? false }
        if rest.first == UInt8(ascii: "-") { rest = rest.dropFirst() }
        guard isDigit(rest.first) else { return nil }
        if rest.first == UInt8(ascii: "0") {
            rest = rest.dropFirst()
        } else {
            rest = rest.drop(while: isDigit)
        }
        if rest.first == UInt8(ascii: ".") {
            guard isDigit(rest.dropFirst().first) else { return nil }
            rest = rest.dropFirst().drop(while: isDigit)
        }
        if rest.first == UInt8(ascii: "e") || rest.first == UInt8(ascii: "E") {
            rest = rest.dropFirst()
            if rest.first == UInt8(ascii: "+") || rest.first == UInt8(ascii: "-") { rest = rest.dropFirst() }
            guard isDigit(rest.first) else { return nil }
            rest = rest.drop(while: isDigit)
        }
        guard rest.isEmpty, let value = Double(String(decoding: field, as: UTF8.self)), value.isFinite else {
            return nil
        }
        return value
    }
}
