import Foundation
import Glibc
import Testing
import TidemarkTesting

/// What holds for every command, and what commands leave behind.
@Suite(.enabled(if: Lab.isPossible), .timeLimit(.minutes(3)))
struct CommandTests {
    private struct Help: Decodable {
        let command: Command
    }

    private struct Command: Decodable {
        struct Argument: Decodable {
            struct Name: Decodable { let name: String }
            let names: [Name]?
        }

        let commandName: String
        let subcommands: [Command]?
        let arguments: [Argument]?

        /// The command itself, or those below it, without their own help; with the words that call each.
        func leaves(_ words: [String]) -> [(words: String, command: Command)] {
            let below = (subcommands ?? []).filter { $0.commandName != "help" }
            guard below.isEmpty else {
                return below.flatMap { $0.leaves(words + [$0.commandName]) }
            }
            return [(words.joined(separator: " "), self)]
        }
    }

    @Test func everyCommandThatPrintsSomethingPrintsJSON() async throws {
        let program = try #require(DaemonProcess.tidemark)
        let ending = try await DaemonProcess(program, ["--experimental-dump-help"]).ending()
        let help = try JSONDecoder().decode(Help.self, from: Data(ending.output.utf8))
        let leaves = help.command.leaves([])
        #expect(leaves.count > 30, "\(leaves.map(\.words))")
        // A daemon, and what is JSON already.
        let others = ["schema", "serve"]
        for leaf in leaves where !others.contains(leaf.words) {
            let names = (leaf.command.arguments ?? []).flatMap { $0.names ?? [] }.map(\.name)
            #expect(names.contains("json"), "\(leaf.words) has no --json")
        }
    }

    @Test func whatOperatorsChangeIsPrintedAsJSON() async throws {
        try await Lab.with { lab in
            try await lab.expect(["sync", "--once"], code: 0)
            for (arguments, wanted) in [
                (["pause", "activity"], #"{"paused":true,"view":"activity"}"#),
                (["resume", "activity"], #"{"paused":false,"view":"activity"}"#),
                (["watermark", "reset", "activity"], #"{"view":"activity"}"#),
                (["source", "install", "activity"], #"{"applied":false,"statements":[],"view":"activity"}"#),
                (["quarantine", "retry", "activity"], #"{"view":"activity","written":0,"wrong":0}"#),
                (["quarantine", "drop", "activity", "--all"], #"{"dropped":[],"view":"activity"}"#),
                (["erase", "--undo", "--entity", "user_id=9"], "[]"),
            ] {
                let ending = try await lab.expect(arguments + ["--json"], code: 0)
                let printed = ending.output.filter { !$0.isWhitespace }
                #expect(printed == wanted, "\(arguments)")
            }
        }
    }

    /// Root is who erases on a machine where the service is another user.
    @Test(.enabled(if: geteuid() == 0, "only root can give files away"))
    func theListOfErasedEntitiesBelongsToWhomItsFolderBelongs() async throws {
        try await Lab.with { lab in
            try lab.workdir.write(lab.config + "\n  erasures: kept/erasures.jsonl\n", to: "tidemark.yaml")
            let (folder, file) = (lab.workdir.file("kept"), lab.workdir.file("kept/erasures.jsonl"))
            let nobody: UInt32 = 65_534
            unsafe mkdir(folder, 0o750)
            #expect(unsafe chown(folder, nobody, nobody) == 0)
            try await lab.expect(["sync", "--once"], code: 0)
            for arguments in [
                ["--entity", "user_id=1"], ["--entity", "user_id=2"], ["--undo", "--entity", "user_id=1"],
            ] {
                try await lab.expect(["erase"] + arguments, code: 0)
                let owner = try FileManager.default.attributesOfItem(atPath: file)
                #expect(owner[.ownerAccountID] as? Int == Int(nobody), "after \(arguments)")
                #expect(owner[.groupOwnerAccountID] as? Int == Int(nobody), "after \(arguments)")
            }
            try await lab.expect(["sync", "--once"], code: 0)
        }
    }

    /// Validate, doctor and lookup need no store, source or definitions where everything is Feast's; its rows are
    /// `ops/feast/compare-test`'s matter.
    @Test func aConfigOfFeastsRowsAloneIsRight() async throws {
        try await Lab.with { lab in
            try lab.workdir.write(
                """
                project: beside
                serve: {feast: {registry: registry.db, redis: "\(lab.redis.url)", username: app, password: "env:LAB_PASSWORD"}}
                """, to: "tidemark.yaml")
            try await lab.expect(["validate"], code: 0, words: ["is right", "Feast's registry"])
            try await lab.expect(["doctor"], code: 1, words: [])
            try await lab.expect(
                ["lookup", "--features", "a:b", "--entity", "c=1"], code: 2, words: ["serve.feast", "registry.db"])
        }
    }
}
