import Foundation
import Glibc
import Testing
import TidemarkTesting

/// SIGTERM at a service: it ends by itself, soon, with code 0, and whoever comes next goes on from there.
@Suite(.enabled(if: Stage.isPossible), .timeLimit(.minutes(3))) struct ShutdownTests {
    private static let rows = 12_000
    /// The longest an orderly end may take: the config's `shutdown`, and what a busy machine needs on top.
    private static let patience = Duration.seconds(15)

    private func load(_ stage: Stage, _ following: Following) async throws -> (BankView, BankModel) {
        let bank = BankView(following: following)
        var model = BankModel(following, seed: 7)
        try await stage.source.commit(model.schema(stage.source))
        try await stage.source.commit(model.open(Self.rows))
        try stage.define(bank.definitions)
        try await stage.succeed("source", "install", bank.name, "--apply")
        return (bank, model)
    }

    /// Runs `body` on a stage whose loads take a while: many small chunks, one at a time.
    private func slowly(_ kind: SourceKind, _ body: (Stage) async throws -> Void) async throws {
        try await Places.shared.with {
            try await Stage.with(
                kind, sync: "chunk_rows: 20\nchunks_in_flight: 1\nshutdown: 3s", body)
        }
    }

    @Test(arguments: SourceKind.available, [Following.tracked, .column])
    func aLoadEndsInGoodOrderAndIsGoneOnWith(_ kind: SourceKind, _ following: Following) async throws {
        try await slowly(kind) { stage in
            let (bank, _) = try await load(stage, following)
            let service = try stage.start(["sync"])
            let before = try await stage.probe.waitForRows(of: bank.name, version: 1, atLeast: 200)
            service.terminate()
            let ending = await service.ending(within: Self.patience)
            #expect(ending.code == 0 && !ending.timedOut, "\(ending.story)")
            let after = try await stage.probe.rowCount(of: bank.name, version: 1)
            #expect(after >= before && after < Self.rows, "the load was over: \(after) rows")

            // Nobody has to wait for a lease: it was given back. What was marked is not read again.
            let next = try await stage.succeed("sync", "--once", "--json")
            let read = try Runs.decode(next.output).map(\.read).reduce(0, +)
            #expect(read < Self.rows - 100, "\(read) of \(Self.rows) rows were read again, \(after) were there")
            try await expectInStep(stage, bank, "after the stop")
        }
    }

    @Test(arguments: SourceKind.available) func anIdleServiceEndsAtOnce(_ kind: SourceKind) async throws {
        try await Places.shared.with {
            try await Stage.with(kind) { stage in
                var (bank, model) = try await Self.small(stage)
                bank.every = "200ms"
                try stage.define(bank.definitions)
                let service = try stage.start(["sync"])
                try #require(await service.hasSaid("a run ended"), "\(service.errorText)")
                service.terminate()
                let ending = await service.ending(within: Self.patience)
                #expect(ending.code == 0 && !ending.timedOut, "\(ending.story)")
                try await stage.source.commit(model.change(20))
                try await stage.succeed("sync", "--once")
                try await expectInStep(stage, bank, "after the stop")
            }
        }
    }

    @Test(arguments: SourceKind.available) func anImpatientOperatorDoesNoHarm(_ kind: SourceKind) async throws {
        try await slowly(kind) { stage in
            let (bank, _) = try await load(stage, .tracked)
            let service = try stage.start(["sync"])
            _ = try await stage.probe.waitForRows(of: bank.name, version: 1, atLeast: 200)
            service.terminate()
            service.terminate()
            let ending = await service.ending(within: Self.patience)
            // The second one may end it the hard way, or find it ended.
            #expect((ending.code == 0 || ending.signal == SIGTERM) && !ending.timedOut, "\(ending.story)")
            try await stage.waitForLease(of: bank.name)
            try await stage.succeed("sync", "--once")
            try await expectInStep(stage, bank, "after two signals")
        }
    }

    @Test(arguments: SourceKind.available) func aSingleRunSaysThatItWasStopped(_ kind: SourceKind) async throws {
        try await slowly(kind) { stage in
            let (bank, _) = try await load(stage, .tracked)
            let run = try stage.start(["sync", "--once"])
            _ = try await stage.probe.waitForRows(of: bank.name, version: 1, atLeast: 200)
            run.terminate()
            let ending = await run.ending(within: Self.patience)
            #expect(ending.code == 1 && !ending.timedOut, "\(ending.story)")
            #expect(ending.errors.contains("stopped"), "\(ending.errors)")
            try await stage.succeed("sync", "--once")
            try await expectInStep(stage, bank, "after the stop")
        }
    }

    private static func small(_ stage: Stage) async throws -> (BankView, BankModel) {
        let bank = BankView(following: .tracked)
        var model = BankModel(.tracked, seed: 8)
        try await stage.source.commit(model.schema(stage.source))
        try await stage.source.commit(model.open(50))
        try stage.define(bank.definitions)
        try await stage.succeed("source", "install", bank.name, "--apply")
        return (bank, model)
    }
}

/// What `sync --once --json` prints: a part of each ledger entry.
struct Runs: Decodable {
    let view: String
    let version: Int
    let read: Int64
    let created: Int64
    let replaced: Int64
    let removed: Int64
    let renewed: Int64
    let older: Int64
    let quarantined: Int64

    /// Rows whose content changed in the store.
    var written: Int64 { created + replaced + removed }

    static func decode(_ text: String) throws -> [Runs] {
        try JSONDecoder().decode([Runs].self, from: Data(text.utf8))
    }
}
