import FeatureModel
import OnlineStore
import Recommend
import RedisClient
import Telemetry
import Testing
import TidemarkTesting

/// Reads that are sent a second time, over a real Redis with a proxy before it.
@Suite(.enabled(if: RedisServer.isAvailable, "redis-server is not installed"), .timeLimit(.minutes(2)))
struct HedgeTests {
    /// The first read through one client, the second through another.
    private struct TwoWays: RowSource {
        let first: StoreRows
        let second: StoreRows

        func read(
            _ plan: LookupPlan, _ keys: LookupKeys, deadline: ContinuousClock.Instant
        ) async throws(StoreError) -> PackedRows { try await first.read(plan, keys, deadline: deadline) }

        func readAgain(
            _ plan: LookupPlan, _ keys: LookupKeys, deadline: ContinuousClock.Instant
        ) async throws(StoreError) -> PackedRows { try await second.read(plan, keys, deadline: deadline) }
    }

    /// The same requests over the same silent connection: with second reads each is answered whole, without them none is.
    @Test(arguments: [0.5, 0])
    func aConnectionThatFallsSilentCostsNothingWhereReadsAreSentAgain(share: Double) async throws {
        try await RedisServer.with { redis in
            try await FaultProxy.with(to: redis.topology.primary.address) { proxy in
                let near = try await store(redis.topology)
                let far = try await store(proxy.topology)
                try await TestCatalog.fill(near)
                let rows = TwoWays(first: StoreRows(far), second: StoreRows(near))
                let registry = MetricRegistry()
                let text = Stage.config.replacing("timeout: 80ms", with: "timeout: 2s\n    hedge: \(share)")
                try await RedisFaultTests.recommending(rows, text, registry) { recommender, _ in
                    try await Self.check(recommender, registry, proxy, isHedged: share > 0)
                }
                await near.close()
                await far.close()
            }
        }
    }

    private static func check(
        _ recommender: Recommender, _ registry: MetricRegistry, _ proxy: FaultProxy, isHedged: Bool
    ) async throws {
        var known: [Int64: [Int64]] = [:]
        for number in 0..<48 {
            let user = Int64(1 + number % 12)
            let answer = try await ask(recommender, user)
            if answer.rung == .ranking, answer.degraded.isEmpty { known[user] = answer.ids }
        }
        let (won, sent) = (count(registry, "won"), count(registry, "sent"))
        let connections = try await proxy.connections()
        try await proxy.set(.silent)
        for user in Int64(1)...3 {
            let answer = try await ask(recommender, user)
            #expect((answer.rung == .ranking && answer.degraded.isEmpty) == isHedged)
            if isHedged { #expect(answer.ids == known[user]) }
        }
        #expect(count(registry, "won") - won == (isHedged ? 6 : 0), "the user's row and the candidates' of each")
        #expect(count(registry, "sent") - sent == (isHedged ? 6 : 0))
        #expect(try await proxy.connections() == connections, "who loses leaves the connection alone")
        // What was held back comes now, to places that nobody looks at any more.
        try await proxy.set(.pass)
        for user in Int64(4)...12 where isHedged {
            let answer = try await ask(recommender, user)
            #expect(answer.ids == known[user])
        }
    }

    private static func count(_ registry: MetricRegistry, _ event: String) -> Int {
        ["user", "rows"].reduce(0) { $0 + Int(registry.counter(.recommendHedges, ["home", $1, event]).value) }
    }

    private static func ask(_ recommender: Recommender, _ user: Int64) async throws -> RecommendAnswer {
        let now = ContinuousClock.now
        return try await recommender.recommend(
            RecommendRequest(pipeline: "home", entity: ["user_id": .integer(user)]), start: now,
            deadline: now + .seconds(2))
    }

    private func store(_ topology: RedisTopology) async throws -> RedisStore {
        var configuration = RedisStore.Configuration(project: "shop", topology: topology)
        configuration.callTimeout = .seconds(30)
        return try await RedisStore(configuration: configuration)
    }
}
