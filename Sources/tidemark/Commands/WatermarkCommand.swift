import ArgumentParser
import FeatureModel
import OnlineStore
import Sync

struct WatermarkCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "watermark",
        abstract: "Show, set or forget how far a view got.",
        discussion: """
            tidemark watermark user_activity
            tidemark watermark reset user_activity
            """,
        subcommands: [Get.self, Set.self, Reset.self], defaultSubcommand: Get.self)

    @ParentCommand var root: Tidemark

    /// Where the next pass reads on.
    struct Report: Encodable {
        let view: String
        /// `nil`: from the start.
        let watermark: String?
    }

    struct Get: ProjectCommand {
        static let configuration = CommandConfiguration(abstract: "Show the markers of a view's versions.")

        @ParentCommand var watermarkCommand: WatermarkCommand
        var root: Tidemark { watermarkCommand.root }
        @OptionGroup var global: GlobalOptions
        @OptionGroup var output: OutputOptions

        @Argument(help: "The view.")
        var view: String

        func run(_ workspace: Workspace) async throws {
            let engine = try await workspace.engine()
            var states: [String: MarkerState] = [:]
            for version in try await VersionsCommand.applied(view, engine).synced {
                let definition = try engine.definition(of: version)
                states["\(version.number)"] = try await engine.markerState(of: definition, version: version.number)
            }
            if output.json { return try Console.json(states) }
            for (version, state) in states.sorted(by: { $0.key < $1.key }) {
                print("version \(version): \(state.cursor)  (\(state.phase.rawValue), epoch \(state.epoch))")
            }
            if states.isEmpty { print("no marker yet") }
        }
    }

    struct Set: ProjectCommand {
        static let configuration = CommandConfiguration(
            abstract: "Set a view's watermark; the next pass reads on from there.",
            discussion:
                """
                Give it in the form that `watermark get` prints. Reading again is harmless; skipping ahead is not: what is \
                skipped comes only with the next sweep.

                tidemark watermark set user_activity 'end:t2015-06-01T23:07:56.370Z,i88'
                """)

        @ParentCommand var watermarkCommand: WatermarkCommand
        var root: Tidemark { watermarkCommand.root }
        @OptionGroup var global: GlobalOptions
        @OptionGroup var output: OutputOptions

        @Argument(help: "The view.")
        var view: String

        @Argument(help: "The watermark.")
        var watermark: String

        func run(_ workspace: Workspace) async throws {
            let engine = try await workspace.engine()
            _ = try await VersionsCommand.applied(view, engine)
            try await engine.setWatermark(view, to: watermark)
            try output.show(
                Report(view: view, watermark: watermark), words: "\(view): the next sync reads on from \(watermark)")
        }
    }

    struct Reset: ProjectCommand {
        static let configuration = CommandConfiguration(
            abstract: "Forget a view's watermark: the next pass loads all rows again, over the ones that are there.")

        @ParentCommand var watermarkCommand: WatermarkCommand
        var root: Tidemark { watermarkCommand.root }
        @OptionGroup var global: GlobalOptions
        @OptionGroup var output: OutputOptions

        @Argument(help: "The view.")
        var view: String

        func run(_ workspace: Workspace) async throws {
            let engine = try await workspace.engine()
            _ = try await VersionsCommand.applied(view, engine)
            try await engine.resetWatermark(view)
            try output.show(Report(view: view, watermark: nil), words: "\(view): the next sync loads all rows again")
        }
    }
}

struct PauseCommand: ProjectCommand {
    static let configuration = CommandConfiguration(
        commandName: "pause", abstract: "Keep every sync away from a view until `resume`.")

    @ParentCommand var root: Tidemark
    @OptionGroup var global: GlobalOptions
    @OptionGroup var output: OutputOptions

    @Argument(help: "The view.")
    var view: String

    func run(_ workspace: Workspace) async throws {
        try await PauseCommand.set(view, true, workspace, output)
    }

    private struct Report: Encodable {
        let view: String
        let paused: Bool
    }

    static func set(
        _ view: String, _ paused: Bool, _ workspace: Workspace, _ output: OutputOptions
    ) async throws {
        _ = try await VersionsCommand.operating { try await workspace.viewOperator().setPaused(view, paused) }
        try output.show(
            Report(view: view, paused: paused),
            words: paused
                ? "\(view) is paused; its rows still expire after its ttl" : "\(view) goes on with its next turn")
    }
}

struct ResumeCommand: ProjectCommand {
    static let configuration = CommandConfiguration(commandName: "resume", abstract: "Let a paused view go on.")

    @ParentCommand var root: Tidemark
    @OptionGroup var global: GlobalOptions
    @OptionGroup var output: OutputOptions

    @Argument(help: "The view.")
    var view: String

    func run(_ workspace: Workspace) async throws {
        try await PauseCommand.set(view, false, workspace, output)
    }
}
