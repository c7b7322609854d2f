import FeatureModel
import OnlineStore
import Testing
import TidemarkTesting

@testable import Recommend

@Suite(.timeLimit(.minutes(1)))
struct PolicyRefresherTests {
    /// With an hour between two looks: what a reload has made forget is not unknown for an hour.
    @Test func aReloadThatChangesPolicyIsFollowedByALook() async throws {
        let store = MemoryStore()
        try await TestCatalog.fill(store)
        let text = Stage.config + "\n    policy: {refresh: 1h, max_age: 1h}"
        try await RedisFaultTests.recommending(StoreRows(store), text) { recommender, _ in
            let refreshing = Task { try await PolicyRefresher(recommender).run() }
            let first = try #require(recommender.all.first)
            while first.policy.count == 0 { await Task.yield() }
            let other = text.replacing("variety: {", with: "kinds: {")
            recommender.apply(try Config.parse(file: "t.yaml", text: Array(other.utf8)).pipelines, blocked: [:])
            let second = try #require(recommender.all.first)
            #expect(second.policy !== first.policy)
            while second.policy.count == 0 { await Task.yield() }
            refreshing.cancel()
            _ = await refreshing.result
        }
    }
}
