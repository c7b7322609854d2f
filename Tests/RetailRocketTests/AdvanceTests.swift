import LocalDatabase
import RetailRocket
import Testing

private let small = SyntheticShop.Settings(users: 300, items: 200, events: 5_000, seed: 11)

@Suite(.timeLimit(.minutes(2)))
struct AdvanceTests {
    /// From a few minutes to longer than the window: every way an event can enter, leave or pass it.
    private static let amounts: [Advance.Amount] = [
        .events(1), .events(40), .events(700), .duration(.seconds(600)), .duration(.seconds(86_400)),
        .duration(.seconds(12 * 86_400)), .events(0), .events(300),
    ]

    @Test func aggregatesStayExactOverManySteps() async throws {
        try await withShop(small) { path, shop in
            for amount in Self.amounts {
                let advance = try await SyntheticShop.advance(path: path, by: amount)
                try await expectAggregatesAreExact(shop)
                try await shop.expect(contradictions, is: 0)
                let orphans = "SELECT count(*) FROM events WHERE itemid NOT IN (SELECT itemid FROM items)"
                try await shop.expect(orphans, is: 0)
                if case .events(let count) = amount { #expect(advance.events == count) }
            }
            try await shop.expect("SELECT value = '8' FROM shop_meta WHERE key = 'advances'", is: 1)
        }
    }

    @Test func onlyChangedRowsGetANewerUpdatedAt() async throws {
        try await withShop(small) { path, shop in
            for amount in Self.amounts {
                let before = try await snapshots(shop)
                let advance = try await SyntheticShop.advance(path: path, by: amount)
                let after = try await snapshots(shop)
                let from = ShopClock.text(advance.from)
                let now = ShopClock.text(advance.now)
                for (table, rows) in after {
                    let old = before[table] ?? [:]
                    for (key, row) in rows where old[key] != row {
                        #expect(row.updatedAt > from && row.updatedAt <= now, "\(table) \(key): \(row)")
                        #expect(row.updatedAt.utf8.count == 24)
                    }
                    for (key, row) in rows where row.updatedAt > from {
                        #expect(old[key] != row, "\(table) \(key) claims a change")
                    }
                }
            }
        }
    }

    @Test func reportsWhatChanged() async throws {
        try await withShop(small) { path, shop in
            let before = try await snapshots(shop)
            let advance = try await SyntheticShop.advance(path: path, events: 500)
            let after = try await snapshots(shop)
            let rows = { (table: String) -> (changed: [Int64], removed: [Int64]) in
                let old = before[table] ?? [:]
                let new = after[table] ?? [:]
                return (
                    new.filter { old[$0.key] != $0.value }.keys.sorted(), old.keys.filter { new[$0] == nil }.sorted()
                )
            }
            #expect(rows("user_activity").changed.count == advance.users.count)
            #expect(rows("user_activity").removed == advance.forgotten.ids)
            #expect(rows("items").changed.count == advance.items.count)
            #expect(rows("items").changed == advance.items.ids)
            #expect(rows("item_stats").changed.count == advance.itemStats.count)
            #expect(rows("item_stats").removed.count == advance.itemStatsRemoved)
            #expect(advance.forgotten.count == 1)
            #expect(advance.cancelled.count >= 1)
            #expect(advance.restored.count >= 1)
            #expect(advance.arrived.count >= 1)
            #expect(advance.views + advance.carts + advance.orders == advance.events)
            for id in advance.cancelled.ids {
                try await shop.expect("SELECT is_deleted FROM items WHERE itemid = \(id)", is: 1)
                try await shop.expect("SELECT count(*) FROM item_stats WHERE item_id = \(id)", is: 0)
            }
            for id in advance.restored.ids {
                try await shop.expect("SELECT is_deleted FROM items WHERE itemid = \(id)", is: 0)
                try await shop.expect("SELECT count(*) FROM item_stats WHERE item_id = \(id)", is: 1)
            }
        }
    }

    @Test func forgottenUsersDoNotComeBack() async throws {
        var settings = small
        settings.users = 20
        try await withShop(settings) { path, shop in
            var forgotten: Set<Int64> = []
            for _ in 0..<14 {
                forgotten.formUnion(try await SyntheticShop.advance(path: path, events: 100).forgotten.ids)
                let list = forgotten.map { String($0) }.joined(separator: ",")
                try await shop.expect("SELECT count(*) FROM events WHERE visitorid IN (\(list))", is: 0)
                try await shop.expect("SELECT count(*) FROM user_activity WHERE user_id IN (\(list))", is: 0)
            }
            // Half of them at most.
            #expect(forgotten.count == 10)
            try await expectAggregatesAreExact(shop)
        }
    }

    @Test func equalStepsMakeEqualRows() async throws {
        let run = {
            try await withShop(small) { path, shop in
                for amount in Self.amounts { _ = try await SyntheticShop.advance(path: path, by: amount) }
                return try await shop.digest()
            }
        }
        let first = try await run()
        let second = try await run()
        #expect(first == second)
        #expect(first == "23459c5034f804d")
    }

    @Test func logsOnlyGrowAtTheirEnd() async throws {
        try await withShop(small) { path, shop in
            for table in ["events", "item_properties"] {
                let last = try await shop.integer("SELECT max(id) FROM \(table)")
                let advance = try await SyntheticShop.advance(path: path, events: 200)
                let rows = try await shop.rows(
                    "SELECT id, timestamp FROM \(table) WHERE timestamp > \(advance.from) ORDER BY id")
                let before = rows.filter { row in
                    if case .integer(let id) = row[0] { id <= last } else { true }
                }
                #expect(before.isEmpty)
                try await shop.expect(
                    "SELECT count(*) FROM \(table) WHERE id > \(last) AND timestamp <= \(advance.from)", is: 0)
                try await shop.expect(
                    "SELECT count(*) FROM \(table) WHERE timestamp > \(advance.now)", is: 0)
            }
        }
    }

    @Test func deletedItemRowsCountAsCancelled() async throws {
        try await withShop(small) { path, shop in
            _ = try await shop.rows("DELETE FROM items WHERE itemid IN (3, 200)")
            _ = try await shop.rows("UPDATE items SET categoryid = 999999, price = -7 WHERE itemid = 4")
            _ = try await SyntheticShop.advance(path: path, events: 400)
            let now = try await shop.text("SELECT value FROM shop_meta WHERE key = 'now'")
            #expect(now > "2015-06-02T00:00:00.000Z")
        }
    }

    @Test(arguments: [
        (Advance.Amount.events(-1), RetailError.Code.invalidSettings),
        (.events(Advance.eventLimit + 1), .invalidSettings),
        (.duration(.seconds(599)), .invalidSettings),
        (.duration(.seconds(-1_000_000)), .invalidSettings),
        (.duration(.seconds(Int64.max)), .future),
        (.events(Advance.eventLimit), .future),
    ])
    func amountsOutsideTheLimitsAreRefused(amount: Advance.Amount, code: RetailError.Code) async throws {
        try await withShop(small) { path, shop in
            let before = try await shop.digest()
            let error = await #expect(throws: RetailError.self) {
                _ = try await SyntheticShop.advance(path: path, by: amount)
            }
            #expect(error?.code == code)
            let after = try await shop.digest()
            #expect(before == after)
        }
    }

    @Test(arguments: [
        "UPDATE shop_meta SET value = 'retailrocket' WHERE key = 'origin'",
        "UPDATE shop_meta SET value = '99' WHERE key = 'version'",
        "UPDATE shop_meta SET value = '0 0 0 0' WHERE key = 'random'",
        "UPDATE shop_meta SET value = '1 2 3' WHERE key = 'random'",
        "UPDATE shop_meta SET value = '-5' WHERE key = 'users'",
        "UPDATE shop_meta SET value = '9223372036854775807' WHERE key = 'now_ms'",
        "UPDATE shop_meta SET value = '9223372036854775807' WHERE key = 'next_transaction'",
        "UPDATE shop_meta SET value = '1,x' WHERE key = 'forgotten'",
        "DELETE FROM shop_meta WHERE key = 'period_ms'",
        "DELETE FROM shop_meta",
        "DROP TABLE shop_meta",
        "UPDATE items SET itemid = 99999999 WHERE itemid = 1",
        "UPDATE items SET itemid = -1 WHERE itemid = 1",
    ])
    func foreignDatabasesAreRefused(damage: String) async throws {
        try await withShop(small) { path, shop in
            _ = try await shop.rows(damage)
            let error = await #expect(throws: RetailError.self) {
                _ = try await SyntheticShop.advance(path: path, events: 10)
            }
            #expect(error?.code == .notSynthetic)
        }
    }

    @Test func missingFilesAreRefusedAndNotMade() async throws {
        try await withFolder { folder in
            let error = await #expect(throws: RetailError.self) {
                _ = try await SyntheticShop.advance(path: folder + "/none.db", events: 10)
            }
            #expect(error?.code == .notFound)
            #expect(files(in: folder) == [])
        }
    }
}

private struct Row: Equatable {
    let values: [SQLiteValue]
    let updatedAt: String
}

/// The rows of the tables that have an `updated_at`, by key.
private func snapshots(_ shop: Shop) async throws -> [String: [Int64: Row]] {
    var tables: [String: [Int64: Row]] = [:]
    for table in ["items", "item_stats", "user_activity"] {
        for row in try await shop.rows("SELECT updated_at, * FROM \(table)") {
            guard case .text(let updatedAt) = row[0], case .integer(let key) = row[1] else {
                Issue.record("\(table): \(row)")
                continue
            }
            tables[table, default: [:]][key] = Row(values: row, updatedAt: updatedAt)
        }
    }
    return tables
}
