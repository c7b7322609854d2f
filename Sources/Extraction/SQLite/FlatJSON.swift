import FeatureModel

/// Flat JSON arrays (RFC 8259), strictly: no nesting, no nulls, elements of one type, nothing behind the bracket.
enum FlatJSON {
    /// Elements of a list feature; `nil` when the text is anything else. Bytes are base64 strings; timestamps are RFC 3339
    /// strings or integers in microseconds.
    static func list(_ text: [UInt8], of type: ScalarType) -> [FeatureValue]? {
        var values: [FeatureValue] = []
        var cursor = Cursor(text)
        let isWhole = cursor.array { cursor in
            guard let value = element(&cursor, type) else { return false }
            values.append(value)
            return true
        }
        return isWhole ? values : nil
    }

    /// Elements of a vector; `nil` when the text is not an array of numbers.
    static func vector(_ text: [UInt8]) -> [Float]? {
        var values: [Float] = []
        var cursor = Cursor(text)
        let isWhole = cursor.array { cursor in
            guard let number = cursor.number(), let value = Double(number) else { return false }
            values.append(Float(value))
            return true
        }
        return isWhole ? values : nil
    }

    private static func element(_ cursor: inout Cursor, _ type: ScalarType) -> FeatureValue? {
        switch type {
        case .bool: return cursor.boolean().map(FeatureValue.bool)
        case .int32: return cursor.number().flatMap { Int32($0) }.map(FeatureValue.int32)
        case .int64: return cursor.number().flatMap { Int64($0) }.map(FeatureValue.int64)
        case .float32:
            guard let value = cursor.number().flatMap({ Double($0) }), Float(value).isFinite else { return nil }
            return .float32(Float(value))
        case .float64:
            guard let value = cursor.number().flatMap({ Double($0) }), value.isFinite else { return nil }
            return .float64(value)
        case .string: return cursor.string().map(FeatureValue.string)
        case .bytes: return cursor.string().flatMap(base64).map(FeatureValue.bytes)
        case .timestamp:
            if cursor.next == UInt8(ascii: "\"") {
                return cursor.string().flatMap(Timestamps.parse).map(FeatureValue.timestamp)
            }
            guard let micros = cursor.number().flatMap({ Int64($0) }), Timestamps.range.contains(micros) else {
                return nil
            }
            return .timestamp(micros)
        }
    }

    /// RFC 4648 base64 with padding.
    static func base64(_ text: String) -> [UInt8]? {
        let digits = Array(text.utf8)
        guard digits.count % 4 == 0 else { return nil }
        let padding = digits.suffix(2).filter { $0 == UInt8(ascii: "=") }.count
        guard padding < 2 || digits[digits.count - 2] == UInt8(ascii: "=") else { return nil }
        var bytes: [UInt8] = []
        var bits: UInt32 = 0
        var count = 0
        for digit in digits.dropLast(padding) {
            guard let value = sextet(digit) else { return nil }
            bits = bits << 6 | UInt32(value)
            count += 6
            if count >= 8 {
                count -= 8
                bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
            }
        }
        return bits & (1 << UInt32(count) - 1) == 0 ? bytes : nil
    }

    private static func sextet(_ digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): digit - 65
        case UInt8(ascii: "a")...UInt8(ascii: "z"): digit - 71
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit + 4
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }

    /// A place in the text. Every step checks the end.
    struct Cursor {
        private let text: [UInt8]
        private var index = 0

        init(_ text: [UInt8]) {
            self.text = text
        }

        /// The byte that comes next; `nil` at the end.
        var next: UInt8? { index < text.count ? text[index] : nil }

        private mutating func take(_ character: Unicode.Scalar) -> Bool {
            guard next == UInt8(ascii: character) else { return false }
            index += 1
            return true
        }

        private mutating func skipBlanks() {
            while let byte = next, byte == 0x20 || byte == 0x09 || byte == 0x0a || byte == 0x0d { index += 1 }
        }

        /// Reads an array that is the whole text; `element` returns whether it read one.
        mutating func array(_ element: (inout Cursor) -> Bool) -> Bool {
            skipBlanks()
            guard take("[") else { return false }
            skipBlanks()
            if !take("]") {
                repeat {
                    skipBlanks()
                    guard element(&self) else { return false }
                    skipBlanks()
                } while take(",")
                guard take("]") else { return false }
            }
            skipBlanks()
            return next == nil
        }

        mutating func boolean() -> Bool? {
            if takeWord("true") { return true }
            return takeWord("false") ? false : nil
        }

        private mutating func takeWord(_ word: StaticString) -> Bool {
            let start = index
            for scalar in word.description.unicodeScalars where !take(scalar) {
                index = start
                return false
            }
            return true
        }

        /// The text of a number by JSON's grammar.
        mutating func number() -> String? {
            let start = index
            _ = take("-")
            if !take("0") { guard digits() else { return nil } }
            if take(".") { guard digits() else { return nil } }
            if take("e") || take("E") {
                if !take("+") { _ = take("-") }
                guard digits() else { return nil }
            }
            var characters: [UInt8] = []
            characters.reserveCapacity(index - start)
            for place in start..<index { characters.append(text[place]) }
            return String(decoding: characters, as: UTF8.self)
        }

        private mutating func digits() -> Bool {
            let start = index
            while let byte = next, (48...57).contains(byte) { index += 1 }
            return index > start
        }

        mutating func string() -> String? {
            guard take("\"") else { return nil }
            var bytes: [UInt8] = []
            while let byte = next {
                index += 1
                switch byte {
                case UInt8(ascii: "\""): return String(validating: bytes, as: UTF8.self)
                case 0..<0x20: return nil
                case UInt8(ascii: "\\"): guard escape(into: &bytes) else { return nil }
                default: bytes.append(byte)
                }
            }
            return nil
        }

        private mutating func escape(into bytes: inout [UInt8]) -> Bool {
            guard let letter = next else { return false }
            index += 1
            switch letter {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): bytes.append(letter)
            case UInt8(ascii: "b"): bytes.append(0x08)
            case UInt8(ascii: "f"): bytes.append(0x0c)
            case UInt8(ascii: "n"): bytes.append(0x0a)
            case UInt8(ascii: "r"): bytes.append(0x0d)
            case UInt8(ascii: "t"): bytes.append(0x09)
            case UInt8(ascii: "u"): return codePoint(into: &bytes)
            default: return false
            }
            return true
        }

        private mutating func codePoint(into bytes: inout [UInt8]) -> Bool {
            guard var value = hexUnit() else { return false }
            if (0xd800...0xdbff).contains(value) {
                guard take("\\"), take("u"), let low = hexUnit(), (0xdc00...0xdfff).contains(low) else { return false }
                value = 0x10000 + (value - 0xd800) << 10 + (low - 0xdc00)
            }
            guard let scalar = Unicode.Scalar(value) else { return false }
            bytes.append(contentsOf: String(Character(scalar)).utf8)
            return true
        }

        private mutating func hexUnit() -> UInt32? {
            var value: UInt32 = 0
            for _ in 0..<4 {
                guard let byte = next, let digit = Character(Unicode.Scalar(byte)).hexDigitValue else { return nil }
                value = value << 4 | UInt32(digit)
                index += 1
            }
            return value
        }
    }
}
