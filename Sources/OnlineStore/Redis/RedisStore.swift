package import FeatureModel
package import RedisClient

/// Rows and control keys in one Redis server (6.2 or later).
///
/// Reads and control calls share a few connections; each session has one of its own. Nothing is connected before the
/// first call, so a store can be made while the server is down.
package final class RedisStore: OnlineStore {
    /// Where the store is and how much it may take.
    package struct Configuration: Sendable {
        /// The project, `[a-z0-9_-]+`: the first part of every key.
        package var project: String
        package var topology: RedisTopology
        /// What `CLIENT LIST` shows.
        package var clientName = "tidemark"
        /// Shared connections.
        package var connections = 2
        /// From the first packet to the end of the login.
        package var connectTimeout = Duration.seconds(1)
        /// For a read or control call, waiting for a connection included.
        package var callTimeout = Duration.seconds(2)
        /// For one batch of a session, and for its marker.
        package var writeTimeout = Duration.seconds(10)
        /// Bytes of one pipeline of a session, about.
        package var pipelineBytes = 256 << 10
        /// Pipelines of one batch that are on their way at once.
        package var pipelinesInFlight = 4
        /// Keys of one MGET, UNLINK, HMGET or HDEL.
        package var keysPerCommand = 128
        package var connectsPerSecond = 10
        package var limits = RedisConnection.Limits()

        package init(project: String, topology: RedisTopology) {
            self.project = project
            self.topology = topology
        }

        /// Takes a URL as in the config: `redis://…`, `rediss://…`, `redis+unix://…`. Throws `misconfigured`.
        package init(project: String, url: String) throws(StoreError) {
            do throws(RedisError) {
                self.init(project: project, topology: try RedisTopology(url: url))
            } catch {
                throw StoreError(error)
            }
        }
    }

    let configuration: Configuration
    let client: RedisClient
    let keys: ControlKeys

    /// Checks the configuration and connects to nothing yet. Throws `misconfigured`.
    package init(configuration: Configuration) async throws(StoreError) {
        var client = RedisClient.Configuration(topology: configuration.topology)
        client.clientName = configuration.clientName
        client.scripts = ControlScripts.all
        client.connections = configuration.connections
        client.connectTimeout = configuration.connectTimeout
        client.connectsPerSecond = configuration.connectsPerSecond
        client.limits = configuration.limits
        do throws(RedisError) {
            self.client = try RedisClient(client)
        } catch {
            throw StoreError(error)
        }
        self.configuration = configuration
        keys = ControlKeys(project: configuration.project)
    }

    package func read(_ keys: [EntityKey], in space: KeySpace) async throws(StoreError) -> [[UInt8]?] {
        let (prefix, suffix) = (space.prefix, space.suffix)
        return try await inChunks(keys, of: configuration.keysPerCommand) { chunk, pipeline in
            pipeline.begin("MGET", argumentCount: chunk.count)
            for key in chunk { pipeline.add(prefix, key.text, suffix) }
        } decode: { reply, count throws(RedisError) in
            try Self.values(reply, count: count)
        }
    }

    package func inspect(_ key: EntityKey, in space: KeySpace) async throws(StoreError) -> StoredRow? {
        var pipeline = RedisPipeline()
        pipeline.append("GET", .text(space.rowKey(key)))
        pipeline.append("PTTL", .text(space.rowKey(key)))
        return try await call(pipeline) { replies throws(RedisError) in
            guard let bytes = try replies[0].bytes() else { return nil }
            let remaining = try replies[1].integer()
            // -1: no expiry. -2: it expired between the two commands.
            if remaining == -2 { return nil }
            return StoredRow(bytes: bytes, remaining: remaining < 0 ? nil : .milliseconds(remaining))
        }
    }

    package func remove(_ keys: [EntityKey], in space: KeySpace) async throws(StoreError) -> Int {
        let (prefix, suffix) = (space.prefix, space.suffix)
        let counts: [Int64] = try await inChunks(keys, of: configuration.keysPerCommand) { chunk, pipeline in
            pipeline.begin("UNLINK", argumentCount: chunk.count)
            for key in chunk { pipeline.add(prefix, key.text, suffix) }
        } decode: { reply, _ throws(RedisError) in
            [try reply.integer()]
        }
        return Int(counts.reduce(0, +))
    }

    package func openSession(_ lease: Lease) async throws(StoreError) -> any StoreSession {
        do throws(RedisError) {
            let connection = try await client.makeConnection(deadline: callDeadline)
            return RedisSession(
                lease: lease, connection: connection, of: client, keys: keys, configuration: configuration)
        } catch {
            throw StoreError(error)
        }
    }

    package func close() async {
        await client.close()
    }

    /// The deadline of a call that begins now.
    var callDeadline: ContinuousClock.Instant { .now + configuration.callTimeout }

    /// Sends a pipeline over the shared connections.
    func call<Answer>(
        _ pipeline: RedisPipeline, idempotent: Bool = true, deadline: ContinuousClock.Instant? = nil,
        decode: ([RedisReply]) throws(RedisError) -> Answer
    ) async throws(StoreError) -> Answer {
        do throws(RedisError) {
            return try await client.send(
                pipeline, deadline: deadline ?? callDeadline, idempotent: idempotent, decode: decode)
        } catch {
            throw StoreError(error)
        }
    }

    /// Runs one command for each chunk, several of them in a pipeline, and strings the answers together.
    func inChunks<Key, Answer>(
        _ keys: [Key], of size: Int, encode: (ArraySlice<Key>, inout RedisPipeline) -> Void,
        decode: (RedisReply, Int) throws(RedisError) -> [Answer]
    ) async throws(StoreError) -> [Answer] {
        var answers: [Answer] = []
        let deadline = callDeadline
        var index = 0
        while index < keys.count {
            var pipeline = RedisPipeline()
            var counts: [Int] = []
            while index < keys.count, pipeline.byteCount < configuration.pipelineBytes, counts.count < 32 {
                let chunk = keys[index..<min(index + max(1, size), keys.count)]
                encode(chunk, &pipeline)
                counts.append(chunk.count)
                index = chunk.endIndex
            }
            answers += try await call(pipeline, deadline: deadline) { replies throws(RedisError) in
                var answers: [Answer] = []
                for (reply, count) in zip(replies, counts) { answers += try decode(reply, count) }
                return answers
            }
        }
        return answers
    }

    /// The bulks of an array of `count` elements.
    static func values(_ reply: RedisReply, count: Int) throws(RedisError) -> [[UInt8]?] {
        let elements = try reply.elements()
        guard elements.count == count else {
            throw RedisError(.malformedReply, "the reply has an unexpected number of elements")
        }
        var values: [[UInt8]?] = []
        values.reserveCapacity(count)
        for element in elements { values.append(try element.bytes()) }
        return values
    }
}
