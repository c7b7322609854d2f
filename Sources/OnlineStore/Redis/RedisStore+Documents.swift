internal import RedisClient

extension RedisStore {
    package func document(_ name: String) async throws(StoreError) -> Document? {
        try await documents([name])[0]
    }

    package func documents(_ names: [String]) async throws(StoreError) -> [Document?] {
        let keys = keys
        return try await inChunks(names, of: 1) { chunk, pipeline in
            for name in chunk {
                pipeline.append("HMGET", .text(keys.document(name)), .text("revision"), .text("bytes"))
            }
        } decode: { reply, _ throws(RedisError) in
            [try Self.document(try Self.values(reply, count: 2))]
        }
    }

    private static func document(_ values: [[UInt8]?]) throws(RedisError) -> Document? {
        guard let number = values[0], let bytes = values[1] else { return nil }
        guard let revision = Int64(String(decoding: number, as: UTF8.self)) else {
            throw RedisError(.malformedReply, "the revision of a document in Redis is not a number")
        }
        return Document(bytes: bytes, revision: revision)
    }

    package func replaceDocument(
        _ name: String, bytes: [UInt8], expecting revision: Int64
    ) async throws(StoreError) -> Bool {
        guard (0..<Int64.max).contains(revision) else { return false }
        var pipeline = RedisPipeline()
        pipeline.append(
            ControlScripts.replaceDocument, keys: [keys.document(name)],
            [.integer(revision), .integer(revision + 1), .bytes(bytes)])
        // Sent again it would find its own revision and call it another's.
        return try await call(pipeline, idempotent: false) { replies throws(RedisError) in
            try replies[0].integer() == 1
        }
    }

    package func append(_ entry: [UInt8], to journal: String, limit: Int) async throws(StoreError) {
        guard limit > 0 else { return }
        var pipeline = RedisPipeline()
        pipeline.append(
            ControlScripts.appendEntry, keys: [keys.journal(journal)], [.bytes(entry), .integer(Int64(limit - 1))])
        try await call(pipeline, idempotent: false) { replies throws(RedisError) in _ = try replies[0].integer() }
    }

    package func entries(of journal: String, limit: Int) async throws(StoreError) -> [[UInt8]] {
        guard limit > 0 else { return [] }
        var pipeline = RedisPipeline()
        pipeline.append("LRANGE", .text(keys.journal(journal)), .integer(0), .integer(Int64(limit - 1)))
        return try await call(pipeline) { replies throws(RedisError) in try Self.bulks(replies[0]) }
    }

    package func put(
        _ fields: [String: [UInt8]], into collection: String, limit: Int
    ) async throws(StoreError) -> Bool {
        guard !fields.isEmpty else { return true }
        guard fields.count <= limit else { return false }
        var pipeline = RedisPipeline()
        pipeline.begin(ControlScripts.putFields, keyCount: 1, argumentCount: 1 + 2 * fields.count)
        pipeline.add(keys.collection(collection))
        pipeline.add(Int64(limit))
        for (field, value) in fields {
            pipeline.add(field)
            pipeline.add(value[...])
        }
        return try await call(pipeline) { replies throws(RedisError) in try replies[0].integer() == 1 }
    }

    package func values(of fields: [String], in collection: String) async throws(StoreError) -> [[UInt8]?] {
        let key = keys.collection(collection)
        return try await inChunks(fields, of: configuration.keysPerCommand) { chunk, pipeline in
            pipeline.begin("HMGET", argumentCount: 1 + chunk.count)
            pipeline.add(key)
            for field in chunk { pipeline.add(field) }
        } decode: { reply, count throws(RedisError) in
            try Self.values(reply, count: count)
        }
    }

    package func fields(of collection: String) async throws(StoreError) -> [String: [UInt8]] {
        var pipeline = RedisPipeline()
        pipeline.append("HGETALL", .text(keys.collection(collection)))
        let bulks = try await call(pipeline) { replies throws(RedisError) in try Self.bulks(replies[0]) }
        guard bulks.count.isMultiple(of: 2) else {
            throw StoreError(.corrupt, "a collection in Redis has a field without a value")
        }
        var fields: [String: [UInt8]] = [:]
        for index in stride(from: 0, to: bulks.count, by: 2) {
            guard let field = String(validating: bulks[index], as: UTF8.self) else {
                throw StoreError(.corrupt, "a collection in Redis has a field that is not UTF-8")
            }
            fields[field] = bulks[index + 1]
        }
        return fields
    }

    package func fieldCount(of collection: String) async throws(StoreError) -> Int {
        var pipeline = RedisPipeline()
        pipeline.append("HLEN", .text(keys.collection(collection)))
        return try await call(pipeline) { replies throws(RedisError) in Int(try replies[0].integer()) }
    }

    package func removeFields(_ fields: [String], from collection: String) async throws(StoreError) {
        let key = keys.collection(collection)
        let _: [Int64] = try await inChunks(fields, of: configuration.keysPerCommand) { chunk, pipeline in
            pipeline.begin("HDEL", argumentCount: 1 + chunk.count)
            pipeline.add(key)
            for field in chunk { pipeline.add(field) }
        } decode: { reply, _ throws(RedisError) in
            [try reply.integer()]
        }
    }

    /// An array of bulks, none of them null.
    private static func bulks(_ reply: RedisReply) throws(RedisError) -> [[UInt8]] {
        var bulks: [[UInt8]] = []
        for element in try reply.elements() {
            guard let bytes = try element.bytes() else {
                throw RedisError(.malformedReply, "the reply has a null where there is none")
            }
            bulks.append(bytes)
        }
        return bulks
    }
}
