/// One thing that is wrong in a file of config or definitions: where, what stands there, and what should.
package struct DefinitionError: Error, Hashable, Sendable {
    /// The file's name as the caller gave it.
    package let file: String
    /// Counts from 1.
    package let line: Int
    /// Counts from 1, in Unicode scalars.
    package let column: Int
    /// The keys that lead to the place, joined by dots; empty for the file as a whole.
    package let path: String
    /// What stands there, shortened; never a secret.
    package let found: String
    /// What should stand there.
    package let expected: String
    /// The nearest word that would be right, if one is near.
    package let suggestion: String?
    /// What to do about it, where that isn't plain from the rest.
    package let help: String?

    package init(
        file: String, line: Int, column: Int, path: String, found: String, expected: String, suggestion: String? = nil,
        help: String? = nil
    ) {
        self.file = file
        self.line = line
        self.column = column
        self.path = path
        self.found = found
        self.expected = expected
        self.suggestion = suggestion
        self.help = help
    }
}

extension DefinitionError: CustomStringConvertible {
    /// One line: `file:line: path: found …, expected …`.
    package var description: String {
        var text = "\(file):\(line): "
        if !path.isEmpty { text += "\(path): " }
        text += "found \(found), expected \(expected)"
        if let suggestion { text += "; did you mean \"\(suggestion)\"?" }
        if let help { text += suggestion == nil ? "; \(help)" : " \(help)" }
        return text
    }
}

/// Everything that is wrong in a set of files, in the order of the files and lines. Never empty.
package struct DefinitionErrors: Error, Hashable, Sendable {
    /// The most errors that are kept; the rest are counted.
    package static let limit = 100

    package let errors: [DefinitionError]
    /// How many more there were.
    package let omitted: Int

    package init(_ errors: [DefinitionError], omitted: Int = 0) {
        self.errors = errors
        self.omitted = omitted
    }
}

extension DefinitionErrors: CustomStringConvertible {
    /// One line an error.
    package var description: String {
        let lines = errors.map(\.description)
        return (omitted == 0 ? lines : lines + ["and \(omitted) more"]).joined(separator: "\n")
    }
}
