/// The `:keys` placeholder of feature queries.
///
/// Placeholders are found by a scanner that knows what SQL text may hide one: `'literals'` (with `''`, and with `\` in
/// `E'…'`), `"identifiers"`, `$tag$ bodies $tag$`, `-- comments` and `/* comments */`, which nest as PostgreSQL's do.
/// `x::keys` is a cast and `:keys_of` another name; neither is a placeholder.
package enum KeysPlaceholder {
    /// How often `:keys` stands in a query.
    package static func count(in query: String) -> Int {
        var scanner = SQLScanner(query)
        var count = 0
        while scanner.nextPlaceholder() != nil { count += 1 }
        return count
    }

    /// Replaces every `:keys` of a query.
    package static func expand(_ query: String, with replacement: String) -> String {
        var scanner = SQLScanner(query)
        var text: [UInt8] = []
        var copied = 0
        while let place = scanner.nextPlaceholder() {
            text.append(contentsOf: scanner.bytes[copied..<place.lowerBound])
            text.append(contentsOf: replacement.utf8)
            copied = place.upperBound
        }
        text.append(contentsOf: scanner.bytes[copied...])
        return String(decoding: text, as: UTF8.self)
    }

    /// A query without the blanks and semicolons at its end, so that it can stand in parentheses.
    ///
    /// The caller still puts a line break behind it: it may end in a `--` comment.
    package static func withoutTerminator(_ query: String) -> String {
        var end = query.utf8.count
        let bytes = Array(query.utf8)
        while end > 0, SQLScanner.isBlank(bytes[end - 1]) || bytes[end - 1] == UInt8(ascii: ";") { end -= 1 }
        return String(decoding: bytes[..<end], as: UTF8.self)
    }
}

/// Walks SQL text and stops at placeholders that are code.
private struct SQLScanner {
    let bytes: [UInt8]
    private var index = 0

    private static let placeholder = Array(":keys".utf8)

    init(_ text: String) {
        bytes = Array(text.utf8)
    }

    mutating func nextPlaceholder() -> Range<Int>? {
        while index < bytes.count {
            switch bytes[index] {
            case UInt8(ascii: "'"): skipLiteral()
            case UInt8(ascii: "\""): skipQuoted(UInt8(ascii: "\""))
            case UInt8(ascii: "-") where peek(1) == UInt8(ascii: "-"): skipLine()
            case UInt8(ascii: "/") where peek(1) == UInt8(ascii: "*"): skipComment()
            case UInt8(ascii: "$"): skipDollarBody()
            case UInt8(ascii: ":"):
                if let place = placeholderHere() {
                    index = place.upperBound
                    return place
                }
                skipColons()
            default: index += 1
            }
        }
        return nil
    }

    static func isBlank(_ byte: UInt8) -> Bool {
        byte == 0x20 || (0x09...0x0d).contains(byte)
    }

    private static func isWord(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), 0x80...:
            true
        default: false
        }
    }

    private func peek(_ offset: Int) -> UInt8? {
        index + offset < bytes.count ? bytes[index + offset] : nil
    }

    private func placeholderHere() -> Range<Int>? {
        let end = index + Self.placeholder.count
        guard end <= bytes.count, bytes[index..<end].elementsEqual(Self.placeholder) else { return nil }
        if end < bytes.count, Self.isWord(bytes[end]) || bytes[end] == UInt8(ascii: "$") { return nil }
        return index..<end
    }

    /// A run of colons that starts no placeholder: `::` is a cast, and what follows it is a type.
    private mutating func skipColons() {
        let isCast = peek(1) == UInt8(ascii: ":")
        index += isCast ? 2 : 1
    }

    private mutating func skipLiteral() {
        let before = index > 0 ? bytes[index - 1] : 0
        let isEscaped =
            (before == UInt8(ascii: "e") || before == UInt8(ascii: "E"))
            && !(index > 1 && Self.isWord(bytes[index - 2]))
        index += 1
        while index < bytes.count {
            if isEscaped, bytes[index] == UInt8(ascii: "\\") {
                index += 2
            } else if bytes[index] == UInt8(ascii: "'") {
                index += 1
                guard index < bytes.count, bytes[index] == UInt8(ascii: "'") else { return }
                index += 1
            } else {
                index += 1
            }
        }
    }

    private mutating func skipQuoted(_ quote: UInt8) {
        index += 1
        while index < bytes.count, bytes[index] != quote { index += 1 }
        index += 1
    }

    private mutating func skipLine() {
        while index < bytes.count, bytes[index] != 0x0a { index += 1 }
    }

    private mutating func skipComment() {
        index += 2
        var depth = 1
        while index < bytes.count, depth > 0 {
            if bytes[index] == UInt8(ascii: "/"), peek(1) == UInt8(ascii: "*") {
                depth += 1
                index += 2
            } else if bytes[index] == UInt8(ascii: "*"), peek(1) == UInt8(ascii: "/") {
                depth -= 1
                index += 2
            } else {
                index += 1
            }
        }
    }

    /// Skips `$$ … $$` and `$tag$ … $tag$`; a `$` of a parameter or inside a name is stepped over.
    private mutating func skipDollarBody() {
        if index > 0, Self.isWord(bytes[index - 1]) {
            index += 1
            return
        }
        var end = index + 1
        while end < bytes.count, Self.isWord(bytes[end]) { end += 1 }
        let isTag = end < bytes.count && bytes[end] == UInt8(ascii: "$")
        let startsWithDigit = (peek(1) ?? 0) >= UInt8(ascii: "0") && (peek(1) ?? 0) <= UInt8(ascii: "9")
        guard isTag, !startsWithDigit else {
            index += 1
            return
        }
        let tag = bytes[index...end]
        index = end + 1
        while index < bytes.count {
            if bytes[index] == UInt8(ascii: "$"), bytes[index...].starts(with: tag) {
                index += tag.count
                return
            }
            index += 1
        }
    }
}
