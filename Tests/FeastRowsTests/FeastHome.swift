import FeastRows
import FeatureModel
import Glibc
import OnlineStore
import RedisClient
import ServingProtos
import SwiftProtobuf
import Testing
import TidemarkTesting

/// A registry file and a Redis with rows as Feast writes them, and a store over both.
final class FeastHome {
    let workdir: Workdir
    let server: RedisServer
    private let client: RedisClient
    var registry = Feast_Core_Registry.with {
        $0.entities = [
            entity("driver", "driver_id", .int64), entity("shelf", "shelf", .int32), entity("name", "name", .string),
            entity("hour", "hour", .unixTimestamp),
        ]
        $0.featureViews = [
            view("stats", ["driver"], [("rate", .float), ("tags", .stringList)], ttl: 90),
            view("pair", ["shelf", "name", "hour"], [("x", .int64)]),
        ]
    }

    private init(_ workdir: Workdir, _ server: RedisServer) throws {
        self.workdir = workdir
        self.server = server
        client = try RedisClient(RedisClient.Configuration(topology: try RedisTopology(url: server.url)))
        try writeRegistry()
    }

    static func with(_ body: (FeastHome) async throws -> Void) async throws {
        try await Workdir.with { workdir in
            try await RedisServer.with { server in
                let home = try FeastHome(workdir, server)
                do {
                    try await body(home)
                } catch {
                    await home.client.close()
                    throw error
                }
                await home.client.close()
            }
        }
    }

    private static func entity(
        _ name: String, _ key: String, _ type: Feast_Types_ValueType.Enum
    ) -> Feast_Core_Entity {
        .with { ($0.spec.name, $0.spec.joinKey, $0.spec.valueType, $0.spec.project) = (name, key, type, "shop") }
    }

    private static func view(
        _ name: String, _ entities: [String], _ features: [(String, Feast_Types_ValueType.Enum)], ttl: Int64 = 0
    ) -> Feast_Core_FeatureView {
        .with {
            ($0.spec.name, $0.spec.project, $0.spec.entities) = (name, "shop", entities)
            $0.spec.ttl.seconds = ttl
            $0.spec.features = features.map { feature in .with { ($0.name, $0.valueType) = feature } }
        }
    }

    func writeRegistry() throws {
        let bytes: [UInt8] = try registry.serializedBytes()
        let descriptor = unsafe open(workdir.file("registry.db"), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        defer { close(descriptor) }
        let count = unsafe bytes.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
        try #require(count == bytes.count)
    }

    func store() throws -> FeastStore {
        try FeastStore(
            FeastStore.Configuration(
                project: "shop", registry: workdir.file("registry.db"),
                redis: RedisClient.Configuration(topology: try RedisTopology(url: server.url))))
    }

    /// The view as lookups go by it.
    func definition(_ view: String, of store: FeastStore) async throws -> FeatureView {
        let document = try #require(try await store.document(CatalogStore.versionsName(view)))
        let versions = try ControlDocument.decode(ViewVersions.self, from: document.bytes)
        return try ViewDocument.decode(Array(try #require(versions.current).definition.utf8))
    }

    /// Looks features of views with one integer key up. `now` is in microseconds since 1970.
    func lookup(_ features: [String], _ entities: [String: [Int]], now: Int64) async throws -> LookupAnswer {
        let store = try store()
        var views: [String: (view: FeatureView, version: Int)] = [:]
        let references = features.map { $0.split(separator: ":") }.map {
            FeatureReference(view: String($0[0]), feature: String($0[1]))
        }
        for reference in references { views[reference.view] = (try await definition(reference.view, of: store), 0) }
        let plan = try LookupPlan(project: "shop", features: references, views: views)
        var columns = EntityColumns()
        for (name, values) in entities { columns.add(name, integers: values.map(Int64.init)) }
        let answer = try await FeatureLookup(store).lookup(plan, entities: columns, now: now)
        await store.close()
        return answer
    }

    // MARK: Rows as Feast writes them

    func write(
        _ view: String, _ keys: [String: FeastLayout.KeyValue], _ values: [String: Feast_Types_Value], at seconds: Int64
    ) async throws {
        var pipeline = RedisPipeline()
        pipeline.begin("HSET", argumentCount: 3 + 2 * values.count)
        pipeline.add(key(keys)[...])
        pipeline.add(FeastLayout.timestampField(view: view)[...])
        let time = Google_Protobuf_Timestamp(seconds: seconds)
        let timeBytes: [UInt8] = try time.serializedBytes()
        pipeline.add(timeBytes[...])
        for (feature, value) in values {
            let bytes: [UInt8] = try value.serializedBytes()
            pipeline.add(FeastLayout.field(view: view, feature: feature)[...])
            pipeline.add(bytes[...])
        }
        try await send(pipeline)
    }

    func writeRaw(
        _ view: String, _ keys: [String: FeastLayout.KeyValue], _ feature: String, _ bytes: [UInt8]
    ) async throws {
        var pipeline = RedisPipeline()
        pipeline.append(
            "HSET", .bytes(key(keys)), .bytes(FeastLayout.field(view: view, feature: feature)), .bytes(bytes))
        try await send(pipeline)
    }

    /// Puts something else than a hash under the key.
    func writeForeign(_ view: String, _ keys: [String: FeastLayout.KeyValue]) async throws {
        var pipeline = RedisPipeline()
        pipeline.append("SET", .bytes(key(keys)), .text("foreign"))
        try await send(pipeline)
    }

    private func key(_ keys: [String: FeastLayout.KeyValue]) -> [UInt8] {
        FeastLayout.key(keys.map { ($0.key, $0.value) }, project: "shop")
    }

    private func send(_ pipeline: RedisPipeline) async throws {
        _ = try await client.send(pipeline, deadline: .now + .seconds(5), idempotent: false) {
            replies throws(RedisError) in
            for reply in replies { try reply.check() }
        }
    }
}
