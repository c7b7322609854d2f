/// What is checked on a file's bytes before the YAML parser sees them: size, text, and structure (`YAMLStructure`).
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
        if let problem = YAMLStructure.firstProblem(content) {
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
            guard let text = String(validating: line, as: UTF8.self) else {
                return Problem(index: start, found: "bytes that are no UTF-8", help: "save the file as UTF-8")
            }
            if hasForeignMark(text) {
                return Problem(
                    index: start, found: "another line end than LF or CRLF, or a byte order mark inside the file",
                    help: "save the file with LF")
            }
            start = line.endIndex + 1
        }
        return nil
    }

    /// Whether a line holds what YAML 1.1 takes for a line end and editors don't, so that places would be off; or a byte
    /// order mark, which the parser skips.
    private static func hasForeignMark(_ line: String) -> Bool {
        var last: Unicode.Scalar?
        for scalar in line.unicodeScalars {
            switch scalar {
            case _ where last == "\r", "\u{85}", "\u{2028}", "\u{2029}", "\u{feff}": return true
            default: last = scalar
            }
        }
        return false
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
}
