import ArgumentParser
import Foundation
import Glibc

/// The one binary.
@main struct Tidemark: AsyncParsableCommand {
    static let version = "0.1.0"

    static let configuration = CommandConfiguration(
        commandName: "tidemark",
        abstract: "A feature store that keeps feature rows in step with the databases they come from.",
        discussion: """
            Definitions (entities, views, services) are YAML files in the folder that the config names. `apply` publishes \
            them to the online store, `sync` keeps the store in step with the sources, `lookup` reads features back.

            The config is tidemark.yaml in the working folder, --config FILE, or the variable TIDEMARK_CONFIG.

            Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 something was quarantined or differs.
            """,
        version: version,
        groupedSubcommands: [
            CommandGroup(name: "Definitions", subcommands: [Validate.self, Plan.self, Apply.self, SchemaCommand.self]),
            CommandGroup(
                name: "Sync",
                subcommands: [
                    SyncCommand.self, StatusCommand.self, VerifyCommand.self, VersionsCommand.self,
                    WatermarkCommand.self, PauseCommand.self, ResumeCommand.self, SourceCommand.self,
                ]),
            CommandGroup(name: "Serving", subcommands: [ServeCommand.self]),
            CommandGroup(
                name: "Recommending",
                subcommands: [RecallCommand.self, TrainCommand.self, ModelsCommand.self, RecommendCommand.self]),
            CommandGroup(
                name: "Rows",
                subcommands: [LookupCommand.self, ExplainCommand.self, EraseCommand.self, QuarantineCommand.self]),
            CommandGroup(
                name: "Operation",
                subcommands: [
                    AdminCommand.self, DoctorCommand.self, SeedCommand.self, ImportCommand.self, VersionCommand.self,
                ]),
        ])

    @OptionGroup var global: GlobalOptions

    static func main() async {
        // A peer that closes its socket must not end the process.
        _ = signal(SIGPIPE, SIG_IGN)
        do {
            var command = try parseAsRoot()
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
            try Console.checkOutput()
        } catch let ending as Ending {
            // What was printed before counts less than how it ended.
            try? Console.checkOutput()
            Glibc.exit(ending.code)
        } catch {
            let code = exitCode(for: error)
            let message = fullMessage(for: error)
            if code == .success {
                print(message)
                Glibc.exit(0)
            }
            Console.error(Mistyping.words(message, arguments: Array(CommandLine.arguments.dropFirst())))
            Glibc.exit(code == .validationFailure ? Ending.usage.code : Ending.failed.code)
        }
    }
}

/// How a command ends when its words are already printed.
enum Ending: Error {
    case failed
    case usage
    case differs

    var code: Int32 {
        switch self {
        case .failed: 1
        case .usage: 2
        case .differs: 3
        }
    }
}

/// What every command takes.
struct GlobalOptions: ParsableArguments {
    @Option(
        name: .long, help: "The configuration file (default: $TIDEMARK_CONFIG, else tidemark.yaml).",
        completion: .file(extensions: ["yaml", "yml"]))
    var config: String?
}

/// What every command that prints something takes.
struct OutputOptions: ParsableArguments {
    @Flag(name: .long, help: "Print JSON.")
    var json = false

    /// Prints one result, as JSON or in words.
    func show(_ report: some Encodable, words: String) throws {
        if json { try Console.json(report) } else { print(words) }
    }
}

/// A command that works on a project: finds the config wherever it was given.
protocol ProjectCommand: AsyncParsableCommand {
    var root: Tidemark { get }
    var global: GlobalOptions { get }
    func run(_ workspace: Workspace) async throws
}

extension ProjectCommand {
    /// Loads the project, runs, and turns what goes wrong into words and an exit code.
    func run() async throws {
        let workspace: Workspace
        do {
            workspace = try Workspace.load(configPath: global.config ?? root.global.config)
        } catch {
            Console.error("\(error)")
            throw Ending.usage
        }
        try await Console.reporting {
            try await run(workspace)
        }
        await workspace.close()
    }
}
