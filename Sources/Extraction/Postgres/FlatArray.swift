/// One element of a flat array that a database spelled as text.
enum FlatElement: Equatable {
    case null
    case bool(Bool)
    /// A number as it was written.
    case number(String)
    case string(String)
}

/// Arrays of scalars in the spellings of JSON and of PostgreSQL.
enum FlatArray {
    /// Parses a JSON array of strings, numbers, booleans and nulls; `nil` for anything else, nested arrays included.
    static func parse(json text: String) -> [FlatElement]? {
        var parser = JSONParser(bytes: Array(text.utf8))
        return parser.array()
    }

    /// A JSON array of strings.
    static func json(_ strings: [String]) -> String {
        "[" + strings.map(quote).joined(separator: ",") + "]"
    }

    /// Parses PostgreSQL's text of a one-dimensional array, `{1,NULL,"a b"}`; an element is text or `nil` for null.
    ///
    /// - Returns: `nil` for anything else: more dimensions, broken text.
    static func parse(postgres text: String) -> [String?]? {
        var bytes = Array(text.utf8)[...]
        if bytes.first == UInt8(ascii: "[") {
            // `[0:2]={…}`: bounds that don't start at 1.
            guard let equals = bytes.firstIndex(of: UInt8(ascii: "=")) else { return nil }
            bytes = bytes[(equals + 1)...]
        }
        guard bytes.popFirst() == UInt8(ascii: "{") else { return nil }
        if bytes.elementsEqual([UInt8(ascii: "}")]) { return [] }
        var elements: [String?] = []
        while true {
            guard let element = postgresElement(&bytes) else { return nil }
            elements.append(element)
            switch bytes.popFirst() {
            case UInt8(ascii: ","): continue
            case UInt8(ascii: "}"): return bytes.isEmpty ? elements : nil
            default: return nil
            }
        }
    }

    /// The outer `nil` is broken text, the inner one null.
    private static func postgresElement(_ bytes: inout ArraySlice<UInt8>) -> String?? {
        var text: [UInt8] = []
        guard bytes.first == UInt8(ascii: "\"") else {
            while let byte = bytes.first, byte != UInt8(ascii: ","), byte != UInt8(ascii: "}") {
                guard byte != UInt8(ascii: "{"), byte != UInt8(ascii: "\"") else { return nil }
                text.append(byte)
                bytes.removeFirst()
            }
            let word = String(decoding: text, as: UTF8.self)
            return word.isEmpty ? nil : .some(word.uppercased() == "NULL" ? nil : word)
        }
        bytes.removeFirst()
        while let byte = bytes.popFirst() {
            switch byte {
            case UInt8(ascii: "\""): return .some(String(decoding: text, as: UTF8.self))
            case UInt8(ascii: "\\"):
                guard let escaped = bytes.popFirst() else { return nil }
                text.append(escaped)
            default: text.append(byte)
            }
        }
        return nil
    }

    private static func quote(_ string: String) -> String {
        var text = "\""
        for scalar in string.unicodeScalars {
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case "\u{0}"..."\u{1f}":
                let hex = String(scalar.value, radix: 16)
                text += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
            default: text.unicodeScalars.append(scalar)
            }
        }
        return text + "\""
    }
}

private struct JSONParser {
    let bytes: [UInt8]
    var index = 0

    init(bytes: [UInt8]) {
        self.bytes = bytes
    }

    mutating func array() -> [FlatElement]? {
        skipBlanks()
        guard take("[") else { return nil }
        var elements: [FlatElement] = []
        skipBlanks()
        if take("]") { return isAtEnd ? elements : nil }
        while true {
            skipBlanks()
            guard let element = element() else { return nil }
            elements.append(element)
            skipBlanks()
            if take(",") { continue }
            return take("]") && isAtEnd ? elements : nil
        }
    }

    private var isAtEnd: Bool {
        mutating get {
            skipBlanks()
            return index == bytes.count
        }
    }

    private mutating func skipBlanks() {
        while index < bytes.count, [0x20, 0x09, 0x0a, 0x0d].contains(bytes[index]) { index += 1 }
    }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard index < bytes.count, bytes[index] == UInt8(ascii: character) else { return false }
        index += 1
        return true
    }

    private mutating func take(word: StaticString) -> Bool {
        let word = Array(word.description.utf8)
        guard bytes[index...].starts(with: word) else { return false }
        index += word.count
        return true
    }

    private mutating func element() -> FlatElement? {
        if take("\"") { return string().map(FlatElement.string) }
        if take(word: "true") { return .bool(true) }
        if take(word: "false") { return .bool(false) }
        if take(word: "null") { return .null }
        let start = index
        while index < bytes.count, Self.isNumeric(bytes[index]) { index += 1 }
        guard index > start else { return nil }
        return .number(String(decoding: bytes[start..<index], as: UTF8.self))
    }

    private static func isNumeric(_ byte: UInt8) -> Bool {
        (48...57).contains(byte) || [0x2b, 0x2d, 0x2e, 0x45, 0x65].contains(byte)
    }

    private mutating func string() -> String? {
        var text: [UInt8] = []
        while index < bytes.count {
            let byte = bytes[index]
            index += 1
            switch byte {
            case UInt8(ascii: "\""): return String(validating: text, as: UTF8.self)
            case UInt8(ascii: "\\"):
                guard let scalar = escape() else { return nil }
                text.append(contentsOf: Character(scalar).utf8)
            case 0..<0x20: return nil
            default: text.append(byte)
            }
        }
        return nil
    }

    private mutating func escape() -> Unicode.Scalar? {
        guard index < bytes.count else { return nil }
        let byte = bytes[index]
        index += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(byte)
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{c}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"): return unicodeEscape()
        default: return nil
        }
    }

    private mutating func unicodeEscape() -> Unicode.Scalar? {
        guard let high = hex4() else { return nil }
        guard (0xd800..<0xdc00).contains(high) else { return Unicode.Scalar(high) }
        guard take("\\"), take("u"), let low = hex4(), (0xdc00..<0xe000).contains(low) else { return nil }
        return Unicode.Scalar(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00))
    }

    private mutating func hex4() -> UInt32? {
        guard index + 4 <= bytes.count else { return nil }
        var value: UInt32 = 0
        for byte in bytes[index..<index + 4] {
            guard let digit = Character(Unicode.Scalar(byte)).hexDigitValue else { return nil }
            value = value << 4 | UInt32(digit)
        }
        index += 4
        return value
    }
}
