import FeatureModel
import Logging
import OnlineStore
import Ranking
import Recommend
import Telemetry
import Testing
import TidemarkTesting

/// A real Redis that falls silent, comes back and dies under a recommender.
@Suite(.enabled(if: RedisServer.isAvailable, "redis-server is not installed"), .timeLimit(.minutes(2)))
struct RedisFaultTests {
    @Test func aRedisThatFallsSilentComesBackAndDiesLeavesAnswersWhole() async throws {
        try await RedisServer.with { redis in
            var configuration = RedisStore.Configuration(project: "shop", topology: redis.topology)
            configuration.callTimeout = .seconds(1)
            let store = try await RedisStore(configuration: configuration)
            try await TestCatalog.fill(store)
            try await Self.recommending(StoreRows(store)) { recommender, gates in
                let isKnown = await PolicyRefresher(recommender).refresh()
                #expect(isKnown)
                try await Self.untilRanked(recommender, gates)

                redis.pause()
                for _ in 0..<8 { try await Self.expectFallback(recommender) }
                redis.resume()
                try await Self.untilRanked(recommender, gates)

                redis.stop(.kill)
                for _ in 0..<8 { try await Self.expectFallback(recommender) }
            }
            await store.close()
        }
    }

    private static func ask(_ recommender: Recommender, user: Int64) async throws -> RecommendAnswer {
        let now = ContinuousClock.now
        return try await recommender.recommend(
            RecommendRequest(pipeline: "home", entity: ["user_id": .integer(user)]), start: now,
            deadline: now + .milliseconds(80))
    }

    /// User 1 got an answer before, user 2 did not.
    private static func expectFallback(_ recommender: Recommender) async throws {
        for (user, rung) in [(Int64(1), PipelineConfig.Rung.lastGood), (2, .popularity)] {
            let answer = try await ask(recommender, user: user)
            #expect(answer.rung == rung)
            #expect(!answer.items.isEmpty)
            #expect(answer.reasons["user"] != nil)
            for id in answer.ids { #expect(!Stage.isForbidden(id)) }
        }
    }

    /// Asks until all is well, as a busy machine may be late at any time; the suite's limit ends it.
    private static func untilRanked(_ recommender: Recommender, _ gates: GateBook) async throws {
        while true {
            let answer = try await ask(recommender, user: 1)
            for id in answer.ids { #expect(!Stage.isForbidden(id)) }
            if answer.rung == .ranking, answer.degraded.isEmpty { return }
            _ = gates.force(GateBook.store, nil)
            try Task.checkCancellation()
        }
    }

    /// Runs `body` with a recommender of real time over those rows.
    static func recommending(
        _ rows: any RowSource, _ config: String = Stage.config, _ registry: MetricRegistry = MetricRegistry(),
        _ body: @escaping @Sendable (Recommender, GateBook) async throws -> Void
    ) async throws {
        let runner = CallRunner()
        let gates = GateBook()
        let (events, engaged) = AsyncStream.makeStream(of: Duration.self, bufferingPolicy: .bufferingNewest(1))
        _ = events
        let well = Temper(ManualClock(), engaged)
        let recommender = Recommender(
            Recommender.Environment(
                runner: runner, catalogs: TestCatalog(), rows: rows, list: { _ in TestList() },
                ranker: { _ in TestRanker(temper: well) }, gates: gates, registry: registry,
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }))
        recommender.apply(
            try Config.parse(file: "t.yaml", text: Array(config.utf8)).pipelines,
            blocked: ["blocklist.txt": BlockList.parse(Array("3\n105\n".utf8))])
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await runner.run() }
            defer { tasks.cancelAll() }
            await runner.untilRunning()
            try await body(recommender, gates)
        }
    }
}
