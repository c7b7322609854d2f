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
        @OptionGroup var output: OutputOptions

        @Argument(help: "The view.")
        var view: String

        @Argument(help: "The version's number.")
        var version: Int

        func run(_ workspace: Workspace) async throws {
            let view = view
            let flip = try await VersionsCommand.operating {
                try await workspace.viewOperator().activate(view, version)
            }
            try output.show(Report(view, flip), words: "\(view): version \(flip.after) is read from now on")
        }
    }

    struct Rollback: ProjectCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make the previous version the one that is read, in one step.")

        @ParentCommand var versionsCommand: VersionsCommand
        var root: Tidemark { versionsCommand.root }
        @OptionGroup var global: GlobalOptions
        @OptionGroup var output: OutputOptions

        @Argument(help: "The view.")
        var view: String

        func run(_ workspace: Workspace) async throws {
            let view = view
            let flip = try await VersionsCommand.operating { try await workspace.viewOperator().rollback(view) }
            try output.show(Report(view, flip), words: "\(view): version \(flip.after) is read from now on")
        }
    }

    @ParentCommand var root: Tidemark

    /// Which version was read, and which is.
    struct Report: Encodable {
        let view: String
        let before: Int?
        let after: Int

        init(_ view: String, _ flip: ViewOperator.Flip) {
            (self.view, before, after) = (view, flip.before, flip.after)
        }
    }

    /// The versions of a view.
    ///
    /// - Throws: `SyncError.notApplied` where nothing is applied at all, else `UsageError` with the nearest view's name.
    static func applied(_ view: String, _ engine: SyncEngine) async throws -> ViewVersions {
        let context = engine.context
        return try await operating {
            try await ViewOperator(
                project: context.project, store: context.store, owner: context.settings.owner, now: context.time.wall
            ).versions(of: view)
        }
    }

    /// Runs an operator's work; what is refused is wrong usage, what fails is the store's error.
    static func operating<Result>(_ work: () async throws -> Result) async throws -> Result {
        do {
            return try await work()
        } catch let error as OperatorError {
            switch error {
            case .notApplied(let project): throw SyncError.notApplied("project \(project)")
            case .store(let error): throw error
            case .leaseHeld(let view, let owner): throw SyncError.leaseHeld(view: view, owner: owner)
            default: throw UsageError(error.description)
            }
        }
    }
}
