import FeatureModel
import Testing

/// A file that is right but for one line, and what must be said about it.
struct WrongFile: Sendable, CustomTestStringConvertible {
    /// The line of the right file that is replaced, from 1; 0 replaces the whole file.
    let replaced: Int
    /// What stands there instead; may be several lines, or none.
    let text: String
    /// The line the error must name.
    let line: Int
    /// The key the error must name.
    let path: String
    /// What the error must say.
    let words: [String]

    init(_ replaced: Int, _ text: String, at line: Int? = nil, _ path: String, _ words: String...) {
        self.replaced = replaced
        self.text = text
        self.line = line ?? max(1, replaced)
        self.path = path
        self.words = words
    }

    var testDescription: String { "\(line): \(text.prefix(70))" }

    /// The wrong file.
    func file(from right: String) -> [UInt8] {
        guard replaced > 0 else { return Array(text.utf8) }
        var lines = right.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        lines[replaced - 1] = text
        return Array(lines.joined(separator: "\n").utf8)
    }

    /// Checks that an error of `errors` names the line and the key and says the words.
    func expect(in errors: DefinitionErrors, file: String, sourceLocation: SourceLocation = #_sourceLocation) {
        let beginning = path.isEmpty ? "\(file):\(line): " : "\(file):\(line): \(path): "
        let isSaid = errors.errors.contains { error in
            error.description.hasPrefix(beginning) && words.allSatisfy(error.description.contains)
        }
        #expect(isSaid, "\(beginning)\(words) is not in:\n\(errors)", sourceLocation: sourceLocation)
        let isOneLine = errors.errors.allSatisfy { !$0.description.contains("\n") }
        #expect(isOneLine, sourceLocation: sourceLocation)
    }
}
