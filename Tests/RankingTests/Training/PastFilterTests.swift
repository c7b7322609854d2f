import FeatureModel
import Foundation
import LocalDatabase
import Ranking
import Testing
import TidemarkTesting

// How answers follow each other is internal: outside it is only seen as a number.
@testable import Training

/// The pipeline's filters in the test of a training, with what items were at each moment.
@Suite(.timeLimit(.minutes(5))) struct PastFilterTests {
    private static let views = """
          item_state:
            entity: item
            source:
              from: shop
              query: SELECT item_id, max(ts) AS ts, available, shelf FROM stock GROUP BY item_id
              watermark: {column: ts, unit: ms}
            every: 1m
            ttl: 30d
            features: {available: bool, shelf: int64}
        """

    private static let training = """
              pipeline: home
              from: shop
              query: SELECT user_id, item_id, ts FROM events
              time: {column: ts, unit: ms}
              horizon: 1s
              recent: 5
              groups: 800
              test_groups: 300
              history:
                item_state: {query: "SELECT item_id, ts, available, shelf FROM stock", time: {column: ts, unit: ms}}
        """

    /// Random events, of the items 0 to 59, and a table of stock.
    private func withShop(_ stock: String, _ body: (TrainingFixture) async throws -> Void) async throws {
        let root = try TemporaryFolder.make()
        defer { TemporaryFolder.remove(root) }
        let path = "\(root)/shop.db"
        try await TrainingFixture.makeRandomEvents(path)
        let database = try await LocalDatabase(
            .init(
                path: path, setup: "CREATE TABLE stock (item_id INTEGER, ts INTEGER, available INTEGER, shelf INTEGER)")
        )
        try await database.run { connection in try connection.execute(stock) }
        await database.close()
        try await body(
            TrainingFixture(
                path: path, config: TrainingFixture.training(Self.training),
                catalog: TrainingFixture.entities(Self.views)))
    }

    private func filters(_ lines: String...) throws -> [FilterConfig] {
        let text = """
            project: shop
            online_store: {url: "memory:"}
            sources: {shop: {url: "sqlite:shop.db"}}
            recall: {lists: {popular: {kind: popularity, from: shop, query: SELECT 1, item: item, time: ts}}}
            pipelines:
              home:
                user: user
                item: item
                recall: {popular: {list: popular}}
                fallback: popular
                filters:
            \(lines.map { "      " + $0 }.joined(separator: "\n"))
            """
        return try Config.parse(file: "tidemark.yaml", text: Array(text.utf8)).pipelines.flatMap(\.filters)
    }

    private func run(
        _ fixture: TrainingFixture, _ filters: [FilterConfig], blocked: Set<EntityKeyValue> = [],
        lookahead: Duration = .zero
    ) async throws -> TrainingResult {
        var plan = try fixture.plan([RankerColumn(.recall("popular"))], filters: filters, blocked: blocked)
        plan.lookahead = lookahead
        return try await fixture.training(plan).run()
    }

    private let inStock = #"in_stock: {feature: "item_state:available", is: true, policy: true}"#

    /// Each item is sold out for a millisecond when somebody meets it: before, at every moment, it was there.
    @Test func valuesAreThoseOfTheMomentAndNotWhatComesWithTheEvent() async throws {
        try await withShop(
            """
            INSERT INTO stock SELECT DISTINCT item_id, 0, 1, 0 FROM events;
            INSERT INTO stock SELECT item_id, ts, 0, 0 FROM events;
            INSERT INTO stock SELECT item_id, ts + 1, 1, 0 FROM events;
            """
        ) { fixture async throws in
            let now = try await run(fixture, filters(inStock))
            let filtered = try #require(now.filtered)
            #expect(filtered.filters == ["in_stock"] && now.filtersLeftOut.isEmpty)
            #expect(now.ranked.recall > 0.9, "each item is a candidate")
            #expect(filtered.ranked == now.ranked)
            #expect(filtered.recall == now.recall)
            #expect(filtered.popularity == now.popularity)
            let ahead = try #require(await run(fixture, filters(inStock), lookahead: .milliseconds(1)).filtered)
            #expect(ahead.ranked.recall == 0 && ahead.popularity.recall == 0)
        }
    }

    @Test func whatIsOutOfStockIsFoundByNobody() async throws {
        // 0 to 19 are there, of 20 to 39 nothing is known, the others are sold out.
        try await withShop(
            """
            INSERT INTO stock SELECT DISTINCT item_id, 0, item_id < 20, 0 FROM events WHERE item_id < 20 OR item_id >= 40
            """
        ) { fixture async throws in
            let plain = try await run(fixture, [])
            #expect(plain.filtered == nil)
            let policy = try #require(await run(fixture, filters(inStock)).filtered)
            let rule = inStock.replacing(", policy: true", with: "")
            let lenient = try #require(await run(fixture, filters(rule)).filtered)
            for way in [\TrainingResult.Filtered.popularity, \.recall, \.ranked] {
                #expect((0.25...0.42).contains(policy[keyPath: way].recall), "a third: \(policy[keyPath: way])")
                #expect((0.57...0.76).contains(lenient[keyPath: way].recall), "two thirds: \(lenient[keyPath: way])")
            }
            let blocked = try #require(
                await run(fixture, filters("blocked: {file: no.txt}"), blocked: Set((0..<30).map { .integer($0) }))
                    .filtered)
            #expect((0.4...0.6).contains(blocked.ranked.recall) && (0.4...0.6).contains(blocked.popularity.recall))
            #expect(blocked.filters == ["blocked"])
        }
    }

    @Test func filtersWithoutAHistoryAreNamed() async throws {
        try await withShop("INSERT INTO stock SELECT DISTINCT item_id, 0, 1, 0 FROM events") { fixture async throws in
            let result = try await run(
                fixture, filters(#"cheap: {feature: "item_price:price", max: 9}"#, #"seen: {not_in: "recent:items"}"#))
            #expect(result.filtersLeftOut == ["cheap"])
            #expect(result.filtered == nil)
        }
    }

    @Test func whatIsTooManyOfAKindWaitsForTheNextAnswer() async throws {
        try await withShop("INSERT INTO stock SELECT DISTINCT item_id, 0, 1, item_id % 3 FROM events") {
            fixture async throws in
            let variety = try filters(#"variety: {feature: "item_state:shelf", at_most: 2}"#)
            let plan = try fixture.plan([RankerColumn(.recall("popular"))], k: 4, filters: variety)
            let source = fixture.source
            let builder = try await SetBuilder(plan, EventLog.read(plan, from: source)) { _ in source }
            let kinds: [[FeatureValue]] =
                Array(repeating: [.int64(1)], count: 6) + Array(repeating: [.int64(2)], count: 2)
                + Array(repeating: [.null], count: 2)
            #expect(builder.filters.answers(Array(0..<10), kinds: kinds) == [0, 1, 6, 7, 2, 3, 8, 9, 4, 5])
            // Of one kind alone each answer is short.
            #expect(builder.filters.answers([5, 4, 3, 2, 1], kinds: kinds) == [5, 4, 3, 2, 1])
            await builder.close()
            let result = try await run(fixture, variety)
            let filtered = try #require(result.filtered)
            #expect(filtered.filters == ["variety"])
            // All 60 items come within 100, in answers of 20 with 6 each.
            #expect(filtered.popularity.recall == result.popularity.recall)
            #expect(filtered.popularity.ndcg != result.popularity.ndcg)
        }
    }
}
