/// Holds a file against its declaration and reports everything that differs.
enum ShapeChecker {
    static func check(_ node: YAMLNode, _ shape: Shape, _ path: String, into diagnostics: inout Diagnostics) {
        switch shape {
        case .list(let element, let count):
            checkList(node, element, count, path, into: &diagnostics)
        case .map(let rule, let value, let count):
            checkMap(node, rule, value, count, path, into: &diagnostics)
        case .object(let object):
            checkObject(node, object, path, into: &diagnostics)
        case .either(let shapes):
            checkEither(node, shapes, path, into: &diagnostics)
        case .text, .word, .flag, .integer, .number, .duration, .byteCount, .literal, .anyMapping:
            guard !matches(node, shape) else { return }
            reportMismatch(node, shape, path, into: &diagnostics)
        }
    }

    private static func checkList(
        _ node: YAMLNode, _ element: Shape, _ count: ClosedRange<Int>, _ path: String,
        into diagnostics: inout Diagnostics
    ) {
        guard case .sequence(let elements) = node.content else {
            return diagnostics.report(node.place, path, found: node.found, expected: "a list")
        }
        guard count.contains(elements.count) else {
            return diagnostics.report(
                node.place, path, found: "\(elements.count) elements",
                expected: "\(count.lowerBound) to \(count.upperBound)")
        }
        for (index, item) in elements.enumerated() {
            check(item, element, "\(path)[\(index)]", into: &diagnostics)
        }
    }

    private static func checkMap(
        _ node: YAMLNode, _ rule: TextRule, _ value: Shape, _ count: ClosedRange<Int>, _ path: String,
        into diagnostics: inout Diagnostics
    ) {
        guard case .mapping(let entries) = node.content else {
            return diagnostics.report(node.place, path, found: node.found, expected: "a mapping")
        }
        guard count.contains(entries.count) else {
            return diagnostics.report(
                node.place, path, found: "\(entries.count) entries",
                expected: "\(count.lowerBound) to \(count.upperBound)")
        }
        for entry in entries {
            if !rule.accepts(entry.key) {
                diagnostics.report(entry.place, path, found: Text.quoted(entry.key), expected: rule.expected)
            }
            check(entry.value, value, path.appending(key: entry.key), into: &diagnostics)
        }
    }

    private static func checkObject(
        _ node: YAMLNode, _ object: ObjectShape, _ path: String, into diagnostics: inout Diagnostics
    ) {
        guard case .mapping(let entries) = node.content else {
            return diagnostics.report(
                node.place, path, found: node.found,
                expected: "a mapping with the keys \(Text.list(object.fields.map(\.name)))")
        }
        let present = Set(entries.map(\.key))
        let absent = object.fields.map(\.name).filter { !present.contains($0) }
        for entry in entries {
            let path = path.appending(key: entry.key)
            guard let field = object.field(entry.key) else {
                diagnostics.reportUnknown(
                    entry.place, path, entry.key, kind: "a key of \(object.name)", among: absent)
                continue
            }
            check(entry.value, field.shape, path, into: &diagnostics)
            if let other = field.onlyWith, !present.contains(other) {
                diagnostics.report(
                    entry.place, path, found: "no \(other) beside it",
                    expected: "\(entry.key) only together with \(other)")
            }
        }
        checkPresence(present, in: object, node.place, path, into: &diagnostics)
    }

    private static func checkPresence(
        _ present: Set<String>, in object: ObjectShape, _ place: Place, _ path: String,
        into diagnostics: inout Diagnostics
    ) {
        for field in object.fields where field.isRequired && !present.contains(field.name) {
            diagnostics.report(
                place, path, found: "no \(field.name)", expected: "the key \(field.name)",
                help: field.summary.firstSentence)
        }
        let chosen = object.exactlyOne.filter(present.contains)
        if !object.exactlyOne.isEmpty, chosen.count != 1 {
            diagnostics.report(
                place, path, found: chosen.isEmpty ? "none of them" : chosen.joined(separator: " and "),
                expected: "one of the keys \(Text.list(object.exactlyOne))")
        }
    }

    private static func checkEither(
        _ node: YAMLNode, _ shapes: [Shape], _ path: String, into diagnostics: inout Diagnostics
    ) {
        let candidates = shapes.filter { isOfKind(node, $0) }
        if candidates.count == 1 {
            return check(node, candidates[0], path, into: &diagnostics)
        }
        guard !candidates.contains(where: { matches(node, $0) }) else { return }
        reportMismatch(node, .either(candidates.isEmpty ? shapes : candidates), path, into: &diagnostics)
    }

    private static func isOfKind(_ node: YAMLNode, _ shape: Shape) -> Bool {
        switch (node.content, shape) {
        case (.mapping, .map), (.mapping, .object), (.mapping, .anyMapping), (.sequence, .list), (.sequence, .literal):
            true
        case (.scalar, .text), (.scalar, .word), (.scalar, .flag), (.scalar, .integer), (.scalar, .number),
            (.scalar, .duration), (.scalar, .byteCount), (.scalar, .literal):
            !node.isNull
        default: false
        }
    }

    /// Whether a node without declared parts is what the shape says.
    private static func matches(_ node: YAMLNode, _ shape: Shape) -> Bool {
        switch shape {
        case .text(let rule): node.text.map(rule.accepts) ?? false
        case .word(let words): node.text.map(words.contains) ?? false
        case .flag: node.flag != nil
        case .integer(let range): node.integer.map(range.contains) ?? false
        case .number(let range): node.number.map(range.contains) ?? false
        case .duration(let range): node.duration.map(range.contains) ?? false
        case .byteCount(let range): node.byteCount.map(range.contains) ?? false
        case .literal: node.text != nil || (isOfKind(node, shape) && node.elements.allSatisfy { $0.text != nil })
        case .anyMapping: isOfKind(node, shape)
        case .list, .map, .object, .either: false
        }
    }

    private static func reportMismatch(
        _ node: YAMLNode, _ shape: Shape, _ path: String, into diagnostics: inout Diagnostics
    ) {
        let found = shape.isShown ? node.found : node.text.map { "a text of \($0.count) characters" } ?? node.found
        if case .word(let words) = shape, let text = node.text {
            return diagnostics.reportUnknown(node.place, path, text, kind: "one of", among: words)
        }
        var near: String?
        if case .text(let rule) = shape, rule.isShown, let text = node.text {
            near = Nearest.word(to: text, among: rule.words)
        }
        diagnostics.report(node.place, path, found: found, expected: shape.expected, suggestion: near)
    }
}

extension Shape {
    /// What is expected, as it reads behind "expected".
    var expected: String {
        switch self {
        case .text(let rule): rule.expected
        case .word(let words): Text.list(words)
        case .flag: "true or false"
        case .integer(let range): "a whole number from \(range.lowerBound) to \(range.upperBound)"
        case .number(let range): "a number from \(range.lowerBound.plainSpelling) to \(range.upperBound.plainSpelling)"
        case .duration(let range): Self.expected(range)
        case .byteCount(let range): "a number of bytes such as 4MiB, from \(range.lowerBound) to \(range.upperBound)"
        case .literal: "a value or a list of values"
        case .list: "a list"
        case .map, .object, .anyMapping: "a mapping"
        case .either(let shapes): shapes.map(\.expected).joined(separator: ", or ")
        }
    }

    private static func expected(_ range: ClosedRange<Duration>) -> String {
        "a duration such as 7d, 12h or 90s, from \(range.lowerBound.spelling) to \(range.upperBound.spelling)"
    }

    /// Whether what stands there may be shown in messages.
    var isShown: Bool {
        switch self {
        case .text(let rule): rule.isShown
        case .either(let shapes): shapes.allSatisfy(\.isShown)
        default: true
        }
    }
}

extension String {
    /// A path one key further.
    func appending(key: String) -> String {
        let shown = key.unicodeScalars.count <= 64 ? key : "\(String(key.unicodeScalars.prefix(64)))…"
        let word = shown.unicodeScalars.allSatisfy { $0.value > 0x20 && $0.value != 0x7f } ? shown : Text.quoted(key)
        return isEmpty ? word : "\(self).\(word)"
    }

    /// The text up to its first full stop at a sentence's end.
    var firstSentence: String {
        guard let end = range(ofSentenceEnd: 0) else { return self }
        return String(self[..<end])
    }

    private func range(ofSentenceEnd start: Int) -> String.Index? {
        var previous: String.Index?
        for index in indices {
            if let previous, self[previous] == ".", self[index] == " " { return previous }
            previous = index
        }
        return previous.flatMap { self[$0] == "." ? $0 : nil }
    }
}

extension Double {
    /// Without a fraction where there is none.
    var plainSpelling: String {
        self == rounded() && abs(self) < 1e15 ? String(Int64(self)) : String(self)
    }
}
