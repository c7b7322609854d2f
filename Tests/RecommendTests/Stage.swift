import FeatureModel
import Logging
import OnlineStore
import Recommend
import RowCodec
import Synchronization
import Telemetry
import Testing
import TidemarkTesting

/// A recommender over doubles, on a clock that moves when a fault holds somebody up.
struct Stage: Sendable {
    static let config = """
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
            k: 5
            max_k: 50
            timeout: 80ms
            recall:
              similar: {list: similar, seeds: "recent:items", quota: 8, timeout: 15ms}
              popular: {list: popular, quota: 10}
            candidates: 20
            filters:
              seen: {not_in: "recent:items"}
              in_stock: {feature: "item:available", is: true, policy: true}
              blocked: {file: blocklist.txt, policy: true}
              variety: {feature: "item:category", at_most: 2}
            features: home
            ranker: {model: ctr}
            fallback: popular
        """

    /// Items that policy forbids: out of stock by their row, or blocked by the file.
    static func isForbidden(_ item: Int64) -> Bool { item.isMultiple(of: 4) || item == 3 || item == 105 }

    let clock: ManualClock
    let recommender: Recommender
    let registry: MetricRegistry
    let gates: GateBook
    let similar: Temper
    let popular: Temper
    let rows: Temper
    let ranker: Temper
    let hasList: Mutex<Bool>.Box
    /// Seconds that the wall clock has been put forward.
    let wallStep: Mutex<Int64>.Step
    let store: MemoryStore

    var all: [Temper] { [similar, popular, rows, ranker] }

    static func with<Result: Sendable>(
        _ text: String = config, _ body: @escaping @Sendable (Stage) async throws -> Result
    ) async throws -> Result {
        let clock = ManualClock()
        let (events, engaged) = AsyncStream.makeStream(of: Duration.self, bufferingPolicy: .unbounded)
        let runner = CallRunner(clock: clock.recommending)
        let stage = try await Stage(text, clock, engaged, runner)
        return try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await runner.run() }
            tasks.addTask { for await patience in events { clock.advance(by: patience) } }
            await runner.untilRunning()
            defer { tasks.cancelAll() }
            do {
                let result = try await body(stage)
                for temper in stage.all { temper.release() }
                return result
            } catch {
                for temper in stage.all { temper.release() }
                throw error
            }
        }
    }

    private init(
        _ text: String, _ clock: ManualClock, _ engaged: AsyncStream<Duration>.Continuation, _ runner: CallRunner
    ) async throws {
        self.clock = clock
        registry = MetricRegistry()
        similar = Temper(clock, engaged)
        popular = Temper(clock, engaged)
        rows = Temper(clock, engaged, patience: .milliseconds(80))
        ranker = Temper(clock, engaged, patience: .milliseconds(80))
        gates = GateBook(clock: clock.recommending)
        let hasList = Mutex<Bool>.Box(true)
        let wallStep = Mutex<Int64>.Step()
        self.wallStep = wallStep
        self.hasList = hasList
        store = MemoryStore()
        try await TestCatalog.fill(store)
        let (similar, popular, model) = (similar, popular, TestRanker(temper: ranker))
        var environment = Recommender.Environment(
            clock: RecommendClock(
                now: clock.recommending.now, wall: { 1_000_000_000_000 + wallStep.seconds * 1_000_000 },
                sleep: clock.recommending.sleep), runner: runner, catalogs: TestCatalog(),
            rows: TestRows(rows: StoreRows(store), temper: rows),
            list: { _ in hasList.value ? TestList() : nil },
            ranker: { $0 == "ctr" ? model : nil }, gates: gates, registry: registry,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        environment.source = { source in
            TestSource(list: TestList(), temper: source.name == "similar" ? similar : popular)
        }
        recommender = Recommender(environment)
        let parsed = try Config.parse(file: "t.yaml", text: Array(text.utf8))
        recommender.apply(parsed.pipelines, blocked: ["blocklist.txt": BlockList.parse(Array("3\n105 # why\n".utf8))])
    }

    func ask(
        user: Int64 = 1, _ change: (inout RecommendRequest) -> Void = { _ in }
    ) async throws(RecommendError) -> RecommendAnswer {
        var request = RecommendRequest(pipeline: "home", entity: ["user_id": .integer(user)])
        change(&request)
        let now = clock.now
        return try await recommender.recommend(request, start: now, deadline: now + .milliseconds(80))
    }

    /// Lets policy be looked at, as the refresher does.
    func refresh() async -> Bool { await PolicyRefresher(recommender).refresh() }

    func counted(_ rung: PipelineConfig.Rung) -> Int {
        Int(registry.counter(.recommendRungs, ["home", rung.rawValue]).value)
    }
}

extension Mutex where Value == Bool {
    /// A flag that closures may share.
    final class Box: Sendable {
        private let flag: Mutex<Bool>
        init(_ value: Bool) { flag = Mutex(value) }
        var value: Bool {
            get { flag.withLock { $0 } }
            set { flag.withLock { $0 = newValue } }
        }
    }
}

extension Mutex where Value == Int64 {
    /// How far a clock was put forward.
    final class Step: Sendable {
        private let step = Mutex<Int64>(0)
        var seconds: Int64 {
            get { step.withLock { $0 } }
            set { step.withLock { $0 = newValue } }
        }
    }
}

extension ManualClock {
    var recommending: RecommendClock {
        RecommendClock(
            now: { self.now }, wall: { 1_000_000_000_000 }, sleep: { try await self.sleep(until: $0, tolerance: nil) })
    }
}

extension RecommendAnswer {
    var ids: [Int64] { items.map { if case .integer(let id) = $0.id { id } else { -1 } } }
    var reasons: [String: String] {
        Dictionary(degraded.map { ($0.part, $0.reason) }, uniquingKeysWith: { first, _ in first })
    }
}

/// Users 1...20 with the items they met, items 1...200.
struct TestCatalog: PipelineCatalogs, PipelineCatalog {
    static let recent = view("recent", "user", "user_id", [("items", .list(.int64)), ("visits", .scalar(.int64))])
    static let item = view(
        "item", "item", "item_id",
        [("available", .scalar(.bool)), ("category", .scalar(.int64)), ("price", .scalar(.float64))])

    var generation: UInt64 { 1 }
    var catalog: (any PipelineCatalog)? { self }

    func view(_ name: String) throws(LookupError) -> FeatureView {
        switch name {
        case "recent": return Self.recent
        case "item": return Self.item
        default: throw LookupError("there is no view \(name)", code: .unknownFeature)
        }
    }

    func features(ofService name: String) throws(LookupError) -> [FeatureReference] {
        guard name == "home" else { throw LookupError("there is no service \(name)", code: .unknownFeature) }
        return [FeatureReference(view: "item", feature: "price"), FeatureReference(view: "recent", feature: "visits")]
    }

    func plan(features: [FeatureReference]) throws(LookupError) -> LookupPlan {
        try LookupPlan(
            project: "shop", features: features, views: ["recent": (Self.recent, 1), "item": (Self.item, 1)])
    }

    private static func view(
        _ name: String, _ entity: String, _ key: String, _ features: [(String, FeatureType)]
    ) -> FeatureView {
        FeatureView(
            name: name, entity: Entity(name: entity, keys: [Entity.Key(name: key, type: .int64)]),
            source: ViewSource(
                from: "shop", query: "SELECT 1", watermark: .tracked(TrackedTable(table: "t", keyColumns: ["k"]))),
            every: .seconds(60), ttl: .seconds(3_600), sweep: .seconds(1_800),
            features: features.map { Feature(name: $0, type: $1) })
    }

    static func fill(_ store: any OnlineStore) async throws {
        let users = (1...20).map { user in
            (Int64(user), [FeatureValue.list([.int64(Int64(user)), .int64(2)]), .int64(Int64(user))])
        }
        var items: [(Int64, [FeatureValue])] = []
        for item in 1...200 {
            let price = Double(item * 37 % 101)
            items.append((Int64(item), [.bool(!item.isMultiple(of: 4)), .int64(Int64(item % 7)), .float64(price)]))
        }
        try await write(users, recent, store)
        try await write(items, item, store)
    }

    static func write(
        _ rows: [(Int64, [FeatureValue])], _ view: FeatureView, _ store: any OnlineStore, event: Int64 = 1
    )
        async throws
    {
        let lease = try #require(
            try await store.acquireLease("rows", owner: "test", duration: .seconds(60)))
        let session = try await store.openSession(lease)
        let encoder = RowEncoder(view: view)
        var batch = RowBatch()
        for (id, values) in rows {
            let key = try #require(EntityKey([.integer(id)]))
            try batch.append(key, ttlMilliseconds: 3_600_000) { (bytes: inout [UInt8]) throws(RowCodecError) in
                try encoder.encode(
                    key: key, order: RowOrder(epoch: 1, eventTime: event, position: UInt64(event)), values: values[...],
                    into: &bytes)
            }
        }
        _ = try await session.write(
            batch, in: KeySpace(project: "shop", viewKey: view.key, version: 1), mode: .newest)
        await session.close()
    }
}
