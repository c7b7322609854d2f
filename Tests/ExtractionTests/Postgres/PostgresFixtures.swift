import Extraction
import FeatureModel
import Testing
import TidemarkTesting

/// All suites against the shared server. One test at a time: the horizon of a snapshot is that of the whole cluster, so
/// a transaction that one test holds open would hold back what another waits for.
@Suite(.serialized, .enabled(if: PostgresServer.isAvailable), .timeLimit(.minutes(5)))
enum PostgresSuites {}

/// Views and helpers that the PostgreSQL suites share.
enum Shop {
    static let users = Entity(name: "user", keys: [.init(name: "user_id", type: .int64)])

    /// One row a user, tracked exactly.
    static func profile(table: String = "users", query: String? = nil) -> FeatureView {
        view(
            "profile", query: query ?? "SELECT user_id, name, score FROM users",
            watermark: .tracked(TrackedTable(table: table, keyColumns: ["user_id"])),
            features: [Feature(name: "name", type: .scalar(.string)), Feature(name: "score", type: .scalar(.int32))])
    }

    /// An aggregate over events, tracked exactly by the events.
    static func activity() -> FeatureView {
        view(
            "activity",
            query: """
                SELECT user_id, count(*) AS events, sum(amount) AS total FROM events
                WHERE user_id IN (:keys) -- not these: ':keys'
                GROUP BY user_id;
                """,
            watermark: .tracked(TrackedTable(table: "events", keyColumns: ["user_id"])),
            features: [Feature(name: "events", type: .scalar(.int64)), Feature(name: "total", type: .scalar(.int64))])
    }

    static func view(
        _ name: String, entity: Entity = users, query: String, changes: String? = nil, entities: String? = nil,
        watermark: Watermark, eventTime: TimeColumn? = nil, deleted: String? = nil, features: [Feature]
    ) -> FeatureView {
        FeatureView(
            name: name, entity: entity,
            source: ViewSource(
                from: "shop", query: query, changes: changes, entities: entities, watermark: watermark,
                eventTime: eventTime, deleted: deleted),
            every: .seconds(1), ttl: .seconds(3_600), sweep: .seconds(600), features: features)
    }

    static let tables = [
        "CREATE TABLE users (user_id bigint PRIMARY KEY, name text, score int, email text UNIQUE)",
        "CREATE TABLE events (id bigserial PRIMARY KEY, user_id bigint, amount bigint NOT NULL, at timestamptz DEFAULT now())",
    ]
}

/// A database with the shop's tables, and a session in it.
struct ShopDatabase {
    let url: String
    let client: PostgresClient
    let connector: PostgresConnector

    init(on server: PostgresServer? = nil, options: PostgresOptions = .init()) async throws {
        let server = if let server { server } else { try await PostgresServer.shared() }
        url = try await server.makeDatabase()
        client = try PostgresClient(url: url)
        connector = try PostgresConnector(url: url, options: options)
        try await client.run(all: Shop.tables)
    }

    /// Another session.
    func session() throws -> PostgresClient { try PostgresClient(url: url) }

    /// Installs tracking, opens the view and checks it.
    func open(_ view: FeatureView) async throws -> any ViewReader {
        try await connector.install(for: view)
        let reader = try await connector.open(view)
        try await reader.check()
        return reader
    }
}

/// What a store would hold: rows applied by their order.
struct Mirror {
    var rows: [EntityKey: [FeatureValue]] = [:]
    private(set) var faults: [RowFault] = []
    private(set) var position: UInt64 = 0
    private let width: Int

    init(_ view: FeatureView) {
        width = view.features.count
    }

    mutating func apply(_ chunk: RowChunk) {
        if let position = chunk.position {
            #expect(position >= self.position, "positions never go down")
            self.position = position
        }
        #expect(Set(chunk.keys).count == chunk.keys.count)
        #expect(chunk.values.count == chunk.keys.count * width)
        for (index, key) in chunk.keys.enumerated() {
            rows[key] = Array(chunk.values[index * width..<(index + 1) * width])
        }
        for removal in chunk.removed { rows[removal.key] = nil }
        faults += chunk.faults
    }

    /// Follows the changes until a page is the last; returns where they end.
    mutating func follow(_ reader: any ViewReader, from cursor: ChangeCursor, limit: Int = 7) async throws
        -> ChangeCursor
    {
        var cursor = cursor
        for _ in 0..<10_000 {
            let page = try await reader.readChanges(after: cursor, limit: limit)
            #expect(page.rows.keys.count + page.rows.removed.count <= limit)
            apply(page.rows)
            cursor = page.next
            if page.isLast { return cursor }
        }
        Issue.record("the changes never end")
        return cursor
    }

    /// Walks all entities.
    mutating func walk(_ reader: any ViewReader, limit: Int = 7) async throws {
        var key: EntityKey?
        for _ in 0..<10_000 {
            let page = try await reader.readRange(after: key, limit: limit)
            apply(page.rows)
            guard let next = page.next else { return }
            key = next
        }
        Issue.record("the walk never ends")
    }
}

func key(_ number: Int64) -> EntityKey { EntityKey(canonical: String(number)) }
