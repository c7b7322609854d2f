import FeatureModel
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import Logging
import OnlineStore
import Recommend
import RedisClient
import RowCodec
import ServiceLifecycle
import Serving
import ServingGRPC
import ServingProtos
import SwiftProtobuf
import Synchronization
import Telemetry
import Testing
import TidemarkTesting

typealias Client = GRPCClient<HTTP2ClientTransport.Posix>

/// A gRPC listener on a free port over a store, with a client of it.
struct GRPCFixture: Sendable {
    let store: any OnlineStore
    let serving: ServingContext
    let client: Client
    let group: ServiceGroup
    let address: NetworkAddress
    let pipelines: TestPipelines
    /// Of HTTP, over the same store and pipelines; 0 where there is none.
    let httpPort: Int

    var features: Tidemark_V1_FeatureService.Client<HTTP2ClientTransport.Posix> { .init(wrapping: client) }
    var recommending: Tidemark_V1_RecommendService.Client<HTTP2ClientTransport.Posix> { .init(wrapping: client) }
    var feast: Feast_Serving_ServingService.Client<HTTP2ClientTransport.Posix> { .init(wrapping: client) }
    var health: Grpc_Health_V1_Health.Client<HTTP2ClientTransport.Posix> { .init(wrapping: client) }

    static let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    /// What a call on a machine with much else to do has.
    private static var patient: ServerSettings {
        var settings = ServerSettings()
        settings.timeout = .seconds(20)
        settings.maximumTimeout = .seconds(30)
        settings.unready = .zero
        return settings
    }

    static func context(
        _ store: any OnlineStore, _ settings: ServerSettings = patient, security: ListenerSecurity? = nil,
        access: DataAccess = DataAccess(), tracer: Tracer = .none, lane: RedisClient.Configuration? = nil
    ) -> ServingContext {
        ServingContext(
            settings: settings, metrics: ServingMetrics(registry: MetricRegistry()), gate: StoreGate(),
            catalog: CatalogWatcher(store: store, project: "shop", interval: .seconds(60), logger: logger),
            store: store, lane: lane, security: security, access: access, tracer: tracer, logger: logger)
    }

    /// Serves for the duration of `body`, with the catalog read unless told otherwise, then stops gracefully. `pipelines` is a config
    /// whose pipelines are served; `overHTTP` says that HTTP is served beside gRPC.
    static func with(
        _ store: any OnlineStore, readsCatalog: Bool = true, _ change: (inout ServerSettings) -> Void = { _ in },
        grpc: (inout GRPCSettings) -> Void = { _ in }, security: ListenerSecurity? = nil,
        access: DataAccess = DataAccess(), tracer: Tracer = .none, lane: RedisClient.Configuration? = nil,
        pipelines text: String? = nil, overHTTP: Bool = false,
        transport transportSecurity: HTTP2ClientTransport.Posix.TransportSecurity = .plaintext,
        _ body: (GRPCFixture) async throws -> Void
    ) async throws {
        var server = patient
        change(&server)
        let serving = context(store, server, security: security, access: access, tracer: tracer, lane: lane)
        if readsCatalog { await serving.catalog.look() }
        var settings = GRPCSettings(server, address: NetworkAddress(host: "127.0.0.1", port: 0))
        grpc(&settings)
        let pipelines = try TestPipelines(serving, text)
        let (addresses, listening) = AsyncStream.makeStream(
            of: NetworkAddress.self, bufferingPolicy: .bufferingNewest(1))
        let daemon = GRPCDaemon(
            serving, store: store, recommender: pipelines.recommender, settings: settings, version: "1.2.3"
        ) { listening.yield($0) }
        let (ports, port) = AsyncStream.makeStream(of: Int.self, bufferingPolicy: .bufferingNewest(1))
        var services: [any Service] = [pipelines.runner, daemon]
        if overHTTP {
            services.append(
                ServingDaemon(serving, recommender: pipelines.recommender) {
                    port.yield($0.port)
                })
        } else {
            port.yield(0)
        }
        let group = ServiceGroup(services: services, logger: logger)
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask {
                defer {
                    listening.finish()
                    port.finish()
                }
                try await group.run()
            }
            guard let address = await addresses.first(where: { _ in true }),
                let httpPort = await ports.first(where: { _ in true })
            else { return try await tasks.waitForAll() }
            await pipelines.runner.untilRunning()
            let transport = try HTTP2ClientTransport.Posix(
                target: .ipv4(address: "127.0.0.1", port: address.port), transportSecurity: transportSecurity)
            try await withGRPCClient(transport: transport) { client in
                try await body(
                    GRPCFixture(
                        store: store, serving: serving, client: client, group: group, address: address,
                        pipelines: pipelines, httpPort: httpPort))
            }
            await group.triggerGracefulShutdown()
            try await tasks.waitForAll()
        }
    }

    // MARK: Asking

    func lookup(
        _ features: [String], users: [Int64] = [], items: [String]? = nil, ages: Bool = false,
        timeout: String? = nil
    ) async throws -> Tidemark_V1_LookupResponse {
        try await self.features.lookup(
            Self.question(features, users: users, items: items, ages: ages),
            metadata: timeout.map { ["grpc-timeout": .string($0)] } ?? [:])
    }

    static func question(
        _ features: [String], users: [Int64] = [], items: [String]? = nil, ages: Bool = false
    ) -> Tidemark_V1_LookupRequest {
        .with {
            $0.features = features
            $0.keys["user_id"] = .with { $0.integers.values = users }
            if let items { $0.keys["item"] = .with { $0.strings.values = items } }
            $0.ages = ages
        }
    }

    static func feastQuestion(
        _ features: [String], users: [Int64], items: [String]? = nil, fullNames: Bool = false
    ) -> Feast_Serving_GetOnlineFeaturesRequest {
        .with {
            $0.features.val = features
            $0.entities["user_id"] = .with { $0.val = users.map { user in .with { $0.int64Val = user } } }
            if let items {
                $0.entities["item"] = .with { $0.val = items.map { item in .with { $0.stringVal = item } } }
            }
            $0.fullFeatureNames = fullNames
        }
    }

    /// The status of a call that fails; `nil` when it doesn't.
    static func code(_ call: () async throws -> Void) async -> RPCError.Code? {
        do {
            try await call()
            return nil
        } catch let error as RPCError {
            return error.code
        } catch {
            return .unknown
        }
    }
}

/// Views with their rows in a store.
struct Rows {
    let store: any OnlineStore

    static let user = Entity(name: "user", keys: [.init(name: "user_id", type: .int64)])
    static let pair = Entity(
        name: "pair", keys: [.init(name: "user_id", type: .int64), .init(name: "item", type: .string)])

    static func view(
        _ name: String, entity: Entity = user, maxAge: Duration? = nil, _ features: [Feature]
    ) -> FeatureView {
        FeatureView(
            name: name, entity: entity,
            source: ViewSource(
                from: "shop", query: "SELECT 1", watermark: .tracked(TrackedTable(table: "t", keyColumns: ["k"]))),
            every: .seconds(60), ttl: .seconds(3_600), maxAge: maxAge, sweep: .seconds(1_800), features: features)
    }

    static let activity = view(
        "activity", maxAge: .seconds(60),
        [
            Feature(name: "views", type: .scalar(.int64), defaultValue: .int64(7)),
            Feature(name: "last", type: .scalar(.string)),
        ])
    static let prices = view(
        "prices", entity: pair,
        [Feature(name: "price", type: .scalar(.float64)), Feature(name: "views", type: .scalar(.int64))])
    /// A feature of every type.
    static let everything = view(
        "everything",
        ScalarType.allCases.map { Feature(name: $0.rawValue, type: .scalar($0)) }
            + ScalarType.allCases.map { Feature(name: "\($0.rawValue)_list", type: .list($0)) }
            + [Feature(name: "vector", type: .vector(3))])

    /// Applies the views, with the services `ranker` of both views and `all` of every type.
    func apply() async throws {
        try await apply(
            [Self.activity, Self.prices, Self.everything],
            services: [
                "ranker": ["activity:views", "prices:price"],
                "all": Self.everything.features.map { "everything:\($0.name)" },
            ])
    }

    /// Applies views, and one without rows that is called `empty`.
    func apply(_ views: [FeatureView], services: [String: [String]]) async throws {
        let catalog = CatalogStore(store)
        try await catalog.publish(
            CatalogRecord(
                project: "shop", hash: "h1", views: views.map(\.name) + ["empty"], services: services, appliedAt: 1))
        for view in views {
            let definition = String(decoding: ViewDocument.encode(view), as: UTF8.self)
            _ = try await catalog.updateVersions(of: view.name) { versions in
                let number = versions.begin(definition: definition, fingerprint: "f", reason: "test", at: 1)
                return versions.finishBuilding(number) && versions.activate(number, at: 2, keepPrevious: .seconds(60))
            }
        }
    }

    /// Puts one row; `eventTime` is in microseconds since 1970.
    func put(
        _ view: FeatureView, _ key: [EntityKeyValue], _ values: [FeatureValue], eventTime: Int64? = nil
    ) async throws {
        try await put(view, [(key, values)], eventTime: eventTime)
    }

    /// Puts rows.
    func put(
        _ view: FeatureView, _ rows: [([EntityKeyValue], [FeatureValue])], eventTime: Int64? = nil
    ) async throws {
        guard let lease = try await store.acquireLease("w", owner: "t", duration: .seconds(60)) else {
            throw RPCError(code: .internalError, message: "no lease")
        }
        let session = try await store.openSession(lease)
        var batch = RowBatch()
        for (key, values) in rows {
            guard let key = EntityKey(key) else { throw RPCError(code: .internalError, message: "no key") }
            try batch.append(key, ttlMilliseconds: 600_000) { bytes throws(RowCodecError) in
                try RowEncoder(view: view).encode(
                    key: key, order: RowOrder(epoch: 1, eventTime: eventTime, position: 1), values: values[...],
                    into: &bytes)
            }
        }
        let space = KeySpace(project: "shop", viewKey: view.key, version: 1)
        _ = try await session.write(batch, in: space, mode: .newest)
        await session.close()
        try await store.releaseLease(lease)
    }
}

/// A store for a test, and how to end it.
enum StoreKind: String, CaseIterable, CustomTestStringConvertible, Sendable {
    case memory
    case redis

    static let here: [StoreKind] = RedisServer.isAvailable ? allCases : [.memory]

    var testDescription: String { rawValue }

    func with(_ body: (any OnlineStore) async throws -> Void) async throws {
        guard self == .redis else { return try await body(MemoryStore()) }
        try await RedisServer.with { server async throws in
            var configuration = RedisStore.Configuration(project: "shop", topology: server.topology)
            configuration.connectTimeout = .seconds(10)
            configuration.callTimeout = .seconds(20)
            let store = try await RedisStore(configuration: configuration)
            try await body(store)
            await store.close()
        }
    }
}
