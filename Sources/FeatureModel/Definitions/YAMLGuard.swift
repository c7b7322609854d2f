/// What is checked on a file's bytes before the YAML parser sees them.
///
/// The parser resolves aliases while it composes, and hashes keys to find duplicates, so a few lines of nested aliases
/// would cost it exponential time. An alias needs an anchor, so anchors are refused here: wherever `&` and a word follow
/// something that can precede a value. It also recurses; its own limit is 1,000 levels, ours is lower.
enum YAMLGuard {
    /// The file's text, its byte order mark removed. What is wrong is reported; then the answer is `nil`.
    static func text(
        file: String, bytes: [UInt8], starter: String, into diagnostics: inout Diagnostics
    ) -> String? {
        let limit = YAMLReader.maximumBytes
        guard bytes.count <= limit else {
            diagnostics.report(
                Place(file: file, line: 1, column: 1), "", found: "\(bytes.count) bytes",
                expected: "at most \(limit) bytes a file", help: "split it")
            return nil
        }
        let content = bytes.starts(with: [0xef, 0xbb, 0xbf]) ? bytes.dropFirst(3) : bytes[...]
        if let problem = firstBadByte(content) {
            let place = Place(file: file, line: line(of: problem.index, in: content), column: 1)
            diagnostics.report(place, "", found: problem.found, expected: "UTF-8 text", help: problem.help)
            return nil
        }
        guard hasContent(content) else {
            reportEmpty(file, starter, into: &diagnostics)
            return nil
        }
        if let problem = firstStructure(content) {
            diagnostics.report(
                Place(file: file, line: line(of: problem.index, in: content), column: 1), "", found: problem.found,
                expected: problem.expected, help: problem.help)
            return nil
        }
        return String(decoding: content, as: UTF8.self)
    }

    static func reportEmpty(_ file: String, _ starter: String, into diagnostics: inout Diagnostics) {
        diagnostics.report(
            Place(file: file, line: 1, column: 1), "", found: "an empty file", expected: "a mapping, for instance",
            help: starter)
    }

    /// The line below `line` where a block mapping at `column` has the key again.
    static func repetition(of key: String, after line: Int, column: Int, in text: String) -> Int? {
        let indent = String(repeating: " ", count: column - 1)
        let beginnings = [key, "\"\(key)\"", "'\(key)'"].map { "\(indent)\($0):" }
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).dropFirst(line)
        let index = lines.firstIndex { line in beginnings.contains { line.hasPrefix($0) } }
        return index.map { $0 + 1 }
    }

    private static func line(of index: Int, in content: ArraySlice<UInt8>) -> Int {
        1 + content[..<index].count { $0 == UInt8(ascii: "\n") }
    }

    private struct Problem {
        let index: Int
        let found: String
        var expected = ""
        var help: String?
    }

    private static func firstBadByte(_ content: ArraySlice<UInt8>) -> Problem? {
        if content.starts(with: [0xff, 0xfe]) || content.starts(with: [0xfe, 0xff]) {
            return Problem(index: content.startIndex, found: "UTF-16", help: "save the file as UTF-8")
        }
        var start = content.startIndex
        for line in content.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
            if let index = line.firstIndex(where: isControl) {
                let found = line[index] == 0 ? "a NUL byte" : "a control character (byte \(line[index]))"
                return Problem(index: index, found: found)
            }
            guard String(validating: line, as: UTF8.self) != nil else {
                return Problem(index: start, found: "bytes that are no UTF-8", help: "save the file as UTF-8")
            }
            start = line.endIndex + 1
        }
        return nil
    }

    private static func isControl(_ byte: UInt8) -> Bool {
        byte == 0x7f || byte < 0x20 && byte != 9 && byte != 10 && byte != 13
    }

    /// Whether there is anything besides blanks, comments and document marks.
    private static func hasContent(_ content: ArraySlice<UInt8>) -> Bool {
        content.split(separator: UInt8(ascii: "\n")).contains { line in
            let rest = line.drop { $0 == 32 || $0 == 9 || $0 == 13 }
            guard let first = rest.first, first != UInt8(ascii: "#") else { return false }
            let words = rest.prefix { $0 != 13 && $0 != 32 }
            return !words.elementsEqual("---".utf8) && !words.elementsEqual("...".utf8)
        }
    }

    /// The first anchor, or the place where flow collections nest too deep.
    private static func firstStructure(_ content: ArraySlice<UInt8>) -> Problem? {
        var depth = 0
        var before = UInt8(ascii: "\n")
        for (index, byte) in zip(content.indices, content) {
            switch byte {
            case UInt8(ascii: "["), UInt8(ascii: "{"): depth += 1
            case UInt8(ascii: "]"), UInt8(ascii: "}"): depth = max(0, depth - 1)
            case UInt8(ascii: "&") where canPrecedeValue(before) && isWord(content, index + 1):
                return Problem(
                    index: index, found: "an anchor (& and a word)", expected: "values written out",
                    help: "anchors and aliases are not used here; in SQL write a blank behind &")
            default: break
            }
            if depth > YAMLReader.maximumDepth {
                return Problem(
                    index: index, found: "more than \(YAMLReader.maximumDepth) levels of nesting", expected: "fewer")
            }
            before = byte
        }
        return nil
    }

    private static func canPrecedeValue(_ byte: UInt8) -> Bool {
        switch byte {
        case 9, 10, 13, 32: true
        case UInt8(ascii: "["), UInt8(ascii: "{"), UInt8(ascii: ","), UInt8(ascii: ":"), UInt8(ascii: "-"),
            UInt8(ascii: "?"):
            true
        // Non-ASCII: NEL, LS and PS end a line in YAML 1.1, and their last bytes are among these.
        default: byte >= 0x80
        }
    }

    private static func isWord(_ content: ArraySlice<UInt8>, _ index: Int) -> Bool {
        guard index < content.endIndex else { return false }
        switch content[index] {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"):
            return true
        default: return false
        }
    }
}
