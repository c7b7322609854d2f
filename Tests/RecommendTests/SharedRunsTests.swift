import FeatureModel
import Telemetry
import Testing
import TidemarkTesting

@testable import Recommend

/// Requests that ask for the same at the same time.
@Suite(.timeLimit(.minutes(2)))
struct SharedRunsTests {
    private let start = ContinuousClock.now
    private static let failed = SharedRuns.Outcome.failure(RecommendError(.unavailable, "asked for"))

    private static func key(_ user: Int64) throws -> SharedRuns.Key {
        let request = RecommendRequest(pipeline: "home", entity: ["user_id": .integer(user)])
        let user = try #require(EntityKey([.integer(user)]))
        return try #require(SharedRuns.Key(request, user: user, k: 5))
    }

    private func answer(_ number: Int64) -> SharedRuns.Outcome {
        .success(
            RecommendAnswer(
                items: [.init(id: .integer(number), score: 1, source: "s")], rung: .recall, model: nil, version: nil,
                degraded: [], explain: nil))
    }

    private func number(_ outcome: SharedRuns.Outcome) -> Int64? { try? outcome.get().ids.first }

    /// Begins a run that lasts until `body` is over, and then gives `outcome`.
    private func during(
        _ runs: SharedRuns, _ key: SharedRuns.Key, time: Duration = .milliseconds(80), _ outcome: SharedRuns.Outcome,
        _ body: () async -> Void
    ) async {
        let (ends, end) = AsyncStream.makeStream(of: Void.self)
        let (begins, begin) = AsyncStream.makeStream(of: Void.self)
        async let first = runs.outcome(key, from: start, to: start + time, enough: time) {
            begin.finish()
            for await _ in ends {}
            return outcome
        }
        for await _ in begins {}
        await body()
        end.finish()
        #expect(await !first.isShared)
    }

    private func untilWaiting(_ count: Int, _ runs: SharedRuns) async {
        while runs.waiting < count { await Task.yield() }
    }

    @Test func oneRunAnswersAllWhoAskMeanwhile() async throws {
        let (runs, key) = (SharedRuns(), try Self.key(1))
        let outcomes = await withTaskGroup(of: (SharedRuns.Outcome, Bool).self) { tasks in
            await during(runs, key, answer(7)) { [start] in
                // Whoever comes later has a later deadline.
                for _ in 0..<20 {
                    tasks.addTask {
                        await runs.outcome(
                            key, from: start + .milliseconds(5), to: start + .milliseconds(85),
                            enough: .milliseconds(80)
                        ) {
                            Issue.record("there is a run to join")
                            return Self.failed
                        }
                    }
                }
                await untilWaiting(20, runs)
            }
            var outcomes: [(SharedRuns.Outcome, Bool)] = []
            for await outcome in tasks { outcomes.append(outcome) }
            return outcomes
        }
        #expect(outcomes.count == 20)
        for (outcome, isShared) in outcomes { #expect(number(outcome) == 7 && isShared) }
        #expect(runs.count == 0 && runs.waiting == 0)
    }

    @Test func anErrorIsSharedToo() async throws {
        let (runs, key) = (SharedRuns(), try Self.key(1))
        await withTaskGroup(of: Bool.self) { tasks in
            await during(runs, key, Self.failed) { [start] in
                tasks.addTask {
                    let (outcome, isShared) = await runs.outcome(
                        key, from: start, to: start + .seconds(1), enough: .zero
                    ) {
                        Self.failed
                    }
                    if case .failure = outcome { return isShared }
                    return false
                }
                await untilWaiting(1, runs)
            }
            for await isRight in tasks { #expect(isRight) }
        }
    }

    /// Later end, less time, another key: whoever would lose by joining runs by itself and waits for nobody.
    @Test func nobodyJoinsARunThatIsWorseThanItsOwn() async throws {
        let (runs, key, other) = (SharedRuns(), try Self.key(1), try Self.key(2))
        let (start, own) = (start, answer(9))
        await during(runs, key, answer(7)) {
            for (key, deadline, enough) in [
                (key, Duration.milliseconds(79), Duration.milliseconds(10)),
                (key, .milliseconds(200), .milliseconds(81)), (other, .milliseconds(200), .zero),
            ] {
                let (outcome, isShared) = await runs.outcome(key, from: start, to: start + deadline, enough: enough) {
                    own
                }
                #expect(number(outcome) == 9 && !isShared)
            }
        }
    }

    @Test func noMoreThanSoManyWaitForOne() async throws {
        let (runs, key, own) = (SharedRuns(), try Self.key(1), answer(9))
        let shared = await withTaskGroup(of: Bool.self) { tasks in
            await during(runs, key, answer(7)) { [start] in
                for _ in 0..<SharedRuns.mostWaiting {
                    tasks.addTask {
                        await runs.outcome(key, from: start, to: start + .seconds(1), enough: .zero) { own }.isShared
                    }
                }
                await untilWaiting(SharedRuns.mostWaiting, runs)
                let next = await runs.outcome(key, from: start, to: start + .seconds(1), enough: .zero) { own }
                #expect(number(next.outcome) == 9 && !next.isShared)
            }
            var shared = 0
            for await isShared in tasks where isShared { shared += 1 }
            return shared
        }
        #expect(shared == SharedRuns.mostWaiting)
    }

    @Test func whatShapesTheAnswerIsInTheKey() throws {
        func key(_ k: Int = 5, _ change: (inout RecommendRequest) -> Void = { _ in }) throws -> SharedRuns.Key? {
            var request = RecommendRequest(pipeline: "home", entity: ["user_id": .integer(1)])
            change(&request)
            return SharedRuns.Key(request, user: try #require(EntityKey([.integer(1)])), k: k)
        }
        let plain = try key()
        #expect(try key { $0.requestID = "another" } == plain)
        #expect(try key(6) != plain)
        #expect(try key { $0.exclude = [.integer(1)] } != plain)
        #expect(try key { $0.candidates = [.integer(1)] } != plain)
        #expect(try key { $0.explain = true } == nil)
        #expect(try key { $0.context = [FeatureReference(view: "v", feature: "f"): .float64(.nan)] } == nil)
    }

    // MARK: In a recommender

    @Test func aHotUserCostsOneRunAndWhoGivesUpHarmsNobody() async throws {
        try await Stage.with { stage in
            let shared = try #require(stage.recommender.all.first).shared
            stage.rows.holdOn()
            let leader = Task { try await stage.ask(user: 1) { $0.requestID = "leader" } }
            while stage.rows.calls < 1 { await Task.yield() }
            let answers = try await withThrowingTaskGroup(of: RecommendAnswer.self) { tasks in
                for _ in 0..<7 { tasks.addTask { try await stage.ask(user: 1) } }
                while shared.waiting < 7 { await Task.yield() }
                leader.cancel()
                stage.rows.letGo()
                var answers = [try await leader.value]
                for try await answer in tasks { answers.append(answer) }
                return answers
            }
            #expect(answers.count == 8)
            for answer in answers { #expect(answer.rung == .ranking && answer.degraded.isEmpty) }
            #expect(Set(answers.map(\.ids)).count == 1)
            #expect(stage.rows.calls == 2, "the user's row and the candidates'")
            #expect(stage.ranker.calls == 1)
            #expect(stage.counted(.ranking) == 8)
            #expect(stage.registry.counter(.recommendShared, ["home"]).value == 7)
            #expect(shared.count == 0)
        }
    }

    @Test func otherUsersAndExplainedRequestsRunByThemselves() async throws {
        try await Stage.with { stage in
            stage.rows.holdOn()
            let users = try await withThrowingTaskGroup(of: RecommendAnswer.self) { tasks in
                tasks.addTask { try await stage.ask(user: 1) }
                tasks.addTask { try await stage.ask(user: 1) { $0.explain = true } }
                tasks.addTask { try await stage.ask(user: 1) { $0.k = 3 } }
                tasks.addTask { try await stage.ask(user: 2) }
                // Each comes to its own read of the user's row.
                while stage.rows.calls < 4 { await Task.yield() }
                stage.rows.letGo()
                var explained = 0
                for try await answer in tasks where answer.explain != nil { explained += 1 }
                return explained
            }
            #expect(users == 1)
            #expect(stage.registry.counter(.recommendShared, ["home"]).value == 0)
        }
    }
}
