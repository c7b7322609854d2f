import ArgumentParser
import FeatureModel
import OnlineStore
import Sync

struct VersionsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "versions",
        abstract: "List a view's versions, activate one, or roll back.",
        discussion: """
            A changed definition or `sync --backfill` builds the next version beside the one that is read; the one before \
            stays in step for keep_previous, ready for a rollback.

            tidemark versions user_activity
            tidemark versions activate user_activity 2
            tidemark versions rollback user_activity
            """,
        subcommands: [List.self, Activate.self, Rollback.self], defaultSubcommand: List.self)

    struct List: ProjectCommand {
        static let configuration = CommandConfiguration(abstract: "List the versions of a view.")

        @ParentCommand var versionsCommand: VersionsCommand
        var root: Tidemark { versionsCommand.root }
        @OptionGroup var global: GlobalOptions
        @OptionGroup var output: OutputOptions

        @Argument(help: "The view.")
        var view: String

        func run(_ workspace: Workspace) async throws {
            let engine = try await workspace.engine()
            let versions = try await VersionsCommand.applied(view, engine)
            if output.json { return try Console.json(versions) }
            var table = Table(["VERSION", "STATE", "BEGUN", "ACTIVATED", "RETIRES", "WHY"], numbers: [0])
            for version in versions.versions {
                table.add([
                    "\(version.number)", version.state.rawValue, Words.time(version.createdAt),
                    Words.time(version.activatedAt), Words.time(version.retireAt), version.reason,
                ])
            }
            print(table.text)
        }
    }

    struct Activate: ProjectCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make a filled version the one that is read, in one step.")

        @ParentCommand var versionsCommand: VersionsCommand
        var root: Tidemark { versionsCommand.root }
        @OptionGroup var global: GlobalOptions

        @Argument(help: "The view.")
        var view: String

        @Argument(help: "The version's number.")
        var version: Int

        func run(_ workspace: Workspace) async throws {
            let engine = try await workspace.engine()
            try await VersionsCommand.flip(view, to: version, engine)
        }
    }

    struct Rollback: ProjectCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make the previous version the one that is read, in one step.")

        @ParentCommand var versionsCommand: VersionsCommand
        var root: Tidemark { versionsCommand.root }
        @OptionGroup var global: GlobalOptions

        @Argument(help: "The view.")
        var view: String

        func run(_ workspace: Workspace) async throws {
            let engine = try await workspace.engine()
            guard let previous = try await VersionsCommand.applied(view, engine).previous else {
                throw UsageError(
                    "view \(view) has no previous version to roll back to: it was never replaced, or keep_previous is over. "
                        + "`tidemark sync --backfill \(view)` builds a new one")
            }
            try await VersionsCommand.flip(view, to: previous.number, engine)
        }
    }

    @ParentCommand var root: Tidemark

    /// The versions of a view.
    ///
    /// - Throws: `SyncError.notApplied` where nothing is applied at all, else `UsageError` with the nearest view's name.
    static func applied(_ view: String, _ engine: SyncEngine) async throws -> ViewVersions {
        if let versions = try await engine.context.catalog.versions(of: view) { return versions }
        guard let record = try await engine.context.catalog.catalog()?.record else {
            throw SyncError.notApplied("project \(engine.context.project)")
        }
        throw UsageError("view \(view) is not applied to this store\(Nearest.hint(view, among: record.views))")
    }

    static func flip(_ view: String, to number: Int, _ engine: SyncEngine) async throws {
        let before = try await applied(view, engine)
        guard let version = before.version(number) else {
            let known = before.versions.map { "\($0.number)" }.joined(separator: ", ")
            throw UsageError("view \(view) has no version \(number); it has \(known)")
        }
        let keep = try engine.definition(of: version).keepPrevious
        let now = engine.context.time.wall()
        let after = try await engine.context.catalog.updateVersions(of: view) {
            $0.activate(number, at: now, keepPrevious: keep)
        }
        guard after.current?.number == number else {
            throw UsageError(
                "version \(number) of \(view) is \(version.state.rawValue): only a built or the previous version can be read"
            )
        }
        print("\(view): version \(number) is read from now on")
    }
}
