import Extraction
import FeatureModel
import Testing
import TidemarkTesting

extension PostgresSuites {
    /// Exact change tracking against a real server.
    @Suite struct PostgresTrackedTests {
        @Test func installTwiceAndReadWhatChanged() async throws {
            let shop = try await ShopDatabase()
            try await shop.client.run("INSERT INTO users VALUES (1, 'ann', 10), (2, 'bob', 20)")
            let view = Shop.profile()
            await #expect(throws: ExtractionError.self) { try await shop.connector.open(view).check() }
            try await shop.connector.install(for: view)
            let reader = try await shop.open(view)
            #expect(reader.isExact && reader.needsRangeLoad)

            let start = try await reader.startCursor()
            var mirror = Mirror(view)
            try await mirror.walk(reader)
            #expect(mirror.rows == [key(1): [.string("ann"), .int32(10)], key(2): [.string("bob"), .int32(20)]])

            try await shop.client.run("UPDATE users SET score = 11 WHERE user_id = 1")
            try await shop.client.run("DELETE FROM users WHERE user_id = 2")
            try await shop.client.run("INSERT INTO users VALUES (3, NULL, 30)")
            let page = try await reader.readChanges(after: start, limit: 100)
            #expect(page.isLast && page.changeCount == 3)
            #expect(page.rows.keys == [key(1), key(3)])
            #expect(page.rows.values == [.string("ann"), .int32(11), .null, .int32(30)])
            #expect(page.rows.removed == [Removal(key: key(2))])
            #expect(page.rows.position != nil)
            let after = try await reader.readChanges(after: page.next, limit: 100)
            #expect(after.rows.isEmpty && after.isLast && after.changeCount == 0)
        }

        @Test func missingTrackingIsNamed() async throws {
            let shop = try await ShopDatabase()
            let reader = try await shop.connector.open(Shop.profile())
            let error = await #expect(throws: ExtractionError.self) { try await reader.check() }
            #expect(error?.code == .notInstalled)
            #expect(error?.detail.contains("_tidemark_xid") == true)
            try await shop.connector.install(for: Shop.profile())
            try await reader.check()
            try await shop.client.run("ALTER TABLE users DISABLE TRIGGER zz_tidemark_stamp")
            #expect(await #expect(throws: ExtractionError.self) { try await reader.check() }?.code == .notInstalled)
        }

        @Test func thousandRowsOfOneTransactionAreReadOnceEach() async throws {
            let shop = try await ShopDatabase()
            let view = Shop.profile()
            let reader = try await shop.open(view)
            var cursor = try await reader.startCursor()
            try await shop.client.run("INSERT INTO users SELECT n, 'u' || n, n FROM generate_series(1, 1000) n")
            var seen: [EntityKey] = []
            while true {
                let page = try await reader.readChanges(after: cursor, limit: 7)
                seen += page.rows.keys
                cursor = page.next
                if page.isLast { break }
            }
            #expect(seen.count == 1000)
            #expect(Set(seen).count == 1000)
        }

        @Test func longTransactionThatCommitsLateIsNotMissed() async throws {
            let shop = try await ShopDatabase()
            let view = Shop.profile()
            let reader = try await shop.open(view)
            var cursor = try await reader.startCursor()
            var mirror = Mirror(view)
            let slow = try shop.session()
            try await slow.run("BEGIN")
            try await slow.run("INSERT INTO users VALUES (1, 'late', 1)")
            for number in 2...101 { try await shop.client.run("INSERT INTO users VALUES (\(number), 'early', 0)") }
            cursor = try await mirror.follow(reader, from: cursor)
            #expect(mirror.rows.isEmpty, "the horizon waits for the open transaction")
            #expect(try await reader.lag(behind: cursor).rows == 100)
            try await slow.run("COMMIT")
            cursor = try await mirror.follow(reader, from: cursor)
            #expect(mirror.rows.count == 101)
            #expect(mirror.rows[key(1)] == [.string("late"), .int32(1)])
            #expect(try await reader.lag(behind: cursor) == SourceLag(rows: 0, age: nil))
            await slow.close()
        }

        @Test func preparedTransactionHoldsTheHorizon() async throws {
            let shop = try await ShopDatabase()
            let view = Shop.profile()
            let reader = try await shop.open(view)
            var cursor = try await reader.startCursor()
            var mirror = Mirror(view)
            let writer = try shop.session()
            try await writer.run(all: [
                "BEGIN", "INSERT INTO users VALUES (1, 'two', 2)", "PREPARE TRANSACTION 'pending'",
            ])
            await writer.close()
            try await shop.client.run("INSERT INTO users VALUES (2, 'one', 1)")
            cursor = try await mirror.follow(reader, from: cursor)
            #expect(mirror.rows.isEmpty)
            try await shop.client.run("COMMIT PREPARED 'pending'")
            cursor = try await mirror.follow(reader, from: cursor)
            #expect(Set(mirror.rows.keys) == [key(1), key(2)])
        }

        @Test func savepointsAndRolledBackRowsLeaveNoTrace() async throws {
            let shop = try await ShopDatabase()
            let view = Shop.profile()
            let reader = try await shop.open(view)
            let cursor = try await reader.startCursor()
            try await shop.client.run(all: [
                "BEGIN", "INSERT INTO users VALUES (1, 'kept', 1)", "SAVEPOINT a",
                "INSERT INTO users VALUES (2, 'gone', 2)",
                "ROLLBACK TO a", "SAVEPOINT b", "INSERT INTO users VALUES (3, 'inner', 3)", "RELEASE b", "COMMIT",
                "BEGIN", "INSERT INTO users VALUES (4, 'never', 4)", "ROLLBACK",
            ])
            let page = try await reader.readChanges(after: cursor, limit: 10)
            #expect(page.rows.keys == [key(1), key(3)])
            #expect(page.rows.removed.isEmpty)
        }

        @Test func deleteReinsertKeyChangeAndTruncate() async throws {
            let shop = try await ShopDatabase()
            let view = Shop.profile()
            let reader = try await shop.open(view)
            var mirror = Mirror(view)
            var cursor = try await reader.startCursor()
            try await shop.client.run("INSERT INTO users VALUES (1, 'a', 1), (2, 'b', 2), (3, 'c', 3)")
            cursor = try await mirror.follow(reader, from: cursor)
            try await shop.client.run(all: [
                "DELETE FROM users WHERE user_id = 1", "INSERT INTO users VALUES (1, 'again', 9)",
                "UPDATE users SET user_id = 20 WHERE user_id = 2", "DELETE FROM users WHERE user_id = 3",
            ])
            cursor = try await mirror.follow(reader, from: cursor, limit: 2)
            #expect(mirror.rows == [key(1): [.string("again"), .int32(9)], key(20): [.string("b"), .int32(2)]])

            let before = try await reader.history()
            try await shop.client.run("TRUNCATE users")
            let after = try await reader.history()
            #expect(before.identity != after.identity, "a truncate breaks the history: \(after.identity)")
            #expect(try #require(after.end) >= (try #require(before.end)))
        }

        @Test func aggregatesFollowTheirEvents() async throws {
            let shop = try await ShopDatabase()
            let view = Shop.activity()
            try await shop.client.run("INSERT INTO events (user_id, amount) VALUES (1, 5), (1, 6), (2, 7), (NULL, 8)")
            let reader = try await shop.open(view)
            var cursor = try await reader.startCursor()
            var mirror = Mirror(view)
            try await mirror.walk(reader, limit: 1)
            #expect(mirror.rows == [key(1): [.int64(2), .int64(11)], key(2): [.int64(1), .int64(7)]])
            try await shop.client.run("INSERT INTO events (user_id, amount) VALUES (1, 100), (3, 1), (NULL, 1)")
            try await shop.client.run("UPDATE events SET user_id = 4 WHERE amount = 7")
            try await shop.client.run("DELETE FROM events WHERE amount = 5")
            cursor = try await mirror.follow(reader, from: cursor, limit: 2)
            #expect(
                mirror.rows == [
                    key(1): [.int64(2), .int64(106)], key(3): [.int64(1), .int64(1)], key(4): [.int64(1), .int64(7)],
                ])
            #expect(mirror.faults.isEmpty)
            let chunk = try await reader.readEntities([key(1), key(2), EntityKey(canonical: "x")])
            #expect(chunk.keys == [key(1)])
            #expect(chunk.removed.map(\.key) == [key(2), EntityKey(canonical: "x")])
        }
    }
}
