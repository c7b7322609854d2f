import Extraction
import FeatureModel
import Testing
import TidemarkTesting

extension PostgresSuites {
    /// Lag, pruning, estimates, installation and diagnosis.
    @Suite struct PostgresHousekeepingTests {
        @Test func pruneForgetsOnlyWhatWasReadAndIsOld() async throws {
            var options = PostgresOptions()
            options.changeRetention = .zero
            let shop = try await ShopDatabase(options: options)
            let reader = try await shop.open(Shop.profile())
            let keeper = try await PostgresConnector(url: shop.url).open(Shop.profile())
            try await shop.client.run("INSERT INTO users SELECT n FROM generate_series(1, 20) n")
            try await shop.client.run("DELETE FROM users WHERE user_id <= 5")
            try await shop.client.run("TRUNCATE users")
            let identity = try await reader.history().identity
            let cursor = try await reader.startCursor()
            try await shop.client.run("INSERT INTO users VALUES (30)")
            try await shop.client.run("DELETE FROM users WHERE user_id = 30")
            let count = "SELECT count(*) FROM _tidemark_deleted"
            try await keeper.prune(below: cursor)
            #expect(try await shop.client.run(count) == [["7"]], "younger than the retention")
            try await reader.prune(below: cursor)
            #expect(try await shop.client.run(count) == [["2"]], "the truncate's mark and the delete behind the cursor")
            #expect(try await reader.history().identity == identity)
            let page = try await reader.readChanges(after: cursor, limit: 5)
            #expect(page.rows.removed.map(\.key) == [key(30)])
        }

        @Test func roleThatMayOnlyReadIsEnough() async throws {
            let shop = try await ShopDatabase()
            try await shop.connector.install(for: Shop.profile())
            let role = "reader_\(UInt32.random(in: 0...(.max)))"
            let writer = "writer_\(UInt32.random(in: 0...(.max)))"
            try await shop.client.run(all: [
                "CREATE ROLE \(role) LOGIN", "CREATE ROLE \(writer) LOGIN",
                "GRANT SELECT ON users, _tidemark_deleted TO \(role)",
                "GRANT SELECT, INSERT, UPDATE, DELETE ON users TO \(writer)",
            ])
            let url = shop.url.replacing("user='postgres'", with: "user='\(role)'")
            let reader = try await PostgresConnector(url: url).open(Shop.profile())
            try await reader.check()
            let cursor = try await reader.startCursor()
            let app = try PostgresClient(url: shop.url.replacing("user='postgres'", with: "user='\(writer)'"))
            try await app.run("INSERT INTO users VALUES (1, 'a', 1), (2, 'b', 2)")
            try await app.run("DELETE FROM users WHERE user_id = 2")
            let page = try await reader.readChanges(after: cursor, limit: 5)
            #expect(page.rows.keys == [key(1)] && page.rows.removed.map(\.key) == [key(2)])
            _ = try await reader.history()
            try await reader.prune(below: page.next)
            let failed = await #expect(throws: ExtractionError.self) {
                try await PostgresConnector(url: url).install(for: Shop.profile())
            }
            #expect(failed?.code == .misconfigured)
            await app.close()
            await reader.close()
        }

        @Test func lagCountsAndTellsTheAgeOfDeletes() async throws {
            let shop = try await ShopDatabase()
            let reader = try await shop.open(Shop.profile())
            try await shop.client.run("INSERT INTO users SELECT n FROM generate_series(1, 30) n")
            let cursor = try await reader.startCursor()
            #expect(try await reader.lag(behind: cursor) == SourceLag(rows: 0, age: nil))
            try await shop.client.run("UPDATE users SET score = 1 WHERE user_id <= 10")
            let first = try await reader.lag(behind: cursor)
            #expect(first.rows == 10 && first.age == nil, "stamps carry no time")
            try await shop.client.run("DELETE FROM users WHERE user_id > 25")
            let second = try await reader.lag(behind: cursor)
            #expect(second.rows == 15)
            #expect(try #require(second.age) < .seconds(60))
            let page = try await reader.readChanges(after: cursor, limit: 12)
            #expect(try await reader.lag(behind: page.next).rows == 3)
        }

        @Test func estimateIsNearTheTruth() async throws {
            let shop = try await ShopDatabase()
            let reader = try await shop.open(Shop.profile())
            let aggregate = try await shop.open(Shop.activity())
            try await shop.client.run("INSERT INTO users SELECT n FROM generate_series(1, 5000) n")
            try await shop.client.run(
                "INSERT INTO events (user_id, amount) SELECT n % 100, 1 FROM generate_series(1, 5000) n")
            try await shop.client.run("ANALYZE")
            #expect((4_000...6_000).contains(try #require(try await reader.estimatedCount())))
            #expect((90...110).contains(try #require(try await aggregate.estimatedCount())))
        }

        @Test func installIsHarmlessWhileAppsWriteAndSharesATable() async throws {
            let shop = try await ShopDatabase()
            let byUser = Shop.activity()
            let byAmount = Shop.view(
                "amounts", entity: Entity(name: "amount", keys: [.init(name: "amount", type: .int64)]),
                query: "SELECT amount, count(*) AS n FROM events WHERE amount IN (:keys) GROUP BY amount",
                watermark: .tracked(TrackedTable(table: "public.events", keyColumns: ["amount"])),
                features: [Feature(name: "n", type: .scalar(.int64))])
            let writer = try shop.session()
            let writes = Task {
                for n in 1...200 {
                    try await writer.run("INSERT INTO events (user_id, amount) VALUES (\(n % 5), \(n % 3))")
                }
            }
            let first = try await shop.open(byUser)
            let second = try await shop.open(byAmount)
            try await shop.connector.install(for: byUser)
            try await first.check()
            try await writes.value
            let (one, two) = (try await first.startCursor(), try await second.startCursor())
            try await shop.client.run("DELETE FROM events WHERE amount = 2")
            #expect(try await second.readChanges(after: two, limit: 5).rows.removed.map(\.key) == [key(2)])
            #expect(try await first.readChanges(after: one, limit: 5).rows.keys.count == 5)
            await writer.close()
        }

        @Test func diagnosisNamesWhatToDo() async throws {
            let shop = try await ShopDatabase()
            let view = Shop.profile()
            let before = await shop.connector.diagnose([view])
            #expect(before.contains { $0.check == "connection" && $0.grade == .good })
            #expect(
                before.contains {
                    $0.check == "profile" && $0.grade == .bad && $0.text.contains("source install profile")
                })
            try await shop.connector.install(for: view)
            #expect(await shop.connector.diagnose([view]).allSatisfy { $0.grade == .good })
            let index = try await shop.client.run(
                "SELECT indexname FROM pg_indexes WHERE tablename = 'users' AND indexname LIKE 'tidemark%'")
            try await shop.client.run("DROP INDEX \(try #require(index.first?.first ?? nil))")
            #expect(await shop.connector.diagnose([view]).contains { $0.check == "profile" && $0.grade == .warning })
            let away = try PostgresConnector(url: "host='/nowhere' user='x'")
            #expect(await away.diagnose([view]).map(\.grade) == [.bad])
        }

        @Test func pagesUseTheIndexWhateverTheTransactionsSize() async throws {
            let shop = try await ShopDatabase()
            let view = Shop.profile()
            let reader = try await shop.open(view)
            let cursor = try await reader.startCursor()
            try await shop.client.run("INSERT INTO users SELECT n FROM generate_series(1, 20000) n")
            try await shop.client.run("ANALYZE users")
            let page = try await reader.readChanges(after: cursor, limit: 100)
            let xid = try #require(page.next.text.split(separator: " ").first?.dropFirst(4))
            let plan = try await shop.client.run(
                """
                EXPLAIN SELECT _tm._tidemark_xid, _tm.user_id FROM users AS _tm
                WHERE (_tm._tidemark_xid, _tm.user_id) > ('\(xid)'::xid8, 100) AND _tm._tidemark_xid < '99999999'::xid8
                AND _tm.user_id IS NOT NULL ORDER BY _tm._tidemark_xid, _tm.user_id LIMIT 100
                """)
            let text = plan.compactMap { $0.first ?? nil }.joined(separator: "\n")
            #expect(text.contains("Index Only Scan using tidemark_") && !text.contains("Sort"), "\(text)")
        }
    }
}
