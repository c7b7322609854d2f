package import FeatureModel
internal import RedisClient

extension RedisStore {
    /// Pages without a key are skipped, up to this many in a call.
    private static let emptyPages = 64

    /// Walks all keys of the database with SCAN. A page may have a few keys more than `limit`: SCAN returns whole buckets.
    package func scan(_ space: KeySpace, from cursor: ScanCursor, limit: Int) async throws(StoreError) -> ScanPage {
        var position = cursor == .start ? "0" : cursor.text
        guard UInt64(position) != nil else { throw StoreError(.tooLarge, "the scan cursor is not of this store") }
        let deadline = callDeadline
        for _ in 0..<Self.emptyPages {
            var pipeline = RedisPipeline()
            pipeline.append(
                "SCAN", .text(position), .text("MATCH"), .text(Self.pattern(space)), .text("COUNT"),
                .integer(Int64(min(max(limit, 1), 10_000))))
            let page = try await call(pipeline, deadline: deadline) { replies throws(RedisError) in
                try Self.page(replies[0], in: space)
            }
            guard let next = page.next else { return page }
            if !page.keys.isEmpty { return page }
            position = next.text
        }
        return ScanPage(keys: [], next: ScanCursor(text: position))
    }

    private static func page(_ reply: RedisReply, in space: KeySpace) throws(RedisError) -> ScanPage {
        let parts = try reply.elements()
        guard parts.count == 2, let cursor = try parts[0].bytes(),
            let position = UInt64(String(decoding: cursor, as: UTF8.self))
        else { throw RedisError(.malformedReply, "the reply to SCAN has an unexpected form") }
        var keys: [EntityKey] = []
        for element in try parts[1].elements() {
            // Keys that look like rows but are none of ours are passed over.
            guard let bytes = try element.bytes(), let key = String(validating: bytes, as: UTF8.self),
                let entity = space.entity(ofRowKey: key), isPlausible(entity)
            else { continue }
            keys.append(entity)
        }
        return ScanPage(keys: keys, next: position == 0 ? nil : ScanCursor(text: String(position)))
    }

    private static func isPlausible(_ entity: EntityKey) -> Bool {
        let text = entity.text.utf8
        return text.count <= EntityKey.maximumBytes
            && text.allSatisfy { (0x21...0x7e).contains($0) && $0 != UInt8(ascii: "{") && $0 != UInt8(ascii: "}") }
    }

    /// A glob of the row keys of a space; whatever is special in a glob is escaped.
    static func pattern(_ space: KeySpace) -> String {
        "\(escaped(space.prefix))*\(escaped(space.suffix))"
    }

    private static func escaped(_ text: String) -> String {
        String(text.flatMap { "*?[]^\\".contains($0) ? ["\\", $0] : [$0] })
    }
}
