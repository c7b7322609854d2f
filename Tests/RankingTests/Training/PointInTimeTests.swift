import FeatureModel
import Foundation
import Ranking
import Testing
import TidemarkTesting
import Training

/// Nothing that is newer than a moment may reach its rows.
@Suite(.timeLimit(.minutes(5))) struct PointInTimeTests {
    private func withRandomShop(_ body: (TrainingFixture) async throws -> Void) async throws {
        let root = try TemporaryFolder.make()
        defer { TemporaryFolder.remove(root) }
        let path = "\(root)/shop.db"
        try await TrainingFixture.makeRandomEvents(path)
        let fixture = TrainingFixture(
            path: path,
            config: try TrainingFixture.training(
                """
                      pipeline: home
                      from: shop
                      query: SELECT user_id, item_id, ts FROM events
                      time: {column: ts, unit: ms}
                      horizon: 1m
                      recent: 5
                      groups: 800
                      test_groups: 300
                      negatives: 30
                      history:
                        item_last: {query: "SELECT item_id, ts, ts AS last_ts FROM events", time: {column: ts, unit: ms}}
                """),
            catalog: try TrainingFixture.entities(
                """
                  item_last:
                    entity: item
                    source:
                      from: shop
                      query: SELECT item_id, max(ts) AS last_ts FROM events GROUP BY item_id
                      watermark: {column: last_ts, unit: ms}
                    every: 1m
                    ttl: 30d
                    features: {last_ts: int64}
                """))
        try await body(fixture)
    }

    private let age = RankerColumn(
        .feature(FeatureReference(view: "item_last", feature: "last_ts")), .age(.milliseconds))

    @Test func withoutTheFutureThereIsNothingToLearn() async throws {
        try await withRandomShop { fixture in
            let result = try await fixture.training(fixture.plan([age, RankerColumn(.recall("popular"))])).run()
            #expect((0.4...0.6).contains(result.ranked.auc), "AUC \(result.ranked.auc)")
            let again = try await fixture.training(fixture.plan([age, RankerColumn(.recall("popular"))])).run()
            #expect(again.model == result.model)
        }
    }

    @Test func withPointInTimeOffTheFutureLeaks() async throws {
        try await withRandomShop { fixture in
            var plan = try fixture.plan([age, RankerColumn(.recall("popular"))])
            plan.lookahead = .milliseconds(1)
            let result = try await fixture.training(plan).run()
            #expect(result.ranked.auc > 0.95, "AUC \(result.ranked.auc)")
        }
    }

    @Test func delayHoldsValuesBack() async throws {
        try await withRandomShop { fixture in
            // A value that is visible a day later, read a day ahead, is known at once and no sooner.
            let text = """
                      pipeline: home
                      from: shop
                      query: SELECT user_id, item_id, ts FROM events
                      time: {column: ts, unit: ms}
                      horizon: 1m
                      recent: 5
                      groups: 800
                      test_groups: 300
                      history:
                        item_last:
                          query: SELECT item_id, ts, ts AS last_ts FROM events
                          time: {column: ts, unit: ms}
                          delay: 1d
                """
            let delayed = TrainingFixture(
                path: fixture.path, config: try TrainingFixture.training(text), catalog: fixture.catalog)
            var plan = try delayed.plan([age, RankerColumn(.recall("popular"))])
            plan.lookahead = .seconds(86_400)
            let known = try await delayed.training(plan).run()
            #expect((0.4...0.6).contains(known.ranked.auc), "AUC \(known.ranked.auc)")
            plan.lookahead += .milliseconds(1)
            let leaking = try await delayed.training(plan).run()
            #expect(leaking.ranked.auc > 0.95, "AUC \(leaking.ranked.auc)")
        }
    }

    @Test func viewsWithoutHistoryAndUnknownNamesAreRefused() async throws {
        try await withRandomShop { fixture in
            for column in [
                RankerColumn(.feature(FeatureReference(view: "item_last", feature: "other"))),
                RankerColumn(.feature(FeatureReference(view: "other", feature: "last_ts"))),
                RankerColumn(.recall("other")),
                RankerColumn(.feature(FeatureReference(view: "item_last", feature: "last_ts")), .boolean),
            ] {
                #expect { try fixture.plan([column]) } throws: { ($0 as? TrainingError)?.code == .misconfigured }
            }
            let text = """
                      pipeline: home
                      from: shop
                      query: SELECT user_id, item_id, ts FROM events
                      time: {column: ts, unit: ms}
                """
            let bare = TrainingFixture(
                path: fixture.path, config: try TrainingFixture.training(text), catalog: fixture.catalog)
            #expect { try bare.plan([age]) } throws: {
                ($0 as? TrainingError)?.message.contains("history.item_last") == true
            }
        }
    }
}
