import FeatureModel
import Testing

/// `recall` in the config: what it says, what it means where it says nothing, and each mistake by line and key.
@Suite struct RecallConfigTests {
    static let right = """
        project: shop
        online_store: {url: "memory:"}
        sources: {shop: {url: "sqlite:shop.db"}}
        recall:
          dir: lists
          keep: 5
          refresh: 500ms
          max_bytes: 64MiB
          lists:
            popular:
              kind: popularity
              from: shop
              query: SELECT itemid AS item_id, ts, w, c FROM events
              item: item
              time: {column: ts, unit: ms}
              weight: w
              segment: c
              window: 7d
              half_life: 2d
              size: 100
              timeout: 5m
              limits: {events: 1000, history: 20, items: 300, segments: 7}
            similar:
              kind: co_occurrence
              from: shop
              query: SELECT u AS user_id, i AS item_id, ts FROM events
              user: user
              item: item
              time: ts
              session: 2h
              shrink: 3.5
            trends:
              kind: trending
              from: shop
              query: SELECT 1
              item: item
              time: ts
            near:
              kind: vectors
              from: shop
              query: SELECT 1
              item: item
              vectors: {column: v, dimension: 8, iterations: 3, regularization: 0.5, confidence: 2}
        """

    private func parse(_ text: String) throws(DefinitionErrors) -> Config {
        try Config.parse(file: "tidemark.yaml", text: Array(text.utf8))
    }

    @Test func everyKeyIsRead() throws {
        let recall = try #require(try parse(Self.right).recall)
        #expect(recall.directory == "lists")
        #expect(recall.keep == 5)
        #expect(recall.refresh == .milliseconds(500))
        #expect(recall.maximumBytes == 64 << 20)
        #expect(recall.lists.map(\.name) == ["popular", "similar", "trends", "near"])
        let popular = try #require(recall.list("popular"))
        #expect(popular.kind == .popularity && popular.from == "shop" && popular.item == "item")
        #expect(popular.query == "SELECT itemid AS item_id, ts, w, c FROM events")
        #expect(popular.time == TimeColumn(column: "ts", unit: .milliseconds))
        #expect(popular.weight == "w" && popular.segment == "c" && popular.user == nil)
        #expect(popular.window == .seconds(7 * 86_400) && popular.halfLife == .seconds(2 * 86_400))
        #expect(popular.size == 100 && popular.timeout == .seconds(300))
        let limits = popular.limits
        #expect((limits.events, limits.history, limits.items, limits.segments) == (1_000, 20, 300, 7))
        let similar = try #require(recall.list("similar"))
        #expect(similar.user == "user" && similar.session == .seconds(7_200) && similar.shrink == 3.5)
        #expect(similar.time == TimeColumn(column: "ts"))
        let vectors = try #require(recall.list("near")).vectors
        #expect((vectors.column, vectors.dimension, vectors.iterations) == ("v", 8, 3))
        #expect((vectors.regularization, vectors.confidence) == (0.5, 2))
    }

    @Test func defaultsStandInForWhatIsNotSaid() throws {
        let recall = try #require(try parse(Self.right).recall)
        #expect(recall.list("similar")?.size == 50)
        #expect(recall.list("similar")?.halfLife == nil)
        #expect(recall.list("trends")?.size == 500)
        #expect(recall.list("trends")?.window == .seconds(7 * 86_400))
        #expect(recall.list("trends")?.short == .seconds(86_400))
        #expect(recall.list("near")?.limits == RecallLimits())
        let head = String(Self.right.split(separator: "recall:")[0])
        #expect(try parse(head).recall == nil)
        let least = try #require(
            try parse(
                head
                    + "recall: {lists: {a: {kind: newest, from: shop, query: SELECT 1, item: item, time: ts}}}"
            ).recall)
        #expect(least.directory == "recall" && least.keep == 3 && least.refresh == .seconds(2))
        #expect(least.maximumBytes == 1 << 30)
    }

    static let mistakes = [
        WrongFile(6, "  keep: 0", "recall.keep", "found 0"),
        WrongFile(9, "  list:", "recall.list", "did you mean \"lists\"?"),
        WrongFile(10, "    Popular:", "recall.lists", "found \"Popular\"", "a-z"),
        WrongFile(11, "      kind: popularty", "recall.lists.popular.kind", "did you mean \"popularity\"?"),
        WrongFile(12, "      from: shp", "recall.lists.popular.from", "found \"shp\"", "did you mean \"shop\"?"),
        WrongFile(13, "      query: DELETE FROM events", "recall.lists.popular.query", "SELECT or WITH"),
        WrongFile(13, "      query: SELECT 1; SELECT 2", "recall.lists.popular.query", "several statements"),
        WrongFile(13, "      query: \"SELECT :day\"", "recall.lists.popular.query", ":day", "no parameter"),
        WrongFile(13, "", at: 11, "recall.lists.popular", "found no query"),
        WrongFile(15, "", at: 10, "recall.lists.popular.time", "when an event happened"),
        WrongFile(15, "      time: {column: ts, unit: min}", "recall.lists.popular.time.unit", "found \"min\""),
        WrongFile(16, "      session: 1h", "recall.lists.popular.session", "kind: popularity", "co_occurrence"),
        WrongFile(20, "      size: 0", "recall.lists.popular.size", "found 0"),
        WrongFile(22, "      limits: {pairs: 3}", "recall.lists.popular.limits.pairs", "found \"pairs\""),
        WrongFile(27, "", at: 23, "recall.lists.similar.user", "the query's user"),
        WrongFile(30, "      weight: w", "recall.lists.similar.weight", "popularity or trending"),
        WrongFile(37, "      time: ts\n      short: 7d", at: 38, "recall.lists.trends.short", "less than window = 7d"),
        WrongFile(43, "      vectors: {dimension: 8}", at: 38, "recall.lists.near.user", "what each user met"),
    ]

    @Test(arguments: mistakes)
    func everyMistakeIsNamedByLineAndKey(_ mistake: WrongFile) throws {
        let file = mistake.file(from: Self.right)
        let errors = try #require(throws: DefinitionErrors.self) {
            _ = try Config.parse(file: "tidemark.yaml", text: file)
        }
        mistake.expect(in: errors, file: "tidemark.yaml")
    }

    @Test func entitiesMustBeThereWithOneKeyColumn() throws {
        let config = try parse(Self.right)
        func catalog(_ keys: [String]) -> Catalog {
            let views = ["item", "user"].map { name in
                FeatureView(
                    name: name, entity: Entity(name: name, keys: keys.map { .init(name: $0, type: .int64) }),
                    source: ViewSource(
                        from: "shop", query: "SELECT 1", changes: nil, entities: nil,
                        watermark: .column(WatermarkColumn(column: "w", tieBreaker: [])), eventTime: nil, deleted: nil),
                    every: .seconds(1), ttl: .seconds(1), sweep: .seconds(1), features: [])
            }
            return Catalog(project: "shop", views: views, services: [])
        }
        try config.validate(catalog(["id"]))
        let several = try #require(throws: DefinitionErrors.self) { try config.validate(catalog(["a", "b"])) }
        #expect("\(several)".contains("one of a single key column"))
        let none = try #require(throws: DefinitionErrors.self) {
            try config.validate(Catalog(project: "shop", views: [], services: []))
        }
        #expect("\(none)".contains("an entity of the definitions"))
    }
}
