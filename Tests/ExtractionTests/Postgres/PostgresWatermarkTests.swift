import Extraction
import FeatureModel
import Testing
import TidemarkTesting

extension PostgresSuites {
    /// Reading by a watermark column, without anything installed.
    @Suite struct PostgresWatermarkTests {
        private static let table = """
            CREATE TABLE items (id bigint PRIMARY KEY, grp text, price int, gone bool, \
            updated_at timestamptz DEFAULT now(), seq bigserial)
            """

        private static func items(
            _ watermark: WatermarkColumn,
            query: String = "SELECT id AS user_id, price, gone, updated_at, seq, id FROM items",
            eventTime: TimeColumn? = nil, deleted: String? = nil
        ) -> FeatureView {
            Shop.view(
                "items", query: query, watermark: .column(watermark), eventTime: eventTime, deleted: deleted,
                features: [Feature(name: "price", type: .scalar(.int32))])
        }

        private static let byTime = WatermarkColumn(column: "updated_at", tieBreaker: ["id"])

        private func shop() async throws -> ShopDatabase {
            let shop = try await ShopDatabase()
            try await shop.client.run(Self.table)
            return shop
        }

        private func open(_ view: FeatureView, _ shop: ShopDatabase) async throws -> any ViewReader {
            let reader = try await shop.connector.open(view)
            try await reader.check()
            return reader
        }

        @Test func thousandRowsWithOneWatermarkAreReadOnceEach() async throws {
            let shop = try await shop()
            try await shop.client.run("INSERT INTO items (id, price) SELECT n, n FROM generate_series(1, 1000) n")
            let view = Self.items(Self.byTime)
            let reader = try await open(view, shop)
            #expect(!reader.isExact && !reader.needsRangeLoad)
            var cursor = try await reader.startCursor()
            #expect(cursor.text == "start")
            var seen: [EntityKey] = []
            while true {
                let page = try await reader.readChanges(after: cursor, limit: 7)
                #expect(page.rows.position == nil)
                seen += page.rows.keys
                cursor = page.next
                if page.isLast { break }
                #expect(cursor.text.hasPrefix("mid:"))
            }
            #expect(seen.count == 1000 && Set(seen).count == 1000)
            #expect(cursor.text.hasPrefix("end:"))
            #expect(try await reader.lag(behind: cursor).rows == 0)
            #expect(try await reader.lag(behind: try await reader.startCursor()).rows == 1000)
        }

        @Test func lateCommitIsHeldBackThenRead() async throws {
            let shop = try await shop()
            let view = Self.items(Self.byTime)
            let reader = try await open(view, shop)
            var mirror = Mirror(view)
            let slow = try shop.session()
            // It has no xid yet, only a start: its now() will be older than what others commit meanwhile.
            try await slow.run("BEGIN")
            try await slow.run("SELECT now()")
            try await shop.client.run("INSERT INTO items (id, price) SELECT n, 1 FROM generate_series(2, 101) n")
            var cursor = try await mirror.follow(reader, from: try await reader.startCursor())
            #expect(mirror.rows.isEmpty)
            try await slow.run("INSERT INTO items (id, price) VALUES (1, 7)")
            try await slow.run("COMMIT")
            cursor = try await mirror.follow(reader, from: cursor)
            #expect(mirror.rows.count == 101)
            #expect(mirror.rows[key(1)] == [.int32(7)])
            await slow.close()
        }

        @Test func preparedTransactionHoldsTheBound() async throws {
            let shop = try await shop()
            let view = Self.items(Self.byTime)
            let reader = try await open(view, shop)
            var mirror = Mirror(view)
            let writer = try shop.session()
            try await writer.run(all: [
                "BEGIN", "INSERT INTO items (id, price) VALUES (1, 1)", "PREPARE TRANSACTION 'items'",
            ])
            await writer.close()
            try await shop.client.run("INSERT INTO items (id, price) VALUES (2, 2)")
            var cursor = try await mirror.follow(reader, from: try await reader.startCursor())
            #expect(mirror.rows.isEmpty)
            try await shop.client.run("COMMIT PREPARED 'items'")
            cursor = try await mirror.follow(reader, from: cursor)
            #expect(mirror.rows.count == 2)
        }

        @Test func badWatermarksAreFaultsAndTheirFixApplies() async throws {
            let shop = try await shop()
            try await shop.client.run(
                """
                INSERT INTO items (id, price, updated_at) VALUES (1, 1, now()), (2, 2, NULL), (3, 3, 'infinity'),
                (4, 4, '-infinity'), (5, 5, '0044-03-15 BC'), (6, 6, now() + interval '1 hour')
                """)
            let view = Self.items(Self.byTime)
            let reader = try await open(view, shop)
            var mirror = Mirror(view)
            var cursor = try await mirror.follow(reader, from: try await reader.startCursor(), limit: 100)
            #expect(mirror.rows == [key(1): [.int32(1)]])
            #expect(
                Dictionary(uniqueKeysWithValues: mirror.faults.map { ($0.key, $0.rule) }) == [
                    key(2): "null_watermark", key(3): "range", key(4): "range", key(5): "range", key(6): "future",
                ])
            try await shop.client.run("UPDATE items SET updated_at = clock_timestamp() WHERE id > 1")
            cursor = try await mirror.follow(reader, from: cursor, limit: 100)
            #expect(mirror.rows.count == 6)
            #expect(mirror.faults.count == 5, "a mended row is no fault any more")
        }

        @Test func lookbackReadsAgainAndSettleWaits() async throws {
            let shop = try await shop()
            try await shop.client.run(
                """
                INSERT INTO items (id, price, updated_at) VALUES (1, 1, now() - interval '10 minutes'),
                (2, 2, now() - interval '4 minutes'), (3, 3, now() - interval '1 minute')
                """)
            let view = Self.items(
                WatermarkColumn(
                    column: "updated_at", tieBreaker: ["id"], settle: .seconds(120), lookback: .seconds(300)))
            let reader = try await open(view, shop)
            var mirror = Mirror(view)
            let cursor = try await mirror.follow(reader, from: try await reader.startCursor())
            #expect(Set(mirror.rows.keys) == [key(1), key(2)], "the third has not settled")
            // Committed late, with a time before the end of the last run but within its lookback.
            try await shop.client.run(
                "INSERT INTO items (id, price, updated_at) VALUES (4, 4, now() - interval '6 minutes')")
            try await shop.client.run(
                "INSERT INTO items (id, price, updated_at) VALUES (5, 5, now() - interval '1 hour')")
            let page = try await reader.readChanges(after: cursor, limit: 100)
            #expect(page.rows.keys == [key(4), key(2)])
            #expect(page.next == cursor)
        }

        @Test func sequencesAndIntegerTimesWork() async throws {
            let shop = try await shop()
            try await shop.client.run("INSERT INTO items (id, price) SELECT n, n FROM generate_series(1, 20) n")
            let sequence = Self.items(WatermarkColumn(column: "seq", tieBreaker: ["id"], lookbackCount: 3))
            let reader = try await open(sequence, shop)
            var mirror = Mirror(sequence)
            let cursor = try await mirror.follow(reader, from: try await reader.startCursor())
            #expect(mirror.rows.count == 20 && cursor.text == "end:20")
            let again = try await reader.readChanges(after: cursor, limit: 100)
            #expect(again.rows.keys == [key(17), key(18), key(19), key(20)])
            #expect(again.next == cursor && again.isLast)
            try await shop.client.run("INSERT INTO items (id, price) VALUES (30, 1)")
            #expect(try await reader.lag(behind: cursor) == SourceLag(rows: 1, age: nil))

            let millis = Self.items(
                WatermarkColumn(column: "ms", unit: .milliseconds, tieBreaker: ["id"]),
                query:
                    "SELECT id AS user_id, id, price, (extract(epoch FROM updated_at) * 1000)::bigint AS ms FROM items")
            let other = try await open(millis, shop)
            var second = Mirror(millis)
            try await shop.client.run("UPDATE items SET updated_at = now() - interval '1 minute'")
            let end = try await second.follow(other, from: try await other.startCursor())
            #expect(second.rows.count == 21)
            try await shop.client.run("UPDATE items SET updated_at = now() - interval '50 seconds' WHERE id = 5")
            let lag = try await other.lag(behind: end)
            #expect(lag.rows == 1)
            #expect(try #require(lag.age) >= .seconds(49))
        }

        @Test func softDeletesAndFactsFollowEventTime() async throws {
            let shop = try await shop()
            try await shop.client.run(
                """
                INSERT INTO items (id, grp, price, gone, updated_at) VALUES
                (1, '7', 10, false, '2026-01-01 00:00:00Z'), (2, '7', 20, NULL, '2026-01-03 00:00:00Z'),
                (3, '7', 30, false, '2026-01-02 00:00:00Z'), (4, '8', 40, true, '2026-01-05 00:00:00Z'),
                (5, '8', 50, false, '2026-01-04 00:00:00Z'), (6, '9', 60, false, NULL)
                """)
            let view = Self.items(
                WatermarkColumn(column: "seq", tieBreaker: ["id"]),
                query: "SELECT grp::bigint AS user_id, price, gone, updated_at, seq, id FROM items",
                eventTime: TimeColumn(column: "updated_at"), deleted: "gone")
            let reader = try await open(view, shop)
            let page = try await reader.readChanges(after: try await reader.startCursor(), limit: 100)
            #expect(page.rows.keys == [key(7)])
            #expect(page.rows.values == [.int32(20)])
            #expect(page.rows.eventTimes == [1_767_398_400_000_000])
            #expect(page.rows.removed == [Removal(key: key(8), eventTime: 1_767_571_200_000_000)])
            #expect(page.rows.faults.map(\.rule) == ["null_time"])
            for limit in 1...7 {
                var mirror = Mirror(view)
                try await mirror.walk(reader, limit: limit)
                #expect(mirror.rows == [key(7): [.int32(20)]], "an entity is never split: limit \(limit)")
            }
        }

        @Test func changesNameTheEntitiesOfAnAggregate() async throws {
            let shop = try await ShopDatabase()
            try await shop.client.run("INSERT INTO events (user_id, amount) VALUES (1, 5), (1, 6), (2, 7), (NULL, 9)")
            let view = Shop.view(
                "week", query: Shop.activity().source.query, changes: "SELECT user_id, at, id FROM events;",
                watermark: .column(WatermarkColumn(column: "at", tieBreaker: ["id"])),
                features: Shop.activity().features)
            let reader = try await shop.connector.open(view)
            try await reader.check()
            #expect(!reader.isExact && reader.needsRangeLoad)
            let start = try await reader.startCursor()
            #expect(start.text.hasPrefix("end:"))
            var mirror = Mirror(view)
            try await mirror.walk(reader, limit: 1)
            #expect(mirror.rows == [key(1): [.int64(2), .int64(11)], key(2): [.int64(1), .int64(7)]])
            try await shop.client.run("INSERT INTO events (user_id, amount) VALUES (1, 1), (3, 3), (1, 2)")
            let cursor = try await mirror.follow(reader, from: start, limit: 2)
            #expect(mirror.rows[key(1)] == [.int64(4), .int64(14)])
            #expect(mirror.rows[key(3)] == [.int64(1), .int64(3)])
            try await shop.client.run("DELETE FROM events WHERE user_id = 3 AND amount = 3")
            try await shop.client.run("UPDATE events SET user_id = 3, at = now() WHERE user_id = 2")
            _ = try await mirror.follow(reader, from: cursor, limit: 2)
            #expect(mirror.rows[key(3)] == [.int64(1), .int64(7)])
            #expect(mirror.rows[key(2)] == [.int64(1), .int64(7)], "only the sweep finds what left without a change")
            #expect(try await reader.readEntities([key(2)]).removed == [Removal(key: key(2))])
        }

        @Test func blindRoleIsToldWhatToGrant() async throws {
            let shop = try await shop()
            let role = "blind_\(UInt32.random(in: 0...(.max)))"
            try await shop.client.run("CREATE ROLE \(role) LOGIN")
            try await shop.client.run("GRANT SELECT ON items TO \(role)")
            let url = shop.url.replacing("user='postgres'", with: "user='\(role)'")
            let reader = try await PostgresConnector(url: url).open(Self.items(Self.byTime))
            let error = await #expect(throws: ExtractionError.self) { try await reader.check() }
            #expect(error?.code == .misconfigured)
            #expect(error?.detail.contains("pg_read_all_stats") == true)
            try await shop.client.run("GRANT pg_read_all_stats TO \(role)")
            try await reader.check()
            await reader.close()
        }

        @Test(arguments: ["xid:5", "mid:2026-01-01T00:00:00Z key:[\"1\",\"2\"]", "end:yesterday", "", "end:12"])
        func foreignCursorsAreRefused(text: String) async throws {
            let shop = try await shop()
            let reader = try await open(Self.items(Self.byTime), shop)
            let error = await #expect(throws: ExtractionError.self) {
                try await reader.readChanges(after: ChangeCursor(text: text), limit: 5)
            }
            #expect(error?.code == .corrupt)
        }
    }
}
