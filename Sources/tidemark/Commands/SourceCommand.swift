import ArgumentParser
import Extraction
import FeatureModel
import Sync

struct SourceCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "source", abstract: "Prepare sources.", subcommands: [Install.self])

    @ParentCommand var root: Tidemark

    struct Install: ProjectCommand {
        static let configuration = CommandConfiguration(
            abstract: "Triggers and columns for exact change tracking: prints the DDL.",
            discussion: """
                For views whose watermark names `track`. SQLite: a change log filled by triggers. PostgreSQL: an xid8 stamp \
                and a log of deletes. Running it twice does no harm.

                tidemark source install user_activity
                tidemark source install user_activity --apply
                """)

        private struct Report: Encodable {
            let view: String
            let statements: [String]
            let applied: Bool
        }

        @ParentCommand var sourceCommand: SourceCommand
        var root: Tidemark { sourceCommand.root }
        @OptionGroup var global: GlobalOptions
        @OptionGroup var output: OutputOptions

        @Argument(help: "The view.")
        var view: String

        @Flag(name: .long, help: "Run the statements instead of printing them.")
        var apply = false

        func run(_ workspace: Workspace) async throws {
            let view = try workspace.view(view)
            let engine = try await workspace.engine()
            let connector = try engine.connector(of: view)
            let statements = try await connector.installStatements(for: view)
            let isApplied = apply && !statements.isEmpty
            if isApplied { try await connector.install(for: view) }
            try output.show(
                Report(view: view.name, statements: statements, applied: isApplied), words: words(view, statements))
        }

        private func words(_ view: FeatureView, _ statements: [String]) -> String {
            if statements.isEmpty {
                return "-- view \(view.name) needs nothing installed: its watermark is a column of its query"
            }
            return apply
                ? "\(view.name): \(statements.count) statements run; changes are tracked from now on"
                : statements.map { "\($0);" }.joined(separator: "\n\n")
        }
    }
}
