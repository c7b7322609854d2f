import ArgumentParser
import FeatureModel

/// Turns the argument parser's words on a wrong command line into this program's.
enum Mistyping {
    /// The message without its heading; for an unknown command with the one that was meant.
    static func words(_ message: String, arguments: [String]) -> String {
        let text = message.hasPrefix("Error: ") ? String(message.dropFirst(7)) : message
        guard text.hasPrefix("Unexpected argument"), let word = firstWord(arguments), !commands.contains(word) else {
            return text
        }
        return "there is no command \(word)\(Nearest.hint(word, among: commands)); `tidemark --help` lists them"
    }

    private static var commands: [String] {
        let configuration = Tidemark.configuration
        let all = configuration.ungroupedSubcommands + configuration.groupedSubcommands.flatMap(\.subcommands)
        return all.compactMap { $0.configuration.commandName ?? $0._commandName } + ["help"]
    }

    /// The first argument that is neither an option nor an option's value.
    private static func firstWord(_ arguments: [String]) -> String? {
        var rest = arguments[...]
        while let first = rest.first {
            rest = rest.dropFirst(first == "--config" ? 2 : 1)
            if !first.hasPrefix("-") { return first }
        }
        return nil
    }
}
