import Yams

/// Reads one YAML file into nodes, within limits: size, depth, number of nodes. Anchors, aliases and tags are refused.
enum YAMLReader {
    /// The largest file accepted, in bytes.
    static let maximumBytes = 1 << 20
    /// How deep mappings and lists may nest.
    static let maximumDepth = 64
    /// The most scalars, mappings and lists in a file.
    static let maximumNodes = 100_000

    /// Reads a file. What is wrong is reported; then the answer is `nil`. An empty file is answered with `starter`, which
    /// says what to write.
    static func read(
        file: String, bytes: [UInt8], starter: String, into diagnostics: inout Diagnostics
    ) -> YAMLNode? {
        guard let text = YAMLGuard.text(file: file, bytes: bytes, starter: starter, into: &diagnostics) else {
            return nil
        }
        do {
            // libyaml keeps a pointer into the text, so it must not be one of Swift's small strings.
            let padded = text + String(repeating: "\n", count: 32)
            let parser = try Parser(yaml: padded, resolver: .basic, encoding: .utf8)
            guard let root = try parser.singleRoot() else {
                YAMLGuard.reportEmpty(file, starter, into: &diagnostics)
                return nil
            }
            var composer = Composer(file: file)
            guard let node = composer.compose(root, depth: 1) else {
                composer.refusal?.report(into: &diagnostics)
                return nil
            }
            return node
        } catch let error as YamlError {
            report(error, file: file, text: text, into: &diagnostics)
        } catch {
            diagnostics.report(
                Place(file: file, line: 1, column: 1), "", found: "text that can't be read", expected: "YAML")
        }
        return nil
    }

    private static func report(_ error: YamlError, file: String, text: String, into diagnostics: inout Diagnostics) {
        let lines = max(
            1, text.utf8.count { $0 == UInt8(ascii: "\n") } + (text.utf8.last == UInt8(ascii: "\n") ? 0 : 1))
        func place(_ line: Int, _ column: Int) -> Place {
            Place(file: file, line: min(max(1, line), lines), column: max(1, column))
        }
        switch error {
        case .scanner(let context, let problem, let mark, _), .parser(let context, let problem, let mark, _),
            .composer(let context, let problem, let mark, _):
            let context = context.map { " (\($0.text), from line \($0.mark.line))" } ?? ""
            diagnostics.report(
                place(mark.line, mark.column), "", found: noun(problem) + context, expected: "YAML", help: help(problem)
            )
        case .duplicatedKeysInMapping(let keys, let context):
            let key = keys.first ?? ""
            let first = context.mark
            let again = YAMLGuard.repetition(of: key, after: first.line, column: first.column, in: text)
            diagnostics.report(
                place(again ?? first.line, first.column), "", found: "the key \(Text.quoted(key)) twice",
                expected: "each key once in a mapping", help: again.map { _ in "it stands in line \(first.line) too" })
        case .reader(let problem, let offset, _, _):
            let line = 1 + text.prefix(offset ?? 0).count { $0.isNewline }
            diagnostics.report(place(line, 1), "", found: problem, expected: "YAML in printable UTF-8")
        case .memory:
            diagnostics.report(
                place(1, 1), "", found: "too deep a nesting", expected: "at most \(maximumDepth) levels")
        default:
            diagnostics.report(place(1, 1), "", found: "text that can't be read", expected: "YAML")
        }
    }

    /// The parser's words, so that they read behind "found".
    private static func noun(_ problem: String) -> String {
        for (start, instead) in [
            ("found ", ""), ("did not find ", "no "), ("could not find ", "no "), ("but found ", ""),
        ]
        where problem.hasPrefix(start) {
            return instead + problem.dropFirst(start.count)
        }
        return problem
    }

    private static func help(_ problem: String) -> String? {
        switch problem {
        case let text where text.contains("tab character"): "indent with blanks"
        case let text where text.contains("undefined alias"):
            "an asterisk before a word is an alias in YAML: put the text in quotes"
        case let text where text.contains("cannot start any token"):
            "indent with blanks, and put text that begins with @, ` or % in quotes"
        case let text where text.contains("mapping values are not allowed"):
            "put text that holds a colon and a blank in quotes, and check the indentation"
        case let text where text.contains("another document"): "write one document a file, without a second ---"
        default: nil
        }
    }
}

/// Turns the parser's nodes into ours.
private struct Composer {
    struct Refusal {
        let place: Place
        let found: String
        let expected: String

        func report(into diagnostics: inout Diagnostics) {
            diagnostics.report(place, "", found: found, expected: expected)
        }
    }

    let file: String
    var count = 0
    var refusal: Refusal?

    mutating func compose(_ node: Node, depth: Int) -> YAMLNode? {
        let place = Place(file: file, line: node.mark?.line ?? 1, column: node.mark?.column ?? 1)
        count += 1
        guard count <= YAMLReader.maximumNodes else {
            return refuse(place, "more than \(YAMLReader.maximumNodes) values", "fewer: split the file")
        }
        guard depth <= YAMLReader.maximumDepth else {
            return refuse(place, "more than \(YAMLReader.maximumDepth) levels of nesting", "fewer")
        }
        switch node {
        case .scalar(let scalar): return compose(scalar, place)
        case .mapping(let mapping): return compose(mapping, place, depth: depth)
        case .sequence(let sequence):
            guard isPlain(sequence.tag) else { return refuseTag(place) }
            var elements: [YAMLNode] = []
            for element in sequence {
                guard let element = compose(element, depth: depth + 1) else { return nil }
                elements.append(element)
            }
            return YAMLNode(content: .sequence(elements), place: place)
        case .alias: return refuse(place, "an alias", "the value itself")
        }
    }

    private mutating func compose(_ scalar: Node.Scalar, _ place: Place) -> YAMLNode? {
        guard isPlain(scalar.tag) else { return refuseTag(place) }
        guard !scalar.string.utf8.contains(where: { ($0 < 0x20 && $0 != 9 && $0 != 10) || $0 == 0x7f }) else {
            return refuse(place, "a control character", "printable text, line ends and tabs")
        }
        return YAMLNode(content: .scalar(scalar.string, isPlain: scalar.style == .plain), place: place)
    }

    private mutating func compose(_ mapping: Node.Mapping, _ place: Place, depth: Int) -> YAMLNode? {
        guard isPlain(mapping.tag) else { return refuseTag(place) }
        var entries: [YAMLNode.Entry] = []
        for (key, value) in mapping {
            guard let key = compose(key, depth: depth + 1) else { return nil }
            guard case .scalar(let name, _) = key.content else {
                return refuse(key.place, "\(key.found) as a key", "a word")
            }
            guard let value = compose(value, depth: depth + 1) else { return nil }
            entries.append(YAMLNode.Entry(key: name, place: key.place, value: value))
        }
        return YAMLNode(content: .mapping(entries), place: place)
    }

    private func isPlain(_ tag: Tag) -> Bool {
        switch tag.rawValue {
        case Tag.Name.implicit.rawValue, Tag.Name.str.rawValue, Tag.Name.map.rawValue, Tag.Name.seq.rawValue: true
        default: false
        }
    }

    private mutating func refuseTag(_ place: Place) -> YAMLNode? {
        refuse(place, "a tag (a word that begins with !)", "the value alone; put text that begins with ! in quotes")
    }

    private mutating func refuse(_ place: Place, _ found: String, _ expected: String) -> YAMLNode? {
        refusal = Refusal(place: place, found: found, expected: expected)
        return nil
    }
}
