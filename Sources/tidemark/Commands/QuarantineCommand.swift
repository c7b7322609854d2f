import ArgumentParser
import FeatureModel
import Sync

struct QuarantineCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "quarantine",
        abstract: "Rows that broke a rule and did not reach the store.",
        discussion: """
            The entity's last good row stays in the store. A row that was mended at the source heals with its next change, \
            with the next sweep, or with `retry`.

            tidemark quarantine list user_activity
            tidemark quarantine show user_activity 42
            tidemark quarantine retry user_activity
            tidemark quarantine drop user_activity 42
            """,
        subcommands: [List.self, Show.self, Retry.self, Drop.self], defaultSubcommand: List.self)

    @ParentCommand var root: Tidemark

    private static func unknown(_ id: String, _ view: String) -> UsageError {
        UsageError("view \(view) has no quarantined row \(id); `tidemark quarantine list \(view)` lists them")
    }

    struct List: ProjectCommand {
        static let configuration = CommandConfiguration(
            abstract: "List quarantined rows, the most recently seen first.",
            discussion: "Exit code 3 when there are any.")

        @ParentCommand var quarantineCommand: QuarantineCommand
        var root: Tidemark { quarantineCommand.root }
        @OptionGroup var global: GlobalOptions
        @OptionGroup var output: OutputOptions

        @Argument(help: "The view (default: all).")
        var view: String?

        @Option(name: .long, help: "How many to print.")
        var limit = 50

        func run(_ workspace: Workspace) async throws {
            try await workspace.readApplied()
            if let view { try await workspace.checkApplied([view]) }
            let engine = try await workspace.engine()
            var entries: [QuarantineEntry] = []
            for name in view.map({ [$0] }) ?? workspace.appliedViews {
                entries += try await engine.context.quarantine.entries(of: name)
            }
            let shown = Array(entries.prefix(max(0, limit)))
            if output.json {
                try Console.json(shown)
            } else if entries.isEmpty {
                print("nothing is quarantined")
            } else {
                var table = Table(["VIEW", "ID", "COLUMN", "RULE", "REASON", "LAST SEEN"])
                for entry in shown {
                    table.add([
                        entry.view, entry.id, entry.column, entry.rule, entry.reason, Words.time(entry.lastSeen),
                    ])
                }
                print(table.text)
                if shown.count < entries.count { print("… \(entries.count - shown.count) more; --limit shows them") }
            }
            if !entries.isEmpty { throw Ending.differs }
        }
    }

    struct Show: ProjectCommand {
        static let configuration = CommandConfiguration(abstract: "Show one quarantined row, as JSON.")

        @ParentCommand var quarantineCommand: QuarantineCommand
        var root: Tidemark { quarantineCommand.root }
        @OptionGroup var global: GlobalOptions
        @OptionGroup var output: OutputOptions

        @Argument(help: "The view.")
        var view: String

        @Argument(help: "The id that `list` prints.")
        var id: String

        func run(_ workspace: Workspace) async throws {
            try await workspace.readApplied()
            try await workspace.checkApplied([view])
            let entries = try await workspace.engine().context.quarantine.entries(of: view)
            guard let entry = entries.first(where: { $0.id == id }) else {
                throw QuarantineCommand.unknown(id, view)
            }
            try Console.json(entry)
        }
    }

    struct Retry: ProjectCommand {
        static let configuration = CommandConfiguration(
            abstract: "Read quarantined entities again from the source and write those that are right now.")

        private struct Report: Encodable {
            let view: String
            let written: Int
            let wrong: Int
        }

        @ParentCommand var quarantineCommand: QuarantineCommand
        var root: Tidemark { quarantineCommand.root }
        @OptionGroup var global: GlobalOptions
        @OptionGroup var output: OutputOptions

        @Argument(help: "The view.")
        var view: String

        @Argument(help: "Ids (default: all).")
        var ids: [String] = []

        func run(_ workspace: Workspace) async throws {
            try await workspace.prepareStore()
            try await workspace.checkApplied([view])
            let known = try await workspace.engine().context.quarantine.ids(of: view)
            if let id = ids.first(where: { !known.contains($0) }) { throw QuarantineCommand.unknown(id, view) }
            let (written, wrong) = try await workspace.engine().retryQuarantine(view, ids: ids)
            try output.show(
                Report(view: view, written: written, wrong: wrong),
                words: "\(view): \(written) written or gone at the source, \(wrong) still wrong")
            if wrong > 0 { throw Ending.differs }
        }
    }

    struct Drop: ProjectCommand {
        static let configuration = CommandConfiguration(
            abstract: "Forget quarantined rows without writing them.",
            discussion: "A row that is still wrong comes back with its next change or sweep.")

        private struct Report: Encodable {
            let view: String
            let dropped: [String]
        }

        @ParentCommand var quarantineCommand: QuarantineCommand
        var root: Tidemark { quarantineCommand.root }
        @OptionGroup var global: GlobalOptions
        @OptionGroup var output: OutputOptions

        @Argument(help: "The view.")
        var view: String

        @Argument(help: "Ids.")
        var ids: [String] = []

        @Flag(name: .long, help: "All of them.")
        var all = false

        func validate() throws {
            if ids.isEmpty != all { throw ValidationError("give ids, or --all") }
        }

        func run(_ workspace: Workspace) async throws {
            try await workspace.readApplied()
            try await workspace.checkApplied([view])
            let quarantine = try await workspace.engine().context.quarantine
            let known = try await quarantine.ids(of: view)
            if let id = ids.first(where: { !known.contains($0) }) { throw QuarantineCommand.unknown(id, view) }
            let dropped = all ? Array(known) : ids
            try await quarantine.remove(dropped, from: view)
            try output.show(
                Report(view: view, dropped: dropped.sorted()),
                words: "\(view): \(Words.count(dropped.count, "row")) dropped")
        }
    }
}
