/// A place in a JSON text (RFC 8259), strictly read: UTF-8 only, no NaN, no comments, no lone surrogates, nothing behind
/// the value. It owns nothing and allocates nothing: each call is given the bytes, and they must be the same ones.
///
/// Blanks are skipped before a value and behind it, so between two calls the cursor is at a value, a name or a bracket.
struct JSONCursor {
    /// Where it is, in bytes; never beyond the end.
    private(set) var index: Int
    private var depth = 0
    private let maximumDepth: Int

    /// The deepest nesting that can be allowed: `skipValue` keeps a bit a level.
    static let deepest = 64

    init(at index: Int = 0, maximumDepth: Int) {
        self.index = index
        self.maximumDepth = min(maximumDepth, Self.deepest)
    }

    /// What kind of value the cursor is at, by its first byte.
    enum Kind {
        case object
        case array
        case string
        case number
        case literal
        /// No value begins here.
        case none
    }

    // MARK: Bytes

    /// The byte at `index`, or 0 at the end. A real NUL is allowed nowhere in JSON, so the two need not be told apart.
    @inline(__always)
    static func byte(_ bytes: RawSpan, _ index: Int) -> UInt8 {
        guard index < bytes.byteCount else { return 0 }
        // In bounds: `index` counts up from a place that is not negative.
        return unsafe bytes.unsafeLoad(fromUncheckedByteOffset: index, as: UInt8.self)
    }

    /// Moves over blanks.
    @inline(__always)
    mutating func skipBlanks(_ bytes: RawSpan) {
        while true {
            switch Self.byte(bytes, index) {
            case 0x20, 0x0A, 0x0D, 0x09: index += 1
            default: return
            }
        }
    }

    func fault(_ bytes: RawSpan, _ what: String, at place: Int? = nil) -> WireError {
        let place = place ?? index
        let reason = place >= bytes.byteCount ? "the text ends too early" : what
        return WireError(.invalidJSON, "not JSON: \(reason), at byte \(place)", offset: place)
    }

    // MARK: Structure

    /// The kind of the value here.
    mutating func kind(_ bytes: RawSpan) -> Kind {
        skipBlanks(bytes)
        return switch Self.byte(bytes, index) {
        case UInt8(ascii: "{"): .object
        case UInt8(ascii: "["): .array
        case UInt8(ascii: "\""): .string
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): .number
        case UInt8(ascii: "t"), UInt8(ascii: "f"), UInt8(ascii: "n"): .literal
        default: .none
        }
    }

    /// Enters an object or array; the cursor must be at its bracket. `false` when it is empty, and left again.
    mutating func enter(_ bytes: RawSpan) throws(WireError) -> Bool {
        let close = Self.byte(bytes, index) &+ 2
        guard depth < maximumDepth else {
            throw WireError(.invalidJSON, "nested deeper than \(maximumDepth) levels, at byte \(index)", offset: index)
        }
        index += 1
        skipBlanks(bytes)
        guard Self.byte(bytes, index) != close else {
            index += 1
            return false
        }
        depth += 1
        return true
    }

    /// Behind a member or element: whether another follows. The bracket that closes is consumed.
    mutating func hasMore(_ bytes: RawSpan, in kind: Kind) throws(WireError) -> Bool {
        skipBlanks(bytes)
        let next = Self.byte(bytes, index)
        if next == UInt8(ascii: ",") {
            index += 1
            skipBlanks(bytes)
            return true
        }
        guard next == (kind == .object ? UInt8(ascii: "}") : UInt8(ascii: "]")) else {
            throw fault(bytes, kind == .object ? "a comma or } is missing" : "a comma or ] is missing")
        }
        index += 1
        depth -= 1
        return false
    }

    /// Reads a member's name and its colon.
    mutating func name(_ bytes: RawSpan) throws(WireError) -> JSONText {
        guard Self.byte(bytes, index) == UInt8(ascii: "\"") else { throw fault(bytes, "a name in quotes is missing") }
        let name = try string(bytes)
        skipBlanks(bytes)
        guard Self.byte(bytes, index) == UInt8(ascii: ":") else { throw fault(bytes, "a colon is missing") }
        index += 1
        skipBlanks(bytes)
        return name
    }

    /// Requires that nothing but blanks is left.
    mutating func end(_ bytes: RawSpan) throws(WireError) {
        skipBlanks(bytes)
        guard index == bytes.byteCount else { throw fault(bytes, "something follows the value") }
    }

    // MARK: Values

    /// Checks the value here and moves behind it.
    mutating func skipValue(_ bytes: RawSpan) throws(WireError) {
        // One bit a level, the innermost lowest: 1 for an object.
        var levels: UInt64 = 0
        var open = 0
        while true {
            let kind = kind(bytes)
            if kind == .object || kind == .array {
                if try enter(bytes) {
                    levels = levels << 1 | (kind == .object ? 1 : 0)
                    open += 1
                    if kind == .object { _ = try name(bytes) }
                    continue
                }
            } else {
                try skipScalar(bytes, kind)
            }
            while open > 0, try !hasMore(bytes, in: levels & 1 == 1 ? .object : .array) {
                levels >>= 1
                open -= 1
            }
            if open == 0 { return }
            if levels & 1 == 1 { _ = try name(bytes) }
        }
    }

    /// Checks the value here and returns where it lies.
    mutating func valueRange(_ bytes: RawSpan) throws(WireError) -> Range<Int> {
        skipBlanks(bytes)
        let start = index
        try skipValue(bytes)
        return start..<index
    }

    private mutating func skipScalar(_ bytes: RawSpan, _ kind: Kind) throws(WireError) {
        switch kind {
        case .string: _ = try string(bytes)
        case .number: _ = try number(bytes)
        case .literal: _ = try literal(bytes)
        case .object, .array, .none: throw fault(bytes, "no value begins here")
        }
    }

    /// `true`, `false`, or `nil` for `null`.
    mutating func literal(_ bytes: RawSpan) throws(WireError) -> Bool? {
        switch Self.byte(bytes, index) {
        case UInt8(ascii: "t"):
            try word("true", bytes)
            return true
        case UInt8(ascii: "f"):
            try word("false", bytes)
            return false
        default:
            try word("null", bytes)
            return nil
        }
    }

    private mutating func word(_ word: StaticString, _ bytes: RawSpan) throws(WireError) {
        guard bytes.holds(word, at: index..<min(index + word.utf8CodeUnitCount, bytes.byteCount)) else {
            throw fault(bytes, "no value begins here")
        }
        index += word.utf8CodeUnitCount
    }

    /// Reads a number; the cursor must be at one.
    mutating func number(_ bytes: RawSpan) throws(WireError) -> JSONNumber {
        let start = index
        let isNegative = Self.byte(bytes, index) == UInt8(ascii: "-")
        if isNegative { index += 1 }
        let firstDigit = index
        // Counted below zero, where Int64 reaches one further.
        var value: Int64 = 0
        var fits = true
        while case let digit = Self.byte(bytes, index) &- UInt8(ascii: "0"), digit < 10 {
            let (product, overflow1) = value.multipliedReportingOverflow(by: 10)
            let (sum, overflow2) = product.subtractingReportingOverflow(Int64(digit))
            fits = fits && !overflow1 && !overflow2
            value = sum
            index += 1
        }
        guard index > firstDigit else { throw fault(bytes, "a digit is missing") }
        guard index == firstDigit + 1 || Self.byte(bytes, firstDigit) != UInt8(ascii: "0") else {
            throw fault(bytes, "a number begins with 0", at: firstDigit)
        }
        var isIntegral = true
        if Self.byte(bytes, index) == UInt8(ascii: ".") {
            index += 1
            isIntegral = false
            try digits(bytes)
        }
        if Self.byte(bytes, index) | 0x20 == UInt8(ascii: "e") {
            index += 1
            isIntegral = false
            let sign = Self.byte(bytes, index)
            if sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") { index += 1 }
            try digits(bytes)
        }
        if !isNegative { fits = fits && value != .min }
        let integer = isIntegral && fits ? (isNegative ? value : -value) : nil
        return JSONNumber(range: start..<index, integer: integer, isIntegral: isIntegral)
    }

    private mutating func digits(_ bytes: RawSpan) throws(WireError) {
        let start = index
        while case let digit = Self.byte(bytes, index) &- UInt8(ascii: "0"), digit < 10 { index += 1 }
        guard index > start else { throw fault(bytes, "a digit is missing") }
    }

    /// Reads a string; the cursor must be at its quote.
    mutating func string(_ bytes: RawSpan) throws(WireError) -> JSONText {
        let start = index + 1
        var place = start
        var isEscaped = false
        while true {
            let byte = Self.byte(bytes, place)
            if byte >= 0x20, byte < 0x80, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\") {
                place += 1
                continue
            }
            switch byte {
            case UInt8(ascii: "\""):
                index = place + 1
                return JSONText(range: start..<place, isEscaped: isEscaped)
            case UInt8(ascii: "\\"):
                isEscaped = true
                guard let (_, length) = JSONText.escape(bytes, at: place) else {
                    throw fault(bytes, "an escape is wrong", at: place)
                }
                place += length
            case 0..<0x20: throw fault(bytes, "a control character stands in a string", at: place)
            default:
                guard let length = JSONText.scalarLength(bytes, at: place) else {
                    throw fault(bytes, "a string is not UTF-8", at: place)
                }
                place += length
            }
        }
    }
}

/// A number as it stands in a JSON text.
struct JSONNumber {
    let range: Range<Int>
    /// Its value, where it is written as an integer and fits.
    let integer: Int64?
    /// Whether it has neither fraction nor exponent.
    let isIntegral: Bool

    /// More digits than any double needs (767 tell all of them apart).
    private static let longest = 1_024

    /// Its nearest double; `nil` beyond the range of doubles, and when it is written absurdly long.
    func double(_ bytes: RawSpan) -> Double? {
        if let integer { return Double(integer) }
        guard range.count <= Self.longest, let value = Double(String(copying: bytes, range)), value.isFinite else {
            return nil
        }
        return value
    }
}
