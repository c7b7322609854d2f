package import FeatureModel
internal import OnlineStore
internal import RedisClient
internal import RowCodec

/// What lies in a store, read key by key and decoded, for a test to compare with its source.
package struct StoreDump: Sendable {
    /// A row as it lies there.
    package struct Row: Sendable, Equatable {
        package let order: RowOrder
        package let isTombstone: Bool
        package let values: [FeatureValue]
    }

    /// By the entity's canonical spelling; tombstones too.
    package var rows: [String: Row] = [:]
    /// Row keys of any view and version whose expiry is out of bounds, with the milliseconds they have (-1: none).
    package var badExpiries: [String: Int64] = [:]
    /// Row keys of the version whose bytes could not be decoded.
    package var broken: [String] = []
    /// How many row keys of any view and version there are.
    package var keyCount = 0

    /// The rows that readers would see.
    package var live: [String: [FeatureValue]] {
        rows.filter { !$0.value.isTombstone }.mapValues(\.values)
    }
}

/// Looks into a Redis by commands of its own, apart from the store under test.
package final class StoreProbe: Sendable {
    private let client: RedisClient
    private let project: String

    /// Connects when first asked.
    package init(_ server: RedisServer, project: String) throws {
        var configuration = RedisClient.Configuration(topology: server.topology)
        configuration.clientName = "probe"
        configuration.connections = 1
        // It comes back at once when a test restarts its server.
        configuration.connectsPerSecond = 1_000
        client = try RedisClient(configuration)
        self.project = project
    }

    /// Ends the connection.
    package func close() async { await client.close() }

    // MARK: Rows

    /// Reads one version of a view, and the expiry of every row key of the project.
    package func dump(_ view: FeatureView, version: Int) async throws -> StoreDump {
        let space = KeySpace(project: project, viewKey: view.key, version: version)
        let decoder = RowDecoder(view: view)
        var dump = StoreDump()
        let keys = try await keys(prefix: space.prefix)
        dump.keyCount = keys.count
        let longest = view.ttl.components.seconds * 1_000
        // A tombstone stays as long as something older may still arrive: a day at least.
        let longestTombstone = max(86_400_000, longest * 2)
        for start in stride(from: 0, to: keys.count, by: 500) {
            let some = Array(keys[start..<min(start + 500, keys.count)])
            for (key, stored) in zip(some, try await values(some)) {
                // It expired meanwhile.
                guard let bytes = stored.bytes, stored.remaining != -2 else { continue }
                let isTombstone = (bytes.first ?? 0) & 1 == 1
                if stored.remaining <= 0 || stored.remaining > (isTombstone ? longestTombstone : longest) {
                    dump.badExpiries[key] = stored.remaining
                }
                guard let entity = space.entity(ofRowKey: key) else { continue }
                guard let row = try? decoder.decode(bytes, key: entity) else {
                    dump.broken.append(key)
                    continue
                }
                dump.rows[entity.text] = StoreDump.Row(
                    order: row.order, isTombstone: row.isTombstone, values: row.values)
            }
        }
        return dump
    }

    /// The rows of some entities, as a reader gets them in one go; `nil` where there is none. Undecodable ones throw.
    package func read(_ entities: [String], of view: FeatureView, version: Int) async throws -> [StoreDump.Row?] {
        let space = KeySpace(project: project, viewKey: view.key, version: version)
        let decoder = RowDecoder(view: view)
        var pipeline = RedisPipeline()
        pipeline.append("MGET", entities.map { .text(space.rowKey(EntityKey(canonical: $0))) })
        let bytes = try await send(pipeline) { replies throws(RedisError) in
            var values: [[UInt8]?] = []
            for element in try replies[0].elements() { values.append(try element.bytes()) }
            return values
        }
        return try zip(entities, bytes).map { entity, bytes in
            guard let bytes else { return nil }
            let row = try decoder.decode(bytes, key: EntityKey(canonical: entity))
            return StoreDump.Row(order: row.order, isTombstone: row.isTombstone, values: row.values)
        }
    }

    /// The number of the version that readers of a view are sent to; `nil` before there is one.
    package func currentVersion(of view: String) async throws -> Int? {
        var pipeline = RedisPipeline()
        pipeline.append("HGET", .text("\(project):!doc:view:\(view)"), .text("bytes"))
        let bytes = try await send(pipeline) { replies throws(RedisError) in try replies[0].bytes() }
        guard let bytes else { return nil }
        return try ControlDocument.decode(ViewVersions.self, from: bytes).current?.number
    }

    /// The entities in a view's quarantine.
    package func quarantined(_ view: String) async throws -> Set<String> {
        var pipeline = RedisPipeline()
        pipeline.append("HKEYS", .text("\(project):!hash:quarantine:\(view)"))
        return try await send(pipeline) { replies throws(RedisError) in
            var names: Set<String> = []
            for element in try replies[0].elements() {
                names.insert(String(decoding: try element.bytes() ?? [], as: UTF8.self))
            }
            return names
        }
    }

    /// How long the lease of a view still lasts if nobody renews it; zero when nobody holds it.
    package func leaseRemaining(of view: String) async throws -> Duration {
        var pipeline = RedisPipeline()
        pipeline.append("PTTL", .text("\(project):!lease:\(view)"))
        let remaining = try await send(pipeline) { replies throws(RedisError) in try replies[0].integer() }
        return .milliseconds(max(0, remaining))
    }

    /// How many row keys a version has.
    package func rowCount(of viewKey: String, version: Int) async throws -> Int {
        let suffix = KeySpace(project: project, viewKey: viewKey, version: version).suffix
        return try await keys(prefix: "\(project):{").count { $0.hasSuffix(suffix) }
    }

    /// Waits until a version has some row keys, and tells how many; each look is an answer of the store's.
    package func waitForRows(of viewKey: String, version: Int, atLeast count: Int) async throws -> Int {
        for _ in 0..<100_000 {
            let found = try await rowCount(of: viewKey, version: version)
            if found >= count { return found }
        }
        throw StoreError(.deadlineExceeded, "the rows did not come")
    }

    // MARK: Damage

    /// Takes rows away, as an eviction would.
    package func remove(_ entities: [String], of view: FeatureView, version: Int) async throws {
        let space = KeySpace(project: project, viewKey: view.key, version: version)
        try await run("DEL", entities.map { space.rowKey(EntityKey(canonical: $0)) })
    }

    /// Puts the bytes of one entity's row, or any others, under another's key, without expiry.
    package func overwrite(_ entity: String, of view: FeatureView, version: Int, with text: String) async throws {
        let space = KeySpace(project: project, viewKey: view.key, version: version)
        try await run("SET", [space.rowKey(EntityKey(canonical: entity)), text])
    }

    /// Runs one command for its effect.
    package func run(_ name: StaticString, _ arguments: [String]) async throws {
        var pipeline = RedisPipeline()
        pipeline.append(name, arguments.map { .text($0) })
        try await send(pipeline) { replies throws(RedisError) in try replies[0].check() }
    }

    // MARK: Plumbing

    private func send<Answer>(
        _ pipeline: RedisPipeline, _ decode: ([RedisReply]) throws(RedisError) -> Answer
    ) async throws -> Answer {
        try await client.send(pipeline, deadline: .now + .seconds(10), idempotent: true, decode: decode)
    }

    /// All keys that begin with `prefix`, each once, in order.
    private func keys(prefix: String) async throws -> [String] {
        var keys: Set<String> = []
        var cursor = "0"
        repeat {
            var pipeline = RedisPipeline()
            pipeline.append("SCAN", .text(cursor), .text("COUNT"), .integer(1_000))
            let (next, found) = try await send(pipeline) { replies throws(RedisError) in
                let parts = try replies[0].elements()
                let next = String(decoding: try parts[0].bytes() ?? [], as: UTF8.self)
                var found: [String] = []
                for element in try parts[1].elements() {
                    found.append(String(decoding: try element.bytes() ?? [], as: UTF8.self))
                }
                return (next, found)
            }
            keys.formUnion(found.filter { $0.hasPrefix(prefix) })
            cursor = next
        } while cursor != "0"
        return keys.sorted()
    }

    /// Values and their remaining milliseconds, as PTTL tells them.
    private func values(_ keys: [String]) async throws -> [(bytes: [UInt8]?, remaining: Int64)] {
        var pipeline = RedisPipeline()
        for key in keys {
            pipeline.append("GET", .text(key))
            pipeline.append("PTTL", .text(key))
        }
        return try await send(pipeline) { replies throws(RedisError) in
            var values: [(bytes: [UInt8]?, remaining: Int64)] = []
            for index in keys.indices {
                values.append((try replies[2 * index].bytes(), try replies[2 * index + 1].integer()))
            }
            return values
        }
    }
}
