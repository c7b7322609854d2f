import Glibc
import Testing
import TidemarkTesting

/// What operators, files, sources and stores get wrong: each ends with a clear error and an exit code, and loses nothing.
@Suite(.enabled(if: Lab.isPossible), .timeLimit(.minutes(3)), .serialized)
struct WrongInputTests {
    @Test(arguments: WrongCase.files + WrongCase.source + WrongCase.store)
    func itIsSaidClearlyAndNothingIsLost(_ wrong: WrongCase) async throws {
        try await Lab.with { lab in
            try await lab.expect(["sync", "--once"], code: 0)
            try await lab.change()
            try await wrong.spoil(lab)
            try await lab.expect(
                wrong.arguments, code: wrong.code, words: wrong.words, environment: wrong.environment,
                prefix: wrong.prefix)
            try await wrong.mend(lab)
            try await lab.expect(["sync", "--once"], code: 0)
            try await lab.expectInStep(wrong.name)
        }
    }

    /// Needs a file system of its own, which only root can mount.
    @Test(.enabled(if: Lab.canMount))
    func aFullDiskUnderTheSourceIsSaidAndLosesNothing() async throws {
        try await Lab.with { lab in
            try await lab.expect(["sync", "--once"], code: 0)
            try await lab.change()
            try lab.workdir.write(Lab.trackedDefinitions, to: "definitions/lab.yaml")
            try await lab.onFullDisk("shop.db") {
                try await lab.expect(
                    ["source", "install", "tracked", "--apply"], code: 1, words: ["shop.db", "disk is full"])
                try await lab.expect(["sync", "--once"], code: 0, words: ["activity v1"])
            }
            try await lab.expect(["source", "install", "tracked", "--apply"], code: 0)
            try await lab.expect(["apply"], code: 0)
            try await lab.expect(["sync", "--once"], code: 0)
            try await lab.expectInStep("with room on the disk")
        }
    }

    /// The store in a file goes wrong in ways of its own.
    @Test func theEmbeddedStoreSaysWhatIsWrongToo() async throws {
        try await Lab.with { lab in
            try lab.workdir.write(lab.config(store: "{url: \"sqlite:store.db\"}"), to: "tidemark.yaml")
            try await lab.expect(["sync", "--once"], code: 0)
            try await lab.change()

            try await lab.execute("PRAGMA user_version = 99", in: "store.db")
            for command in [["sync", "--once"], ["lookup", "--service", "ranker", "--entity", "user_id=1"]] {
                try await lab.expect(
                    command, code: 1, words: ["online_store", "newer version", "schema 99", "upgrade"])
            }
            try await lab.execute("PRAGMA user_version = 1", in: "store.db")

            try lab.move("store.db", "kept")
            try lab.workdir.write(String(repeating: "this is no database\n", count: 500), to: "store.db")
            try await lab.expect(["sync", "--once"], code: 1, words: ["online_store", "store.db", "not a database"])
            lab.remove("store.db")
            unsafe mkdir(lab.workdir.file("store.db"), 0o700)
            try await lab.expect(
                ["sync", "--once"], code: 1, words: ["store.db", "can't be opened", "online_store.url"])
            lab.remove("store.db")
            try lab.move("kept", "store.db")

            try await lab.expect(["sync", "--once"], code: 0)
            try await lab.expectInStep("with the store back in its place")
        }
    }

    @Test(.enabled(if: Lab.canMount))
    func aFullDiskUnderTheEmbeddedStoreIsSaidAndLosesNothing() async throws {
        try await Lab.with { lab in
            try lab.workdir.write(lab.config(store: "{url: \"sqlite:store.db\"}"), to: "tidemark.yaml")
            try await lab.expect(["sync", "--once"], code: 0)
            try await lab.change()
            try await lab.onFullDisk("store.db") {
                try await lab.expect(["sync", "--once"], code: 1, words: ["online_store", "disk"])
            }
            try await lab.expect(["sync", "--once"], code: 0)
            try await lab.expectInStep("with room on the disk")
        }
    }

    /// `sync` that reads what a first sync never saw: no definitions in the store, no rows.
    @Test func anEmptyStoreSaysWhatToDo() async throws {
        try await Lab.with { lab in
            try await lab.expect(["status"], code: 0, words: ["Nothing is applied", "tidemark apply"])
            for command in [
                ["lookup", "--service", "ranker", "--entity", "user_id=1"],
                ["explain", "activity", "--entity", "user_id=1"],
                ["versions", "activity"], ["watermark", "get", "activity"], ["quarantine", "list"], ["verify"],
                ["pause", "activity"], ["watermark", "reset", "activity"],
            ] {
                try await lab.expect(command, code: 1, words: ["not applied to this store", "tidemark apply"])
            }
            try await lab.expect(["apply"], code: 0)
            try await lab.expect(
                ["lookup", "--service", "ranker", "--entity", "user_id=1"], code: 2,
                words: ["no filled version yet", "tidemark sync --once activity"])
        }
    }

    @Test func whatIsMistypedIsNamedWithWhatWasMeant() async throws {
        let lookup = ["lookup", "--features", "activity:views", "--entity"]
        let table: [(arguments: [String], words: [String])] = [
            (["syncc"], ["no command syncc", "did you mean sync?"]),
            (["sync", "--onze"], ["'--onze'", "'--once'"]),
            (["sync", "--once", "activty"], ["activty", "did you mean activity?"]),
            (["sync", "--backfill", "activty"], ["did you mean activity?"]),
            (["sync", "--backfill"], ["by name"]),
            (["verify", "activty"], ["did you mean activity?"]),
            (["versions", "activty"], ["did you mean activity?"]),
            (["versions", "activate", "activty", "1"], ["did you mean activity?"]),
            (["versions", "activate", "activity", "7"], ["no version 7", "it has 1"]),
            (["versions", "rollback", "activty"], ["did you mean activity?"]),
            (["versions", "rollback", "activity"], ["no previous version"]),
            (["watermark", "activty"], ["did you mean activity?"]),
            (["watermark", "set", "activty", "end:i1,i1"], ["did you mean activity?"]),
            (["watermark", "reset", "activty"], ["did you mean activity?"]),
            (["pause", "activty"], ["did you mean activity?"]), (["resume", "activty"], ["did you mean activity?"]),
            (["explain", "activty", "--entity", "user_id=1"], ["did you mean activity?"]),
            (["explain", "activity", "--entity", "user_id=1,2"], ["one entity"]),
            (["source", "install", "activty"], ["did you mean activity?"]),
            (["quarantine", "list", "activty"], ["did you mean activity?"]),
            (["quarantine", "show", "activty", "1"], ["did you mean activity?"]),
            (["quarantine", "show", "activity", "9"], ["no quarantined row 9", "quarantine list"]),
            (["quarantine", "retry", "activity", "9"], ["no quarantined row 9"]),
            (["quarantine", "drop", "activity", "9"], ["no quarantined row 9"]),
            (["quarantine", "drop", "activity"], ["--all"]),
            (["lookup", "--service", "rankr", "--entity", "user_id=1"], ["did you mean ranker?"]),
            (["lookup", "--features", "activity:view", "--entity", "user_id=1"], ["did you mean views?"]),
            (["lookup", "--features", "views", "--entity", "user_id=1"], ["view:feature"]),
            (lookup + ["user=1"], ["no key user", "user_id"]), (lookup + ["user_id"], ["KEY=VALUE"]),
            (lookup + ["user_id="], ["user_id=… is missing"]), (lookup + ["user_id=one"], ["int64"]),
            (["erase", "--entity", "usr=1"], ["user (user_id)"]),
            (["erase", "--entity", "user_id=1,2"], ["one entity"]),
        ]
        try await Lab.with { lab in
            try await lab.expect(["sync", "--once"], code: 0)
            for row in table { try await lab.expect(row.arguments, code: 2, words: row.words) }
            try await lab.expectInStep("after all of it")
        }
    }

    @Test func outputThatCantBeWrittenIsAnErrorUnlessTheReaderLeft() async throws {
        try await Lab.with { lab in
            try await lab.expect(["sync", "--once"], code: 0)
            let shell = ["/bin/bash", "-c"]
            func piped(_ words: String) -> [String] { shell + [words, "tidemark"] }
            try await lab.expect(
                ["schema", "config"], code: 1, words: ["standard output", "No space left"],
                prefix: piped("\"$1\" \"${@:2}\" > /dev/full"))
            try await lab.expect(
                ["schema", "config"], code: 0, prefix: piped("\"$1\" \"${@:2}\" | head -1; exit ${PIPESTATUS[0]}"))
            try await lab.expect(["sync", "--once"], code: 0, prefix: piped("\"$1\" \"${@:2}\" 2>&-"))
            try await lab.expect(["sync", "--once"], code: 0, prefix: piped("unset HOME; cd /; \"$1\" \"${@:2}\""))
        }
    }
}
