import Extraction
import FeatureModel
import Foundation
import LocalDatabase
import Synchronization
import Testing

/// A folder of its own for one test.
final class ScratchFolder: Sendable {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "/tidemark-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func file(_ name: String) -> String { path + "/" + name }
}

/// Gives a file another path, in place of what was there.
func replaceFile(_ source: String, _ target: String) throws {
    try #require(unsafe rename(source, target) == 0)
}

/// Copies a file over what was there, in place.
func copyFile(_ source: String, to target: String) throws {
    let bytes = try #require(FileManager.default.contents(atPath: source))
    let output = try FileHandle(forWritingTo: URL(fileURLWithPath: target))
    try output.truncate(atOffset: 0)
    try output.write(contentsOf: bytes)
    try output.close()
}

/// A clock that stands still until it is told otherwise: microseconds since 1970.
final class HandClock: Sendable {
    private let value: LockedValue

    init(_ start: Int64 = 1_750_000_000_000_000) { value = LockedValue(start) }

    var now: Int64 {
        get { value.get() }
        set { value.set(newValue) }
    }

    var closure: @Sendable () -> Int64 { { [value] in value.get() } }
}

final class LockedValue: Sendable {
    private let mutex: Mutex<Int64>
    init(_ start: Int64) { mutex = Mutex(start) }
    func get() -> Int64 { mutex.withLock { $0 } }
    func set(_ new: Int64) { mutex.withLock { $0 = new } }
}

/// A SQLite file with a writer, as a shop's application would have it.
struct SourceFile {
    let folder: ScratchFolder
    let path: String
    let writer: LocalDatabase

    init(_ schema: String, mode: String = "WAL") async throws {
        folder = try ScratchFolder()
        path = folder.file("shop.db")
        writer = try await LocalDatabase(.init(path: path, setup: "PRAGMA journal_mode=\(mode);" + schema))
    }

    func run(_ sql: String) async throws {
        try await writer.run { connection in try connection.execute(sql) }
    }

    func rows(_ sql: String) async throws -> [[SQLiteValue]] {
        try await writer.run { connection in try connection.rows(sql) }
    }

    func reader(
        _ view: FeatureView, install: Bool = true, options: SQLiteConnector.Options = .init()
    ) async throws -> any ViewReader {
        let connector = SQLiteConnector(path: path, options: options)
        if install { try await connector.install(for: view) }
        return try await connector.open(view)
    }
}

/// The rows that a follower of a reader has: what an online store would hold.
struct Mirror {
    var rows: [EntityKey: [FeatureValue]] = [:]
    var applied = 0
    var removals: [Removal] = []
    var faults: [RowFault] = []
    var positions: [UInt64] = []
    let width: Int

    init(_ view: FeatureView) { width = view.features.count }

    mutating func apply(_ chunk: RowChunk) {
        for (index, key) in chunk.keys.enumerated() {
            rows[key] = Array(chunk.values[index * width..<(index + 1) * width])
        }
        for removal in chunk.removed { rows[removal.key] = nil }
        applied += chunk.keys.count
        removals += chunk.removed
        faults += chunk.faults
        if let position = chunk.position { positions.append(position) }
    }

    /// Follows changes to their end; at most `pages` pages.
    @discardableResult
    mutating func follow(
        _ reader: any ViewReader, from cursor: ChangeCursor, limit: Int = 7, pages: Int = 10_000
    ) async throws -> ChangeCursor {
        var cursor = cursor
        for _ in 0..<pages {
            let page = try await reader.readChanges(after: cursor, limit: limit)
            apply(page.rows)
            cursor = page.next
            if page.isLast { return cursor }
        }
        Issue.record("the changes have no end")
        return cursor
    }

    /// Walks all entities.
    mutating func walk(_ reader: any ViewReader, limit: Int = 7) async throws {
        var after: EntityKey?
        for _ in 0..<100_000 {
            let page = try await reader.readRange(after: after, limit: limit)
            #expect(page.rows.keys.count + page.rows.removed.count <= limit)
            apply(page.rows)
            guard let next = page.next else { return }
            after = next
        }
        Issue.record("the walk has no end")
    }
}

/// A view with what tests usually want.
func makeView(
    _ name: String = "activity", keys: [(String, EntityKeyType)] = [("id", .int64)],
    query: String = "SELECT * FROM t", changes: String? = nil, entities: String? = nil, watermark: Watermark,
    eventTime: TimeColumn? = nil, deleted: String? = nil, features: [(String, String)]
) -> FeatureView {
    FeatureView(
        name: name, entity: Entity(name: "thing", keys: keys.map { Entity.Key(name: $0.0, type: $0.1) }),
        source: ViewSource(
            from: "shop", query: query, changes: changes, entities: entities, watermark: watermark,
            eventTime: eventTime, deleted: deleted),
        every: .seconds(1), ttl: .seconds(3_600), sweep: .seconds(600),
        features: features.map { name, type in
            Feature(name: name, type: FeatureType(spelling: type) ?? .scalar(.bool))
        })
}

extension Watermark {
    static func tracked(_ table: String, _ keys: String...) -> Watermark {
        .tracked(TrackedTable(table: table, keyColumns: keys))
    }
}

/// Runs `body` and returns the code it fails with.
func failure(_ body: () async throws -> Void) async -> ExtractionError.Code? {
    do {
        try await body()
        return nil
    } catch {
        return (error as? ExtractionError)?.code
    }
}

/// Expects `body` to fail with `code`. Closures stay out of `#expect`, whose expansion may give two of them one symbol.
func expectFailure(
    _ code: ExtractionError.Code, sourceLocation: SourceLocation = #_sourceLocation, _ body: () async throws -> Void
) async {
    let found = await failure(body)
    #expect(found == code, sourceLocation: sourceLocation)
}

/// SplitMix64: small, seeded.
struct SeededRandom: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
        return value ^ (value >> 31)
    }
}

func key(_ values: EntityKeyValue...) -> EntityKey {
    EntityKey(values) ?? EntityKey(canonical: "unencodable")
}

func key(_ number: Int64) -> EntityKey { key(.integer(number)) }
func key(_ text: String) -> EntityKey { key(.text(text)) }
