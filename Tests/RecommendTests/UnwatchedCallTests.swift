import FeatureModel
import Recommend
import Testing
import TidemarkTesting

/// Calls that end in time by themselves, which are made without the runner.
@Suite(.timeLimit(.minutes(1)))
struct UnwatchedCallTests {
    @Test(arguments: [true, false])
    func aStoreThatFailsOpensTheBreakerWithTheFifthCallWhoeverWatches(endsInTime: Bool) async throws {
        try await Stage.with { stage in
            stage.rows.endsInTime = endsInTime
            stage.rows.mood = .failing
            for user in 1...5 {
                let answer = try await stage.ask(user: Int64(user))
                #expect(answer.rung == .popularity)
                #expect(answer.reasons["user"] == "unavailable")
            }
            let calls = stage.rows.calls
            let answer = try await stage.ask(user: 6)
            #expect(answer.reasons["user"] == "breaker_open")
            #expect(stage.rows.calls == calls)
            stage.rows.mood = .well
            stage.clock.advance(by: .seconds(31))
            for _ in 0..<4 { _ = try await stage.ask(user: 1) }
            let last = try await stage.ask(user: 1)
            #expect(last.rung == .ranking)
            #expect(last.degraded.isEmpty)
        }
    }

    @Test(arguments: [true, false])
    func aRankerThatFailsLeavesTheOrderOfRecall(isImmediate: Bool) async throws {
        try await Stage.with { stage in
            let first = try await stage.ask(user: 1)
            #expect(first.rung == .ranking)
            stage.ranker.endsInTime = isImmediate
            let same = try await stage.ask(user: 1)
            #expect(same.items == first.items)
            stage.ranker.mood = .failing
            for _ in 0..<5 {
                let answer = try await stage.ask(user: 1)
                #expect(answer.rung == .recall)
                #expect(answer.reasons["ranker"] == "failed")
            }
            let answer = try await stage.ask(user: 1)
            #expect(answer.reasons["ranker"] == "breaker_open")
        }
    }
}
