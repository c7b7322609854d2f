import LocalDatabase
import TidemarkTesting

/// A project of users and items without features, over a table of events: what recall lists are built of.
enum EventLab {
    private static let definitions = """
        entities:
          user: {keys: {user_id: int64}}
          item: {keys: {item_id: int64}}
        views:
          user:
            entity: user
            source: {from: shop, query: SELECT user_id FROM events, watermark: {column: ts, tie_breaker: [user_id], lookback: 0}}
            every: 1m
            ttl: 1d
            sweep: 1h
            features: {user_id2: int64}
          item:
            entity: item
            source: {from: shop, query: SELECT item_id FROM events, watermark: {column: ts, tie_breaker: [item_id], lookback: 0}}
            every: 1m
            ttl: 1d
            sweep: 1h
            features: {item_id2: int64}
        """

    /// Writes definitions, config and `shop.db` with so many events of 997 users and 211 items, a second apart.
    static func write(to workdir: Workdir, config: String, events: Int) async throws {
        try workdir.write(definitions, to: "definitions/lab.yaml")
        try workdir.write(config, to: "tidemark.yaml")
        let database = try await LocalDatabase(.init(path: workdir.file("shop.db")))
        try await database.run { connection in
            try connection.execute(
                """
                CREATE TABLE events (user_id INTEGER, item_id INTEGER, ts INTEGER);
                WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < \(events))
                INSERT INTO events SELECT i * 7919 % 997, i * 104729 % 211, 1700000000000 + i * 1000 FROM n;
                """)
        }
        await database.close()
    }
}
