import Extraction
import FeatureModel
import Glibc
import LocalDatabase
import OnlineStore
import RowCodec
import Sync
import Synchronization
import TidemarkTesting

/// A SQLite table of things, a memory store, and an engine between them, with a clock in the test's hand.
struct EngineFixture: Sendable {
    let folder: String
    let database: LocalDatabase
    let store: MemoryStore
    let clock: ManualClock
    let engine: SyncEngine
    let events: EventRecorder

    static let entity = Entity(name: "thing", keys: [Entity.Key(name: "id", type: .int64)])

    /// A view of `things`, tracked by triggers.
    static func view(
        features: [Feature]? = nil, contract: ViewContract = .init(), activation: FeatureView.Activation = .automatic,
        query: String = "SELECT id, n, s FROM things"
    ) -> FeatureView {
        FeatureView(
            name: "thing", entity: entity,
            source: ViewSource(
                from: "db", query: query, watermark: .tracked(TrackedTable(table: "things", keyColumns: ["id"]))),
            every: .seconds(10), ttl: .seconds(86_400), sweep: .seconds(3_600),
            features: features ?? [
                Feature(name: "n", type: .scalar(.int64)), Feature(name: "s", type: .scalar(.string)),
            ], contract: contract, activation: activation)
    }

    /// Runs a body with everything in place and the view applied; clears away afterwards.
    static func with(
        _ view: FeatureView = view(), chunkRows: Int = 7, quarantineLimit: Int = 1_000,
        _ body: (EngineFixture) async throws -> Void
    ) async throws {
        let folder = try TemporaryFolder.make()
        defer { TemporaryFolder.remove(folder) }
        let path = "\(folder)/source.db"
        let database = try await LocalDatabase(
            .init(
                path: path, setup: "PRAGMA journal_mode=WAL; CREATE TABLE things(id INTEGER PRIMARY KEY, n, s TEXT)"))
        let clock = ManualClock()
        let start = clock.now
        let store = MemoryStore(
            now: { clock.now },
            wallSeconds: { 1_700_000_000 + (clock.now - start).wholeMicroseconds / 1_000_000 })
        var settings = SyncSettings(owner: "test")
        settings.chunkRows = chunkRows
        settings.quarantineLimit = quarantineLimit
        settings.sweepRowsPerSecond = 1_000_000_000_000_000
        settings.retriesPerPass = 0
        let time = SyncTime(
            wall: { 1_700_000_000_000_000 + (clock.now - start).wholeMicroseconds }, now: { clock.now },
            sleep: { try await clock.sleep(until: clock.now + $0, tolerance: nil) }, random: { 0.5 })
        let events = EventRecorder()
        let connector = SQLiteConnector(path: path)
        let engine = SyncEngine(
            context: SyncContext(project: "test", store: store, settings: settings, time: time, observer: events),
            sources: ["db": connector])
        let fixture = EngineFixture(
            folder: folder, database: database, store: store, clock: clock, engine: engine, events: events)
        try await connector.install(for: view)
        try await fixture.apply(view)
        try await body(fixture)
        await database.close()
    }

    func apply(_ view: FeatureView) async throws {
        _ = try await Planner(engine).apply(Catalog(project: "test", views: [view], services: []), hash: "h")
    }

    /// Runs statements in the source.
    func sql(_ text: String) async throws {
        try await database.run { try $0.execute(text) }
    }

    /// Puts things with these numbers in.
    func insert(_ ids: ClosedRange<Int>) async throws {
        try await sql(
            """
            WITH RECURSIVE c(i) AS (SELECT \(ids.lowerBound) UNION ALL SELECT i + 1 FROM c WHERE i < \(ids.upperBound))
            INSERT INTO things SELECT i, i * 10, 'thing ' || i FROM c
            """)
    }

    @discardableResult
    func sync() async throws -> LedgerEntry {
        let entries = try await engine.sync("thing")
        return entries[0]
    }

    var versions: ViewVersions {
        get async throws { try await engine.context.catalog.versions(of: "thing") ?? ViewVersions(view: "thing") }
    }

    func space(_ version: Int) -> KeySpace { KeySpace(project: "test", viewKey: "thing", version: version) }

    /// What the store has of entities: the first feature, or `nil` for no row or a tombstone.
    func stored(_ id: Int, version: Int = 1, view: FeatureView = view()) async throws -> FeatureValue? {
        let key = EntityKey(canonical: "\(id)")
        guard let bytes = try await store.read([key], in: space(version))[0] else { return nil }
        let row = try RowDecoder(view: view).decode(bytes, key: key)
        return row.isTombstone ? nil : row.values[0]
    }

    /// Every row of the store as source would have it: id → n.
    func everything(version: Int = 1) async throws -> [Int: FeatureValue] {
        var rows: [Int: FeatureValue] = [:]
        var cursor: ScanCursor? = .start
        while let from = cursor {
            let page = try await store.scan(space(version), from: from, limit: 100)
            for key in page.keys {
                guard let id = Int(key.text) else { continue }
                if let value = try await stored(id, version: version) { rows[id] = value }
            }
            cursor = page.next
        }
        return rows
    }

    /// What the source has: id → n.
    func source() async throws -> [Int: FeatureValue] {
        try await database.run { connection in
            var rows: [Int: FeatureValue] = [:]
            for row in try connection.rows("SELECT id, n FROM things") {
                if case .integer(let id) = row[0], case .integer(let number) = row[1] { rows[Int(id)] = .int64(number) }
            }
            return rows
        }
    }
}

/// Keeps what the engine tells.
final class EventRecorder: SyncObserver {
    private let kept = Mutex<[SyncEvent]>([])

    func observe(_ event: SyncEvent) {
        kept.withLock { $0.append(event) }
    }

    var all: [SyncEvent] { kept.withLock(\.self) }

    var sweeps: [SweepCounts] {
        all.compactMap { if case .sweepFinished(_, _, let counts) = $0 { counts } else { nil } }
    }

    var historyBreaks: Int {
        all.count { if case .historyBroke = $0 { true } else { false } }
    }
}
