import FeatureModel
import Foundation
import Logging
import OnlineStore
import Recommend
import RedisClient
import RowCodec
import ServiceLifecycle
import Serving
import Synchronization
import Telemetry
import TidemarkTesting

/// A serving daemon of a test's own in this process, over a Redis of its own with rows that the test knows.
struct DaemonStage: Sendable {
    static let project = "shop"
    static let users = 200
    static let views = ["activity", "profile", "stock"].map(makeView)

    /// Whether a `redis-server` is here.
    static let isPossible: Bool = {
        if !RedisServer.isAvailable { print("redis-server is missing: tests of the serving daemon are SKIPPED") }
        return RedisServer.isAvailable
    }()

    /// How to start it.
    struct Options: Sendable {
        var settings = ServerSettings()
        /// Whether lookups take the event loop's own connection, or the store's calls.
        var usesLane = true
        /// Whether the event loops' own connections go through a fault proxy.
        var usesProxy = false
        /// Whether the catalog was read before the daemon listens.
        var awaitsCatalog = true
        var tracer = Tracer.none
        var registry = MetricRegistry()
        var logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        /// Whether Redis is up when the daemon starts.
        var startsRedis = true
        var security: ListenerSecurity?
        /// Takes events; none where there is no such thing.
        var events: EventIntake?
        /// What recommendations are made by, and its lists; every list is `list`.
        var pipelines: [PipelineConfig] = []
        var list: (any ItemList)?
        /// Who may do what; everybody everything unless a policy is applied.
        var access = DataAccess()

        init() {
            settings.timeout = .seconds(5)
            settings.unready = .zero
            settings.drain = .seconds(5)
        }
    }

    let redis: RedisServer
    /// What stands between the event loops and Redis, if the options say so.
    let proxy: FaultProxy?
    let store: RedisStore
    let watcher: CatalogWatcher
    let serving: ServingContext
    let port: Int
    private let group: ServiceGroup
    /// What the router has on top of health.
    let recommender: Recommender
    let routes: [ServingRoute]

    /// Runs `body` beside a daemon that is stopped at the end, and asserts nothing about how it stopped.
    static func with<Result: Sendable>(
        _ options: Options = Options(), _ body: @escaping @Sendable (DaemonStage) async throws -> Result
    ) async throws -> Result {
        try await RedisServer.with { redis in
            var configuration = RedisStore.Configuration(project: project, topology: redis.topology)
            configuration.callTimeout = .seconds(1)
            let store = try await RedisStore(configuration: configuration)
            try await fill(store)
            if !options.startsRedis { redis.stop(.kill) }
            let result =
                if options.usesProxy {
                    try await FaultProxy.with(to: redis.topology.primary.address) { proxy in
                        try await run(options, redis, proxy, store, body)
                    }
                } else {
                    try await run(options, redis, nil, store, body)
                }
            await store.close()
            return result
        }
    }

    private static func run<Result: Sendable>(
        _ options: Options, _ redis: RedisServer, _ proxy: FaultProxy?, _ store: RedisStore,
        _ body: @escaping @Sendable (DaemonStage) async throws -> Result
    ) async throws -> Result {
        let logger = options.logger
        let watcher = CatalogWatcher(store: store, project: project, interval: .milliseconds(50), logger: logger)
        if options.awaitsCatalog { await watcher.look() }
        let serving = ServingContext(
            settings: options.settings, metrics: ServingMetrics(registry: options.registry), gate: StoreGate(),
            catalog: watcher, store: store,
            lane: options.usesLane ? RedisClient.Configuration(topology: proxy?.topology ?? redis.topology) : nil,
            security: options.security, access: options.access, tracer: options.tracer, logger: logger)
        let (ports, port) = AsyncStream.makeStream(of: Int.self, bufferingPolicy: .bufferingOldest(1))
        let routes = routes(serving, store, watcher, options)
        let recommender = recommender(serving, watcher, options)
        let daemon = ServingDaemon(serving, recommender: recommender, routes: routes) { address in
            port.yield(address.port)
            port.finish()
        }
        let group = ServiceGroup(
            configuration: ServiceGroupConfiguration(
                services: [
                    .init(service: watcher), .init(service: daemon),
                    .init(service: DrainNotice(serving), successTerminationBehavior: .ignore),
                ], logger: logger))
        return try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask {
                do { try await group.run() } catch {
                    port.finish()
                    throw error
                }
            }
            var iterator = ports.makeAsyncIterator()
            guard let port = await iterator.next() else { throw ClientError("the daemon did not start") }
            let stage = DaemonStage(
                redis: redis, proxy: proxy, store: store, watcher: watcher, serving: serving, port: port, group: group,
                recommender: recommender, routes: routes)
            do {
                let result = try await body(stage)
                await group.triggerGracefulShutdown()
                try await tasks.waitForAll()
                return result
            } catch {
                await group.triggerGracefulShutdown()
                throw error
            }
        }
    }

    private static func recommender(
        _ serving: ServingContext, _ watcher: CatalogWatcher, _ options: Options
    ) -> Recommender {
        let list = options.list
        let recommender = Recommender(
            Recommender.Environment(
                runner: CallRunner(), catalogs: watcher, rows: LaneRows(serving), list: { _ in list },
                ranker: { _ in nil }, gates: GateBook(), registry: options.registry, logger: options.logger))
        recommender.apply(options.pipelines, blocked: [:])
        return recommender
    }

    /// All that the daemon has on top of lookups, recommendations and health.
    private static func routes(
        _ serving: ServingContext, _ store: RedisStore, _ watcher: CatalogWatcher, _ options: Options
    ) -> [ServingRoute] {
        let writes = WriteRoutes(FeatureWriter(store, project: project), project: project) { serving.liveSettings }
        return writes.routes() + EventRoutes(serving, options.events).routes
    }

    /// Begins the end, as SIGTERM does.
    func stop() async { await group.triggerGracefulShutdown() }

    /// A connection to the daemon.
    func connect() throws -> RawClient { try RawClient(port: port) }

    // MARK: Rows

    private static func makeView(_ name: String) -> FeatureView {
        let types: [(String, FeatureType)] = [
            ("count", .scalar(.int64)), ("share", .scalar(.float64)), ("word", .scalar(.string)),
            ("flag", .scalar(.bool)), ("maybe", .scalar(.int64)),
        ]
        return FeatureView(
            name: name, entity: Entity(name: "user", keys: [Entity.Key(name: "user_id", type: .int64)]),
            source: ViewSource(
                from: "shop", query: "SELECT 1", watermark: .tracked(TrackedTable(table: "t", keyColumns: ["k"]))),
            every: .seconds(60), ttl: .seconds(3_600), sweep: .seconds(1_800),
            features: types.map { Feature(name: "\(name)_\($0)", type: $1) })
    }

    /// What the store holds of a user; `nil` where there is no row.
    static func values(_ view: Int, _ user: Int) -> [FeatureValue]? {
        guard (0..<users).contains(user), (user + view) % 7 != 0 else { return nil }
        return [
            .int64(Int64(user) * 9_007_199_254_741 + Int64(view)), .float64(Double(user) / 8 + Double(view)),
            .string("w\(user)\"\\\(view)é"), .bool(user.isMultiple(of: 2)),
            (user + view).isMultiple(of: 3) ? .null : .int64(Int64(-user)),
        ]
    }

    private static func fill(_ store: RedisStore) async throws {
        let fixture = CatalogFixture(store: store)
        for view in views { try await fixture.fill(view) }
        try await fixture.publish(
            views.map(\.name),
            services: ["all": views.flatMap { view in view.features.map { "\(view.name):\($0.name)" } }])
        guard let lease = try await store.acquireLease("rows", owner: "test", duration: .seconds(60)) else {
            throw ClientError("no lease")
        }
        let session = try await store.openSession(lease)
        for (index, view) in views.enumerated() {
            let encoder = RowEncoder(view: view)
            var batch = RowBatch()
            for user in 0..<users {
                guard let values = values(index, user), let key = EntityKey([.integer(Int64(user))]) else { continue }
                try batch.append(key, ttlMilliseconds: 3_600_000) { (bytes: inout [UInt8]) throws(RowCodecError) in
                    try encoder.encode(
                        key: key, order: RowOrder(epoch: 1, eventTime: 1_000_000, position: 1), values: values[...],
                        into: &bytes)
                }
            }
            _ = try await session.write(
                batch, in: KeySpace(project: project, viewKey: view.key, version: 1), mode: .newest)
        }
        await session.close()
    }
}

extension FeatureValue {
    /// As a body of `/v1/lookup` must have it, for scalars.
    var json: String {
        switch self {
        case .null: "null"
        case .bool(let flag): "\(flag)"
        case .int64(let number): "\(number)"
        case .float64(let number): "\(number)"
        case .string(let text):
            "\"\(text.replacingOccurrences(of: "\\", with: "\\\\").replacingOccurrences(of: "\"", with: "\\\""))\""
        default: "?"
        }
    }
}
