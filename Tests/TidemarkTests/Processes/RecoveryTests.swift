import Testing
import TidemarkTesting

/// A store that lost what it had is filled again by services that go on running, and soon.
@Suite(.enabled(if: Stage.isPossible), .timeLimit(.minutes(3))) struct RecoveryTests {
    /// How a store comes back.
    enum Loss: String, CaseIterable, Sendable {
        case empty
        case olderCopy
    }

    @Test(arguments: Loss.allCases) func aStoreThatForgotIsFilledAgain(_ loss: Loss) async throws {
        try await Places.shared.with {
            try await Stage.with(.sqlite, sync: "breaker: {failures: 20, open: 300ms}") { stage in
                let banks = Following.allCases.map { BankView(following: $0, every: "200ms") }
                var models = banks.map { BankModel($0.following, seed: 5) }
                for index in models.indices {
                    try await stage.source.commit(models[index].schema(stage.source))
                    try await stage.source.commit(models[index].open(100))
                }
                try stage.define(BankView.definitions(banks))
                for bank in banks { try await stage.succeed("source", "install", bank.name, "--apply") }
                let services = try [stage.start(["sync"]), stage.start(["sync"])]
                try await waitUntilInStep(stage, banks, within: .seconds(20))
                try await stage.probe.run("SAVE", [])
                for index in models.indices { try await stage.source.commit(models[index].change(40)) }
                try await waitUntilInStep(stage, banks, within: .seconds(10))
                stage.redis.stop(.kill)
                try stage.redis.start(erasing: loss == .empty)
                // The interval of a view, the pauses behind failures, and the work; not minutes.
                try await waitUntilInStep(stage, banks, within: .seconds(8))
                for service in services {
                    service.terminate()
                    let ending = await service.ending(within: .seconds(15))
                    #expect(ending.code == 0, "\(ending.story)")
                }
            }
        }
    }

    /// Compares until all views are in step; only how long that takes is up to the clock.
    private func waitUntilInStep(_ stage: Stage, _ banks: [BankView], within limit: Duration) async throws {
        let end = ContinuousClock.now + limit
        var last = ""
        while ContinuousClock.now < end {
            last = ""
            for bank in banks {
                do {
                    let comparison = try await Comparison.make(stage, bank)
                    if !comparison.isInStep { last += "\(bank.name): \(comparison.text) " }
                } catch {
                    last += "\(bank.name): \(error) "
                }
            }
            if last.isEmpty { return }
            try await Task.sleep(for: .milliseconds(100))
        }
        Issue.record("not in step after \(limit): \(last)\n\(try await stage.run("status").output)")
    }
}
