import Extraction
import FeatureModel
import Testing
import TidemarkTesting

extension PostgresSuites {
    @Suite(.timeLimit(.minutes(2)))
    struct PostgresQueryReaderTests {
        private func query(_ sql: String, _ columns: [QueryColumn], timeout: Duration? = nil) -> SourceQuery {
            SourceQuery(owner: "list \"popular\"", sql: sql, columns: columns, pageTimeout: timeout)
        }

        private func all(_ reader: any QueryReader, limit: Int) async throws -> (rows: [[FeatureValue]], pages: [Int]) {
            var rows: [[FeatureValue]] = []
            var pages: [Int] = []
            while true {
                let page = try await reader.next(limit: limit)
                rows += (0..<page.rowCount).map { Array(page.row($0)) }
                pages.append(page.rowCount)
                if page.isLast { return (rows, pages) }
            }
        }

        private func expect(
            _ code: ExtractionError.Code, _ words: String = "", _ body: () async throws -> Void
        ) async {
            do {
                try await body()
                Issue.record("it did not fail")
            } catch let error as ExtractionError {
                #expect(error.code == code)
                #expect(error.description.contains(words))
            } catch {
                Issue.record("\(error)")
            }
        }

        private let numbers = """
            SELECT i::int AS item, to_timestamp(i) AS at, (i * 1000)::bigint AS ms, 'u' || i AS name,
            (i / 4.0)::numeric AS weight, i % 2 = 0 AS even, ARRAY[i, i]::bigint[] AS pair
            FROM generate_series(1, 1000) AS s(i) ORDER BY i DESC;
            """

        @Test func rowsComeTypedInPagesInTheQuerysOrder() async throws {
            let shop = try await ShopDatabase()
            let reader = try await shop.connector.open(
                query(
                    numbers,
                    [
                        QueryColumn("item", .value(.scalar(.int64))), QueryColumn("at", .time(nil)),
                        QueryColumn("ms", .time(.milliseconds)), QueryColumn("weight", .value(.scalar(.float64))),
                        QueryColumn("even", .label), QueryColumn("item", .label),
                        QueryColumn("pair", .value(.list(.int64))),
                    ]))
            #expect(reader.columnNames == ["item", "at", "ms", "name", "weight", "even", "pair"])
            let (rows, pages) = try await all(reader, limit: 400)
            #expect(pages == [400, 400, 200])
            #expect(rows.map { $0[0] } == (1...1000).reversed().map { .int64($0) })
            #expect(
                rows[0] == [
                    .int64(1000), .timestamp(1_000_000_000), .timestamp(1_000_000_000), .float64(250), .string("t"),
                    .string("1000"), .list([.int64(1000), .int64(1000)]),
                ])
            let end = try await reader.next(limit: 10)
            #expect(end.isLast && end.rowCount == 0)
        }

        @Test func aPageThatEndsTheRowsExactlyIsFollowedByAnEmptyLastOne() async throws {
            let shop = try await ShopDatabase()
            let reader = try await shop.connector.open(
                query("SELECT generate_series(1, 20) AS i", [QueryColumn("i", .value(.scalar(.int64)))]))
            let (rows, pages) = try await all(reader, limit: 10)
            #expect(rows.count == 20)
            #expect(pages == [10, 10, 0])
        }

        @Test func pagesAreOfOneSnapshotAndWriteNothing() async throws {
            let shop = try await ShopDatabase()
            try await shop.client.run("INSERT INTO users SELECT i, 'n', 1 FROM generate_series(1, 100) AS s(i)")
            let columns = [QueryColumn("user_id", .value(.scalar(.int64)))]
            let reader = try await shop.connector.open(query("SELECT * FROM users", columns))
            var count = try await reader.next(limit: 10).rowCount
            try await shop.client.run("DELETE FROM users")
            count += try await all(reader, limit: 7).rows.count
            #expect(count == 100)
            await expect(.misconfigured) {
                _ = try await shop.connector.open(query("DELETE FROM users RETURNING user_id", columns))
            }
        }

        @Test func rowsThatAreNotWhatIsWantedAreFaults() async throws {
            let shop = try await ShopDatabase()
            let reader = try await shop.connector.open(
                query(
                    "SELECT * FROM (VALUES (1, 1.5), (NULL, 2), (3000000000, 3), (4, NULL)) AS t(a, b)",
                    [
                        QueryColumn("a", .value(.scalar(.int32))),
                        QueryColumn("b", .value(.scalar(.float64)), isNullable: true),
                    ]))
            let page = try await reader.next(limit: 10)
            #expect(page.values == [.int32(1), .float64(1.5), .int32(4), .null])
            #expect(page.faults.map(\.rule) == ["null", "range"])
            #expect(page.faults.map(\.position) == ["row 2", "row 3"])
        }

        @Test func queriesThatCannotBeReadAreRefusedAtOnce() async throws {
            let shop = try await ShopDatabase()
            let item = [QueryColumn("user_id", .value(.scalar(.int64)))]
            await expect(.schemaMismatch, "found none") {
                _ = try await shop.connector.open(query("SELECT name FROM users", item))
            }
            await expect(.schemaMismatch, "found text") {
                _ = try await shop.connector.open(query("SELECT name AS user_id FROM users", item))
            }
            await expect(.schemaMismatch, "nothing") {
                _ = try await shop.connector.open(query("SELECT user_id FROM nothing", item))
            }
            await expect(.misconfigured, "syntax") {
                _ = try await shop.connector.open(query("SELEC user_id FROM users", item))
            }
        }

        @Test func aPageHasADeadlineAndTheServerStops() async throws {
            let shop = try await ShopDatabase()
            let reader = try await shop.connector.open(
                query(
                    "SELECT 1 AS i FROM pg_sleep(600)", [QueryColumn("i", .value(.scalar(.int64)))],
                    timeout: .milliseconds(50)))
            await expect(.deadlineExceeded) { _ = try await reader.next(limit: 10) }
            // What failed half-way is not read on.
            await expect(.unavailable) { _ = try await reader.next(limit: 10) }
        }

        @Test func cancellingTheTaskEndsAPage() async throws {
            let shop = try await ShopDatabase()
            let reader = try await shop.connector.open(
                query(
                    "SELECT 1 AS i FROM pg_sleep(600)", [QueryColumn("i", .value(.scalar(.int64)))],
                    timeout: .seconds(600)))
            let task = Task { try await reader.next(limit: 10) }
            task.cancel()
            await expect(.unavailable, "cancelled") { _ = try await task.value }
            await reader.close()
        }
    }
}
