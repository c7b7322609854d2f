import FeatureModel
import OnlineStore
import Ranking
import Recall
import Recommend
import Serving
import Synchronization

/// A recommender over the store, the catalog and the metrics of a serving context; its lists and its model are a test's own.
final class TestPipelines: Sendable {
    /// `home` ranks, `words` has items whose keys are texts and needs nothing of the store.
    static let config = """
        project: shop
        online_store: {url: "memory:"}
        serve: {max_timeout: 30s}
        sources: {shop: {url: "csv:a"}}
        recall:
          lists:
            popular: {kind: popularity, from: shop, query: SELECT 1, item: item, time: ts}
            similar: {kind: co_occurrence, from: shop, query: SELECT 1, user: user, item: item, time: ts}
            words: {kind: popularity, from: shop, query: SELECT 1, item: item, time: ts}
        models: {price: {path: models/price}}
        pipelines:
          home:
            user: user
            item: item
            k: 5
            max_k: 50
            timeout: 20s
            recall:
              similar: {list: similar, seeds: "recent:items", quota: 8}
              popular: {list: popular, quota: 30}
            candidates: 40
            filters:
              seen: {not_in: "recent:items"}
              in_stock: {feature: "item:available", is: true, policy: true}
              variety: {feature: "item:category", at_most: 2}
            features: home
            ranker: {model: price}
            fallback: popular
          words:
            user: user
            item: word
            k: 3
            timeout: 20s
            recall: {words: {list: words}}
            filters: {short: {feature: "word:letters", at_most: 2}}
            fallback: words
        """

    let recommender: Recommender
    let runner = CallRunner()
    let hold = Hold()
    private let shown = Shown()

    /// The pipelines of a config, or none.
    init(_ serving: ServingContext, _ text: String?) throws {
        let ranker = PriceRanker(hold: hold)
        var environment = Recommender.Environment(
            runner: runner, catalogs: serving.catalog, rows: LaneRows(serving),
            list: { NumberedItems(areWords: $0 == "words") }, ranker: { _ in ranker }, gates: GateBook(),
            registry: serving.metrics.registry, logger: GRPCFixture.logger)
        environment.expose = { [shown] exposure in shown.exposures.withLock { $0.append(exposure) } }
        recommender = Recommender(environment)
        guard let text else { return }
        let config = try Config.parse(file: "t.yaml", text: Array(text.utf8))
        recommender.apply(config.pipelines, blocked: [:])
    }

    /// All answers that were logged.
    var exposures: [Exposure] { shown.exposures.withLock { $0 } }

    private final class Shown: Sendable {
        let exposures = Mutex<[Exposure]>([])
    }

    // MARK: Rows

    static let recent = Rows.view(
        "recent",
        [Feature(name: "items", type: .list(.int64)), Feature(name: "visits", type: .scalar(.int64))])
    static let item = Rows.view(
        "item", entity: Entity(name: "item", keys: [.init(name: "item_id", type: .int64)]),
        [
            Feature(name: "available", type: .scalar(.bool)), Feature(name: "category", type: .scalar(.int64)),
            Feature(name: "price", type: .scalar(.float64)),
        ])
    static let word = Rows.view(
        "word", entity: Entity(name: "word", keys: [.init(name: "word", type: .string)]),
        [Feature(name: "letters", type: .scalar(.int64))])

    /// Users 1...20 with the items that they met, items 1...200.
    static func fill(_ store: any OnlineStore) async throws {
        let rows = Rows(store: store)
        try await rows.apply([recent, item, word], services: ["home": ["item:price", "recent:visits"]])
        try await rows.put(
            recent,
            (1...20).map { (user: Int64) in
                ([.integer(user)], [.list([.int64(user), .int64(2)]), .int64(user)])
            })
        try await rows.put(
            item,
            (1...200).map { (item: Int64) in
                let price = Double(item * 37 % 101)
                return ([.integer(item)], [.bool(!item.isMultiple(of: 4)), .int64(item % 7), .float64(price)])
            })
        try await rows.put(word, (1...9).map { ([.text("w\($0)")], [.int64(Int64($0))]) })
    }
}

/// Items 1, 2, 3 … with falling scores, as numbers or as words; near to a seed are those behind it.
private struct NumberedItems: ItemList {
    let areWords: Bool
    let longestRow = 40

    func top(segments: [String], limit: Int) -> [ScoredItem] {
        (1...40).prefix(limit).map { (place: Int) in
            ScoredItem(id: areWords ? .text("w\(place)") : .integer(Int64(place)), score: 1 / Float(place))
        }
    }

    func neighbours(of seeds: [EntityKeyValue], limit: Int, excluding: [EntityKeyValue]) -> [ScoredItem] {
        guard case .integer(let seed)? = seeds.first else { return [] }
        let near = (1...10).map { (place: Int64) in
            ScoredItem(id: .integer(seed + 100 + place), score: 1 / Float(place))
        }
        return near.filter { !excluding.contains($0.id) }
    }
}

/// Ranks by price, the dearest first, a little more by each visit; waits where it is held.
private struct PriceRanker: Ranker {
    let hold: Hold
    let name = "price"
    let version = "7"
    let columns = [
        RankerColumn(.feature(FeatureReference(view: "item", feature: "price"))),
        RankerColumn(.feature(FeatureReference(view: "recent", feature: "visits"))),
    ]

    func score(
        _ matrix: FeatureMatrix, deadline: ContinuousClock.Instant
    ) async throws(RankerError) -> [Float] {
        try check(matrix)
        await hold.pass()
        return (0..<matrix.rows).map { row in
            let (price, visits) = (matrix[row, 0], matrix[row, 1])
            return (price.isNaN ? -1 : price) * (visits.isNaN ? 1 : 1 + visits / 64)
        }
    }
}

/// Keeps who passes until it is opened, and tells of each.
final class Hold: Sendable {
    private struct State {
        var isShut = false
        var waiting: [CheckedContinuation<Void, Never>] = []
    }

    private let state = Mutex(State())
    private let told = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .unbounded)

    func shut() { state.withLock { $0.isShut = true } }

    func open() {
        let waiting = state.withLock { state in
            defer { state = State() }
            return state.waiting
        }
        for one in waiting { one.resume() }
    }

    /// Returns when as many wait.
    func untilHeld(_ count: Int) async {
        var told = told.stream.makeAsyncIterator()
        for _ in 0..<count { await told.next() }
    }

    fileprivate func pass() async {
        await withCheckedContinuation { waiter in
            let isShut = state.withLock { state in
                if state.isShut { state.waiting.append(waiter) }
                return state.isShut
            }
            if isShut { told.continuation.yield() } else { waiter.resume() }
        }
    }
}
