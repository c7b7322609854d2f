/// A place in JSON of a known shape.
struct Cursor {
    var index = 0

    /// Whether the text comes next; goes behind it then.
    mutating func take(_ bytes: Span<UInt8>, _ text: StaticString) -> Bool {
        let (start, count) = (index, text.utf8CodeUnitCount)
        guard bytes.count - start >= count else { return false }
        let isThere = text.withUTF8Buffer { text in
            for place in 0..<count where unsafe text[place] != bytes[start + place] { return false }
            return true
        }
        if isThere { index += count }
        return isThere
    }

    mutating func skip(_ bytes: Span<UInt8>, past text: StaticString) -> Bool {
        while index < bytes.count {
            if take(bytes, text) { return true }
            index += 1
        }
        return false
    }

    mutating func integer(_ bytes: Span<UInt8>) -> Int? {
        let start = index
        var value = 0
        while index < bytes.count, case let digit = bytes[index], (48...57).contains(digit), index - start < 18 {
            value = value * 10 + Int(digit) - 48
            index += 1
        }
        return index > start ? value : nil
    }

    /// A text without escapes; goes behind it.
    mutating func text(_ bytes: Span<UInt8>) -> String? {
        guard take(bytes, "\"") else { return nil }
        let start = index
        while index < bytes.count, bytes[index] != UInt8(ascii: "\"") {
            guard bytes[index] != UInt8(ascii: "\\") else { return nil }
            index += 1
        }
        guard index < bytes.count else { return nil }
        let text = String(decoding: (start..<index).map { bytes[$0] }, as: UTF8.self)
        index += 1
        return text
    }

    /// Goes behind a number, whatever it is.
    mutating func skipNumber(_ bytes: Span<UInt8>) -> Bool {
        let start = index
        while index < bytes.count, "+-.eE0123456789".utf8.contains(bytes[index]) { index += 1 }
        return index > start
    }
}
