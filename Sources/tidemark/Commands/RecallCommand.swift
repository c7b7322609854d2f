import ArgumentParser
import Extraction
import FeatureModel
import Logging
import Recall
import ServiceLifecycle
import Telemetry
import UnixSignals

struct RecallCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "recall",
        abstract: "Build the lists that recommendations are recalled from, list their versions, or go back.",
        discussion: """
            A list (`recall.lists` in the config) is built from events of a source into a new version, which is read back and \
            then made the live one in one step; a daemon follows by itself. The version before stays live if a build fails.

            tidemark recall build
            tidemark recall build popular --every 10m
            tidemark recall list
            tidemark recall rollback popular
            """,
        subcommands: [Build.self, List.self, Rollback.self], defaultSubcommand: List.self)

    @ParentCommand var root: Tidemark

    /// The config's section.
    static func config(_ workspace: Workspace) throws -> RecallConfig {
        if let recall = workspace.config.recall { return recall }
        throw UsageError("\(workspace.config.file) has no section `recall`: there are no lists to build")
    }

    static func directory(_ workspace: Workspace) throws -> String {
        ConfigFiles.resolve(try config(workspace).directory, from: workspace.configPath)
    }

    /// Those named, all where none is.
    static func lists(_ names: [String], _ workspace: Workspace) throws -> [RecallListConfig] {
        let config = try config(workspace)
        guard !names.isEmpty else { return config.lists }
        return try names.map { name in
            if let list = config.list(name) { return list }
            throw UsageError("there is no recall list \(name)\(Nearest.hint(name, among: config.lists.map(\.name)))")
        }
    }

    /// Runs work on lists; what goes wrong is one line, and 2 where the config has to be mended.
    static func reporting<Result>(_ body: () async throws -> Result) async throws -> Result {
        do {
            return try await body()
        } catch let error as RecallError {
            Console.error(error.description)
            throw error.code == .misconfigured ? Ending.usage : Ending.failed
        } catch let error as ExtractionError {
            Console.error(error.description)
            throw Ending.failed
        }
    }
}

extension RecallCommand {
    struct Build: ProjectCommand {
        static let configuration = CommandConfiguration(
            abstract: "Build lists into new versions and make those the live ones.",
            discussion: """
                Exit code 1 when a list could not be built; the others are built all the same.

                tidemark recall build
                tidemark recall build popular similar --json
                tidemark recall build --every 10m
                """)

        @ParentCommand var recallCommand: RecallCommand
        var root: Tidemark { recallCommand.root }
        @OptionGroup var global: GlobalOptions
        @OptionGroup var output: OutputOptions

        @Argument(help: "The lists (default: all).")
        var names: [String] = []

        @Option(name: .long, help: "Build again and again, from one start to the next, as in 10m, until SIGTERM.")
        var every: String?

        @Option(name: .long, help: "Leave out events after this time, as in 2026-01-31T00:00:00Z.")
        var until: String?

        func run(_ workspace: Workspace) async throws {
            let lists = try RecallCommand.lists(names, workspace)
            let cut = try cut()
            guard let every else {
                try await once(lists, cut, workspace)
                return
            }
            guard let interval = Duration(spelling: every), interval >= .seconds(1) else {
                throw UsageError("--every takes a time of at least 1s, as in 10m; not \(every)")
            }
            do {
                try await Signals.stopping {
                    while true {
                        let next = ContinuousClock.now + interval
                        _ = try await pass(lists, cut, workspace)
                        try await Task.sleep(until: next)
                    }
                }
            } catch is CancellationError {
                Console.note("stopped: what was built is live")
            }
        }

        private func once(_ lists: [RecallListConfig], _ cut: Int64?, _ workspace: Workspace) async throws {
            let isDone: Bool
            do {
                isDone = try await Signals.stopping { try await pass(lists, cut, workspace) }
            } catch is CancellationError {
                Console.note("stopped: what was built is live, of the rest the version before")
                throw Ending.failed
            }
            if !isDone { throw Ending.failed }
        }

        private func cut() throws -> Int64? {
            guard let until else { return nil }
            if let time = Timestamps.parse(until) { return time }
            throw UsageError("--until takes a time, as in 2026-01-31T00:00:00Z; not \(until)")
        }

        /// Builds each list.
        ///
        /// - Returns: Whether all could be built.
        private func pass(_ lists: [RecallListConfig], _ cut: Int64?, _ workspace: Workspace) async throws -> Bool {
            let builder = try workspace.recallBuilder()
            let lines = StageLines()
            var isDone = true
            for list in lists {
                do {
                    let report = try await RecallCommand.reporting {
                        try await builder.build(list.name, until: cut) { progress in
                            lines.line("\(progress.list) \(progress.stage.rawValue)")
                                .update(progress.done, of: progress.total)
                        }
                    }
                    lines.finish()
                    if output.json {
                        try Console.json(RecallVersionLine(report.manifest, isLive: true))
                    } else {
                        print(RecallWords.describe(report))
                    }
                } catch is Ending {
                    lines.finish()
                    isDone = false
                }
            }
            return isDone
        }
    }

    struct List: ProjectCommand {
        static let configuration = CommandConfiguration(
            abstract: "List the versions of the lists, and which are live.",
            discussion: "Exit code 3 when a list was never built, or its live version is not whole.")

        @ParentCommand var recallCommand: RecallCommand
        var root: Tidemark { recallCommand.root }
        @OptionGroup var global: GlobalOptions
        @OptionGroup var output: OutputOptions

        @Argument(help: "The lists (default: all).")
        var names: [String] = []

        func run(_ workspace: Workspace) async throws {
            let directory = try RecallCommand.directory(workspace)
            let config = try RecallCommand.config(workspace)
            var lines: [RecallVersionLine] = []
            for list in try RecallCommand.lists(names, workspace) {
                let folder = RecallFolder(directory: directory, list: list.name)
                lines += try await RecallCommand.reporting { try versions(of: list, folder, config.maximumBytes) }
            }
            if output.json { try Console.json(lines) } else { print(RecallWords.table(lines)) }
            if lines.contains(where: { $0.isLive && $0.fault != nil }) { throw Ending.differs }
        }

        private func versions(
            of list: RecallListConfig, _ folder: RecallFolder, _ limit: Int
        ) throws -> [RecallVersionLine] {
            let live = try folder.current()
            var lines: [RecallVersionLine] = []
            for version in try folder.versions().reversed() {
                do throws(RecallError) {
                    // All of the live one is looked at, since it is what is read.
                    let manifest =
                        try version == live ? folder.load(version, limit: limit).0 : folder.manifest(version)
                    lines.append(RecallVersionLine(manifest, isLive: version == live))
                } catch {
                    lines.append(RecallVersionLine(list, version, fault: error.description, isLive: version == live))
                }
            }
            if !lines.contains(where: \.isLive) {
                let fault =
                    live.map { "version \($0) is live and not there" }
                    ?? "never built: tidemark recall build \(list.name)"
                lines.insert(RecallVersionLine(list, live, fault: fault, isLive: true), at: 0)
            }
            return lines
        }
    }

    struct Rollback: ProjectCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make the version before the live one the live one, in one step.",
            discussion: """
                The next build makes a newer version live again.

                tidemark recall rollback popular
                tidemark recall rollback popular --to 3
                """)

        private struct Report: Encodable {
            let list: String
            let before: UInt64
            let after: UInt64
        }

        @ParentCommand var recallCommand: RecallCommand
        var root: Tidemark { recallCommand.root }
        @OptionGroup var global: GlobalOptions
        @OptionGroup var output: OutputOptions

        @Argument(help: "The list.")
        var name: String

        @Option(name: .long, help: "The version's number (default: the one before the live one).")
        var to: UInt64?

        func run(_ workspace: Workspace) async throws {
            _ = try RecallCommand.lists([name], workspace)
            let folder = RecallFolder(directory: try RecallCommand.directory(workspace), list: name)
            let limit = try RecallCommand.config(workspace).maximumBytes
            let flip = try await RecallCommand.reporting { try folder.rollBack(to: to, limit: limit) }
            try output.show(
                Report(list: name, before: flip.before, after: flip.after),
                words: "\(name): version \(flip.after) is live from now on, instead of \(flip.before)")
        }
    }
}

extension Workspace {
    /// Builds the config's lists.
    func recallBuilder() throws -> RecallBuilder {
        let config = try RecallCommand.config(self)
        var entities: [String: Entity] = [:]
        for view in catalog.views { entities[view.entity.name] = view.entity }
        return RecallBuilder(
            config, entities: Array(entities.values), directory: try RecallCommand.directory(self),
            now: SQLiteConnector.Options.systemClock
        ) { name in try await self.querySource(name) }
    }
}
