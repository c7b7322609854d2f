import FeatureModel
import NIOCore
import OnlineStore
import RedisClient
import RowCodec
import Serving
import Testing
import TidemarkTesting

/// The stores that writes are tested over.
enum WriteHome: String, CaseIterable, CustomTestStringConvertible {
    case memory
    case sqlite
    case redis

    var testDescription: String { rawValue }

    /// What is missing is said, not passed over.
    static let available = allCases.filter { home in
        guard home == .redis, !RedisServer.isAvailable else { return true }
        print("SKIPPED: writes into Redis: redis-server is not installed")
        return false
    }

    func withStore(_ body: (any OnlineStore) async throws -> Void) async throws {
        switch self {
        case .memory: try await Self.closing(MemoryStore(), body)
        case .sqlite:
            let folder = try TemporaryFolder.make()
            defer { TemporaryFolder.remove(folder) }
            try await Self.closing(try await SQLiteStore(path: folder + "/store.db", project: "shop"), body)
        case .redis:
            try await RedisServer.with(RedisServer.Options()) { server in
                var configuration = RedisStore.Configuration(
                    project: "shop", topology: RedisTopology(server.topology.primary))
                configuration.callTimeout = .seconds(20)
                configuration.writeTimeout = .seconds(20)
                configuration.connectsPerSecond = 1_000
                try await Self.closing(try await RedisStore(configuration: configuration), body)
            }
        }
    }

    private static func closing(
        _ store: any OnlineStore, _ body: (any OnlineStore) async throws -> Void
    ) async throws {
        do { try await body(store) } catch {
            await store.close()
            throw error
        }
        await store.close()
    }
}

/// A view that takes pushes, and what a test does with it.
struct PushFixture {
    static let types: [(String, FeatureType)] = [
        ("flag", .scalar(.bool)), ("small", .scalar(.int32)), ("big", .scalar(.int64)), ("thin", .scalar(.float32)),
        ("wide", .scalar(.float64)), ("word", .scalar(.string)), ("blob", .scalar(.bytes)),
        ("moment", .scalar(.timestamp)),
        ("numbers", .list(.int64)), ("place", .vector(2)),
    ]

    static let space = KeySpace(project: "shop", viewKey: "stats", version: 1)

    static func view(
        _ features: [Feature] = types.map { Feature(name: $0.0, type: $0.1) }, eventTime: Bool = true
    ) -> FeatureView {
        FeatureView(
            name: "stats", entity: Entity(name: "driver", keys: [Entity.Key(name: "driver_id", type: .int64)]),
            source: ViewSource(
                from: "shop", query: "SELECT 1", watermark: .tracked(TrackedTable(table: "t", keyColumns: ["k"])),
                eventTime: eventTime ? TimeColumn(column: "at") : nil),
            every: .seconds(60), ttl: .seconds(3_600), sweep: .seconds(1_800), features: features)
    }

    static func number(_ name: String = "score", _ contract: FeatureContract = .init()) -> Feature {
        Feature(name: name, type: .scalar(.int64), contract: contract)
    }

    let store: any OnlineStore
    let routes: WriteRoutes

    init(_ store: any OnlineStore, concurrency: Int = 32) {
        self.store = store
        var configuration = FeatureWriter.Configuration()
        configuration.concurrency = concurrency
        routes = WriteRoutes(
            FeatureWriter(store, project: "shop", configuration: configuration), project: "shop"
        ) {
            ServerSettings()
        }
    }

    func apply(_ view: FeatureView) async throws {
        let fixture = CatalogFixture(store: store)
        try await fixture.publish([view.name])
        try await fixture.fill(view)
    }

    /// The answer of `/write-to-online-store`.
    func write(_ frame: String, to name: String = "stats") async -> WriteRoutes.Answer {
        await routes.write(
            .init(string: #"{"feature_view_name":"\#(name)","df":\#(frame),"allow_registry_cache":false}"#),
            deadline: .now + .seconds(20))
    }

    /// The values of an entity as lookups give them; `nil` where there is no row.
    func values(_ id: Int64, view: FeatureView, version: Int = 1) async throws -> [FeatureValue]? {
        let space = KeySpace(project: "shop", viewKey: view.key, version: version)
        let key = try #require(EntityKey([.integer(id)]))
        guard let row = try await store.read([key], in: space)[0] else { return nil }
        return try RowDecoder(view: view).decode(row, key: key).values
    }
}
