/// A string as it stands in a JSON text: between its quotes, checked.
struct JSONText {
    let range: Range<Int>
    let isEscaped: Bool

    /// The string.
    func string(_ bytes: RawSpan) -> String {
        guard isEscaped else { return String(copying: bytes, range) }
        var text: [UInt8] = []
        append(bytes, to: &text)
        return String(decoding: text, as: UTF8.self)
    }

    /// Appends the string's UTF-8.
    func append(_ bytes: RawSpan, to text: inout [UInt8]) {
        guard isEscaped else { return bytes.append(range, to: &text) }
        var place = range.lowerBound
        while place < range.upperBound {
            let byte = JSONCursor.byte(bytes, place)
            if byte == UInt8(ascii: "\\"), let (scalar, length) = Self.escape(bytes, at: place) {
                text.append(contentsOf: Unicode.UTF8.encode(scalar) ?? Unicode.UTF8.encodedReplacementCharacter)
                place += length
            } else {
                text.append(byte)
                place += 1
            }
        }
    }

    /// Whether it spells `word`.
    func equals(_ word: StaticString, _ bytes: RawSpan) -> Bool {
        isEscaped ? string(bytes) == "\(word)" : bytes.holds(word, at: range)
    }

    /// Whether it spells the UTF-8 of `word`.
    func equals(_ word: [UInt8], _ bytes: RawSpan) -> Bool {
        guard !isEscaped else {
            var text: [UInt8] = []
            append(bytes, to: &text)
            return text == word
        }
        guard range.count == word.count else { return false }
        for place in range where JSONCursor.byte(bytes, place) != word[place - range.lowerBound] { return false }
        return true
    }

    // MARK: Pieces

    /// The scalar that the escape at `place` means, and how many bytes it has; two escapes where it is a surrogate pair.
    static func escape(_ bytes: RawSpan, at place: Int) -> (Unicode.Scalar, length: Int)? {
        switch JSONCursor.byte(bytes, place + 1) {
        case UInt8(ascii: "\""): return ("\"", 2)
        case UInt8(ascii: "\\"): return ("\\", 2)
        case UInt8(ascii: "/"): return ("/", 2)
        case UInt8(ascii: "b"): return ("\u{08}", 2)
        case UInt8(ascii: "f"): return ("\u{0C}", 2)
        case UInt8(ascii: "n"): return ("\n", 2)
        case UInt8(ascii: "r"): return ("\r", 2)
        case UInt8(ascii: "t"): return ("\t", 2)
        case UInt8(ascii: "u"): break
        default: return nil
        }
        guard let unit = codeUnit(bytes, at: place + 2) else { return nil }
        if let scalar = Unicode.Scalar(unit) { return (scalar, 6) }
        guard unit < 0xDC00, JSONCursor.byte(bytes, place + 6) == UInt8(ascii: "\\"),
            JSONCursor.byte(bytes, place + 7) == UInt8(ascii: "u"), let low = codeUnit(bytes, at: place + 8),
            (0xDC00...0xDFFF).contains(low),
            let scalar = Unicode.Scalar(0x10000 + (UInt32(unit) - 0xD800) << 10 + (UInt32(low) - 0xDC00))
        else { return nil }
        return (scalar, 12)
    }

    private static func codeUnit(_ bytes: RawSpan, at place: Int) -> UInt16? {
        var unit: UInt16 = 0
        for offset in 0..<4 {
            let digit: UInt8
            switch JSONCursor.byte(bytes, place + offset) {
            case let byte where byte &- UInt8(ascii: "0") < 10: digit = byte - UInt8(ascii: "0")
            case let byte where (byte | 0x20) &- UInt8(ascii: "a") < 6: digit = (byte | 0x20) - UInt8(ascii: "a") + 10
            default: return nil
            }
            unit = unit << 4 | UInt16(digit)
        }
        return unit
    }

    /// How many bytes the scalar at `place` has, 2 to 4, where its UTF-8 is well-formed (Unicode 16, table 3-7).
    static func scalarLength(_ bytes: RawSpan, at place: Int) -> Int? {
        let second = JSONCursor.byte(bytes, place + 1)
        let isSecond: Bool
        let length: Int
        switch JSONCursor.byte(bytes, place) {
        case 0xC2...0xDF: (isSecond, length) = (second & 0xC0 == 0x80, 2)
        case 0xE0: (isSecond, length) = ((0xA0...0xBF).contains(second), 3)
        case 0xED: (isSecond, length) = ((0x80...0x9F).contains(second), 3)
        case 0xE1...0xEF: (isSecond, length) = (second & 0xC0 == 0x80, 3)
        case 0xF0: (isSecond, length) = ((0x90...0xBF).contains(second), 4)
        case 0xF1...0xF3: (isSecond, length) = (second & 0xC0 == 0x80, 4)
        case 0xF4: (isSecond, length) = ((0x80...0x8F).contains(second), 4)
        default: return nil
        }
        guard isSecond else { return nil }
        for offset in 2..<max(2, length) where JSONCursor.byte(bytes, place + offset) & 0xC0 != 0x80 { return nil }
        return length
    }
}

extension RawSpan {
    /// Whether `range`, which lies inside, holds exactly the UTF-8 of `word`.
    func holds(_ word: StaticString, at range: Range<Int>) -> Bool {
        guard word.utf8CodeUnitCount == range.count else { return false }
        for place in range {
            // In bounds: the counts are equal.
            let byte = unsafe word.utf8Start[place - range.lowerBound]
            if JSONCursor.byte(self, place) != byte { return false }
        }
        return true
    }

    /// Appends the bytes of `range`, which lies inside.
    func append(_ range: Range<Int>, to bytes: inout [UInt8]) {
        unsafe extracting(range).withUnsafeBytes { unsafe bytes.append(contentsOf: $0) }
    }
}

extension String {
    /// The UTF-8 of `range`, which lies inside the bytes; what is not UTF-8 becomes U+FFFD.
    init(copying bytes: RawSpan, _ range: Range<Int>) {
        self = unsafe bytes.extracting(range).withUnsafeBytes { unsafe String(decoding: $0, as: UTF8.self) }
    }
}
