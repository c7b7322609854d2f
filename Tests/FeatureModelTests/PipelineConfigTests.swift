import FeatureModel
import Testing

struct PipelineConfigTests {
    private static let right = """
        project: shop
        online_store: {url: "memory:"}
        sources: {shop: {url: "csv:a"}}
        recall:
          lists:
            popular: {kind: popularity, from: shop, query: SELECT 1, item: item, time: ts}
            similar: {kind: co_occurrence, from: shop, query: SELECT 1, user: user, item: item, time: ts}
        models: {ctr: {path: models/ctr}}
        pipelines:
          home:
            user: user
            item: item
            k: 10
            recall:
              similar: {list: similar, seeds: "recent:items", quota: 150, timeout: 15ms, weight: 2}
              popular: {list: popular, segment: "recent:country"}
            filters:
              seen: {not_in: "recent:items"}
              in_stock: {feature: "item:available", is: true, policy: true}
              cheap: {feature: "item:price", max: 100}
              kinds: {feature: "item:category", none_of: [1, 2]}
              blocked: {file: blocklist.txt, policy: true}
              variety: {feature: "item:category", at_most: 5}
            features: home
            ranker: {model: ctr}
            blend: {recall: 0.1}
            fallback: popular
        """

    private func parse(_ text: String) throws -> Config {
        try Config.parse(file: "t.yaml", text: Array(text.utf8))
    }

    @Test func everyKeyIsRead() throws {
        let home = try #require(try parse(Self.right).pipeline("home"))
        #expect(home.k == 10 && home.maximumK == 100)
        #expect(home.timeout == .milliseconds(80))
        #expect(home.slowCall == .milliseconds(80) && home.hedge == 0, "slow is what takes all of it")
        #expect(home.sources.map(\.name) == ["similar", "popular"])
        #expect(home.sources[0].seeds == FeatureReference(view: "recent", feature: "items"))
        #expect(home.sources[0].quota == 150 && home.sources[0].weight == 2)
        #expect(home.sources[1].segment == FeatureReference(view: "recent", feature: "country"))
        #expect(home.filters.map(\.isPolicy) == [false, true, false, false, true, false])
        #expect(
            home.filters[1].rule
                == .feature(FeatureReference(view: "item", feature: "available"), .equals(.flag(true))))
        #expect(home.ladder == [.ranking, .recall, .lastGood, .popularity])
        #expect(home.recallShare == 0.1)
    }

    @Test func slowCallsAndHedgesAreRead() throws {
        let text = Self.right.replacing("k: 10", with: "timeout: 90ms\n    slow_call: 30ms\n    hedge: 0.05")
        let home = try #require(try parse(text).pipeline("home"))
        #expect(home.slowCall == .milliseconds(30) && home.hedge == 0.05)
        let other = try parse(Self.right.replacing("k: 10", with: "timeout: 90ms")).pipeline("home")
        #expect(other?.slowCall == .milliseconds(90))
    }

    @Test func testsOfFeaturesTakeWhatTheySay() {
        #expect(FilterTest.equals(.flag(true)).accepts(.bool(true)))
        #expect(!FilterTest.equals(.flag(true)).accepts(.bool(false)))
        #expect(FilterTest.oneOf([.integer(3), .text("a")]).accepts(.int32(3)))
        #expect(FilterTest.noneOf([.integer(3)]).accepts(.int64(4)))
        #expect(FilterTest.between(1, nil).accepts(.float64(1)))
        #expect(!FilterTest.between(nil, 5).accepts(.int64(6)))
        #expect(!FilterTest.between(1, 2).accepts(.string("1")))
    }

    /// What is written in place of what, and what is said of it.
    static let wrong: [(String, String, String)] = [
        ("list: similar", "list: similr", "did you mean \"similar\"?"),
        ("fallback: popular", "fallback: popula", "pipelines.home.fallback"),
        ("model: ctr", "model: cvr", "pipelines.home.ranker.model"),
        ("k: 10", "k: 200\n    max_k: 100", "at most max_k = 100"),
        ("k: 10", "timeout: 30s", "at most serve.max_timeout"),
        ("k: 10", "hedge: 0.6", "from 0 to 0.5"),
        ("k: 10", "slow_call: 0s", "from 1ms to 10m"),
        ("is: true, policy", "policy", "a feature and no test"),
        ("max: 100", "max: 100, is: 3", "several tests of one feature"),
        ("at_most: 5", "at_most: 5, policy: true", "at_most without policy"),
        ("blend:", "ladder: [recall, ranking]\n    blend:", "in the order"),
        ("blend:", "policy: {refresh: 1h, max_age: 1m}\n    blend:", "at least refresh"),
        ("not_in: \"recent:items\"", "not_in: recent", "view:feature"),
        ("quota: 150", "quote: 150", "did you mean \"quota\"?"),
        ("user: user\n    item", "usr: user\n    item", "did you mean \"user\"?"),
    ]

    @Test(arguments: wrong)
    func aWrongOneIsRefusedWithItsPlace(_ old: String, _ new: String, _ words: String) throws {
        let text = Self.right.replacing(old, with: new, maxReplacements: 1)
        #expect(text != Self.right)
        do {
            _ = try parse(text)
            Issue.record("it was taken")
        } catch {
            #expect("\(error)".contains(words), "\(error)")
            #expect("\(error)".contains("t.yaml:"))
        }
    }

    private static let definitions = """
        entities: {user: {keys: {user_id: int64}}, item: {keys: {item_id: int64}}}
        views:
          recent:
            entity: user
            source: {from: shop, query: SELECT 1, watermark: {column: u}}
            every: 30s
            ttl: 7d
            sweep: 1d
            features: {items: "[int64]", country: string, liking: "vector(3)"}
          item:
            entity: item
            source: {from: shop, query: SELECT 1, watermark: {column: u}}
            every: 30s
            ttl: 7d
            sweep: 1d
            features: {available: bool, price: float64, category: int64}
        services: {home: [item]}
        """

    private func check(_ config: String) throws {
        let catalog = try Catalog.compile(project: "shop", files: [("d.yaml", Array(Self.definitions.utf8))])
        try parse(config).validatePipelines(catalog)
    }

    @Test func whatIsNamedIsLookedUp() throws {
        try check(Self.right)
        // A user may be of several segments.
        try check(Self.right.replacing("segment: \"recent:country\"", with: "segment: \"recent:items\""))
    }

    static let unknown: [(String, String, String)] = [
        ("user: user\n    item", "user: usr\n    item", "pipelines.home.user"),
        ("seeds: \"recent:items\"", "seeds: \"recent:item\"", "did you mean \"items\"?"),
        ("seeds: \"recent:items\"", "seeds: \"recent:country\"", "keys of item: [int64]"),
        ("seeds: \"recent:items\"", "seeds: \"item:price\"", "a view of user"),
        ("segment: \"recent:country\"", "segment: \"recent:liking\"", "a single value, or a list of them"),
        ("feature: \"item:available\"", "feature: \"item:price\"", "a test that no float64 passes"),
        ("feature: \"item:available\"", "feature: \"itm:available\"", "did you mean \"item\"?"),
        ("feature: \"item:price\"", "feature: \"recent:country\"", "a view of item"),
        ("features: home", "features: hom", "did you mean \"home\"?"),
    ]

    @Test(arguments: unknown)
    func whatIsNotThereIsRefusedWithItsPlace(_ old: String, _ new: String, _ words: String) throws {
        let text = Self.right.replacing(old, with: new, maxReplacements: 1)
        #expect(text != Self.right)
        do {
            try check(text)
            Issue.record("it was taken")
        } catch {
            #expect("\(error)".contains(words), "\(error)")
            #expect("\(error)".contains("t.yaml:"))
        }
    }
}
