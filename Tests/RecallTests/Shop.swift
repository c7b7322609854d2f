import Extraction
import FeatureModel
import Glibc
import LocalDatabase
import TidemarkTesting

@testable import Recall

/// An event as the tests' own code knows it.
struct Happening: Hashable, Sendable {
    var user: Int64
    var item: Int64
    /// Milliseconds since 1970.
    var time: Int64
    var weight: Double = 1
    var segment: String?
}

/// A shop with events in a SQLite file, and a folder for lists. Removed with the instance.
final class Shop: Sendable {
    let folder: String
    let database: LocalDatabase
    let textKeys: Bool

    init(textKeys: Bool = false) async throws {
        folder = try TemporaryFolder.make()
        self.textKeys = textKeys
        let type = textKeys ? "TEXT" : "INTEGER"
        database = try await LocalDatabase(
            .init(
                path: "\(folder)/shop.db",
                setup: "CREATE TABLE events (u \(type), i \(type), ts INTEGER, w REAL, s TEXT)"))
    }

    deinit { TemporaryFolder.remove(folder) }

    var directory: String { "\(folder)/recall" }

    /// The key of an item or user.
    func key(_ number: Int64) -> EntityKeyValue { textKeys ? .text("id \(number)") : .integer(number) }

    private func bound(_ number: Int64) -> SQLiteValue { textKeys ? .text("id \(number)") : .integer(number) }

    func add(_ events: [Happening]) async throws {
        let rows = events.map { event -> [SQLiteValue] in
            [
                bound(event.user), bound(event.item), .integer(event.time), .real(event.weight),
                event.segment.map(SQLiteValue.text) ?? .null,
            ]
        }
        try await database.run { connection in
            try connection.transaction { connection in
                let insert = try connection.prepare("INSERT INTO events VALUES (?, ?, ?, ?, ?)")
                for row in rows { try insert.run(row) }
            }
        }
    }

    func run(_ sql: String) async throws {
        try await database.run { connection in try connection.execute(sql) }
    }

    /// A list over the events, made as a test wants it.
    func list(_ kind: RecallKind, _ name: String = "list", change: (inout RecallListConfig) -> Void = { _ in })
        -> RecallListConfig
    {
        var list = RecallListConfig(
            name: name, kind: kind, from: "shop",
            query: "SELECT u AS user_id, i AS item_id, ts, w, s FROM events", item: "item", size: 10)
        list.user = "user"
        list.time = TimeColumn(column: "ts", unit: .milliseconds)
        change(&list)
        return list
    }

    func builder(_ lists: [RecallListConfig], keep: Int = 3, maximumBytes: Int = 1 << 30) -> RecallBuilder {
        let type: EntityKeyType = textKeys ? .string : .int64
        let entities = [
            Entity(name: "user", keys: [Entity.Key(name: "user_id", type: type)]),
            Entity(name: "item", keys: [Entity.Key(name: "item_id", type: type)]),
        ]
        let path = "\(folder)/shop.db"
        return RecallBuilder(
            RecallConfig(keep: keep, maximumBytes: maximumBytes, lists: lists), entities: entities,
            directory: directory, now: { 1_800_000_000_000_000 }, open: { _ in SQLiteConnector(path: path) })
    }

    func make(_ list: RecallListConfig, until: Int64? = nil) async throws -> RecallList {
        try await builder([list]).make(list.name, until: until)
    }
}

/// Random events of a small shop, with ties, repeats, bursts and equal times.
func happenings(_ random: inout SeededGenerator, count: Int, users: Int = 12, items: Int = 15) -> [Happening] {
    let start: Int64 = 1_700_000_000_000
    return (0..<count).map { _ in
        // Squared, so that some items and times are crowded.
        let item = Int64(Double(items) * random.fraction() * random.fraction())
        let day = Int64(random.fraction() * random.fraction() * 20)
        return Happening(
            user: Int64(random.below(users)), item: item,
            time: start - day * 86_400_000 - Int64(random.below(40)) * 600_000, weight: Double(random.below(5)),
            segment: random.chance(0.1) ? nil : "s\(item % 4)")
    }
}

/// What is expected of one item.
struct Expected {
    let item: Int64
    let score: Double
}

/// Whether a list has the expected items in their order: where scores are as good as equal, the order is free.
func differences(_ found: [ScoredItem], _ expected: [Expected], size: Int, key: (Int64) -> EntityKeyValue) -> [String] {
    let sorted = expected.filter { $0.score > 0 }.sorted { $0.score > $1.score }
    let best = sorted.first?.score ?? 1
    var wrong: [String] = []
    if found.count != min(size, sorted.count) { wrong.append("\(found.count) items, expected \(sorted.count)") }
    var byKey: [EntityKeyValue: Double] = [:]
    for one in sorted { byKey[key(one.item)] = one.score / best }
    for (place, one) in found.enumerated() where place < sorted.count {
        guard let score = byKey[one.id] else {
            wrong.append("\(one.id) does not belong there")
            continue
        }
        if abs(score - Double(one.score)) > 1e-5 * max(1, abs(score)) {
            wrong.append("\(one.id): \(one.score), expected \(score)")
        }
        let there = sorted[place].score / best
        if abs(there - Double(one.score)) > 1e-5 * max(1, abs(there)) {
            wrong.append("place \(place) has \(one.score), expected \(there)")
        }
    }
    if Set(found.map(\.id)).count != found.count { wrong.append("an item is there twice") }
    return wrong
}
