/// A place in a file. Lines and columns count from 1.
struct Place: Hashable, Sendable {
    let file: String
    let line: Int
    let column: Int
}

/// Collects what is wrong, up to `DefinitionErrors.limit`.
struct Diagnostics {
    private var errors: [DefinitionError] = []
    private var omitted = 0

    var isEmpty: Bool { errors.isEmpty }

    mutating func report(
        _ place: Place, _ path: String, found: String, expected: String, suggestion: String? = nil, help: String? = nil
    ) {
        guard errors.count < DefinitionErrors.limit else {
            omitted += 1
            return
        }
        errors.append(
            DefinitionError(
                file: place.file, line: place.line, column: place.column, path: Text.line(path),
                found: Text.line(found), expected: Text.line(expected), suggestion: suggestion.map(Text.line),
                help: help.map(Text.line)))
    }

    /// Reports that `found` is none of `words`, with the nearest of them.
    mutating func reportUnknown(
        _ place: Place, _ path: String, _ found: String, kind: String, among words: [String], help: String? = nil
    ) {
        // Finding the nearest word is dear; nobody sees it beyond the limit.
        guard errors.count < DefinitionErrors.limit else {
            omitted += 1
            return
        }
        let listed = words.count <= 16 ? Text.list(words) : "\(Text.list(Array(words.prefix(12)))), …"
        report(
            place, path, found: Text.quoted(found), expected: words.isEmpty ? kind : "\(kind): \(listed)",
            suggestion: Nearest.word(to: found, among: words), help: help)
    }

    /// - Throws: What was collected, ordered by file, line and column, if there is anything.
    func throwIfAny(order files: [String]) throws(DefinitionErrors) {
        guard !errors.isEmpty else { return }
        let rank = Dictionary(
            files.enumerated().map { ($0.element, $0.offset) }, uniquingKeysWith: { first, _ in first })
        let sorted = errors.enumerated().sorted { left, right in
            let (a, b) = (left.element, right.element)
            return (rank[a.file] ?? .max, a.line, a.column, left.offset)
                < (rank[b.file] ?? .max, b.line, b.column, right.offset)
        }
        throw DefinitionErrors(sorted.map(\.element), omitted: omitted)
    }
}

/// How values are shown in messages.
enum Text {
    /// The text in quotes, control characters escaped, at most 60 characters of it.
    static func quoted(_ text: String) -> String {
        var shown = ""
        var count = 0
        for scalar in text.unicodeScalars {
            guard count < 60 else {
                shown += "…"
                break
            }
            shown += scalar.escaped(asASCII: false)
            count += 1
        }
        return "\"\(shown)\""
    }

    /// The text as one line of at most 1,000 characters.
    static func line(_ text: String) -> String {
        let scalars = text.unicodeScalars
        guard scalars.count > 1_000 || scalars.contains(where: { $0.value < 0x20 || $0.value == 0x7f }) else {
            return text
        }
        var line = ""
        for scalar in scalars.prefix(1_000) { line += scalar.escaped(asASCII: false) }
        return scalars.count > 1_000 ? line + "…" : line
    }

    /// `a, b or c`.
    static func list(_ words: [String]) -> String {
        guard let last = words.last, words.count > 1 else { return words.first ?? "" }
        return "\(words.dropLast().joined(separator: ", ")) or \(last)"
    }
}
