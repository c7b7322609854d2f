import Extraction
import FeatureModel
import Foundation
import LocalDatabase
import Testing

@Suite(.timeLimit(.minutes(2)))
struct SQLiteQueryReaderTests {
    private let events = """
        CREATE TABLE events (id INTEGER PRIMARY KEY, user TEXT, item INTEGER, ts INTEGER, weight REAL, kind TEXT);
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
        INSERT INTO events SELECT i, 'u' || (i % 7), i % 50, 1700000000000 + i, i / 4.0, 'view' FROM n;
        """

    private func query(_ sql: String, _ columns: [QueryColumn], timeout: Duration? = nil) -> SourceQuery {
        SourceQuery(owner: "list \"popular\"", sql: sql, columns: columns, pageTimeout: timeout)
    }

    private func rows(_ reader: any QueryReader, limit: Int) async throws -> (rows: [[FeatureValue]], pages: [Int]) {
        var rows: [[FeatureValue]] = []
        var pages: [Int] = []
        while true {
            let page = try await reader.next(limit: limit)
            #expect(page.rowCount <= limit)
            rows += (0..<page.rowCount).map { Array(page.row($0)) }
            pages.append(page.rowCount)
            if page.isLast { return (rows, pages) }
        }
    }

    @Test func rowsComeTypedInPagesInTheQuerysOrder() async throws {
        let source = try await SourceFile(events)
        let reader = try await SQLiteConnector(path: source.path).open(
            query(
                "SELECT weight, item, ts, user, kind, id % 2 AS odd FROM events ORDER BY id DESC",
                [
                    QueryColumn("item", .value(.scalar(.int64))), QueryColumn("ts", .time(.milliseconds)),
                    QueryColumn("weight", .value(.scalar(.float64))), QueryColumn("user", .value(.scalar(.string))),
                    QueryColumn("odd", .label),
                ]))
        #expect(reader.columnNames == ["weight", "item", "ts", "user", "kind", "odd"])
        let (found, pages) = try await rows(reader, limit: 300)
        #expect(pages == [300, 300, 300, 100])
        #expect(
            found[0] == [
                .int64(0), .timestamp(1_700_000_001_000_000), .float64(250), .string("u6"), .string("0"),
            ])
        #expect(found.count == 1000)
        #expect(found.map { $0[1] } == (1...1000).reversed().map { .timestamp((1_700_000_000_000 + $0) * 1_000) })
        // Behind the end there is only the end.
        let end = try await reader.next(limit: 10)
        #expect(end.isLast && end.rowCount == 0)
    }

    @Test func pagesAreOfOneSnapshot() async throws {
        let source = try await SourceFile(events)
        let reader = try await SQLiteConnector(path: source.path).open(
            query("SELECT id FROM events", [QueryColumn("id", .value(.scalar(.int64)))]))
        var count = try await reader.next(limit: 10).rowCount
        try await source.run("DELETE FROM events WHERE id > 20; INSERT INTO events (id) VALUES (5000)")
        count += try await rows(reader, limit: 100).rows.count
        #expect(count == 1000)
    }

    @Test func rowsThatAreNotWhatIsWantedAreFaults() async throws {
        let source = try await SourceFile(
            """
            CREATE TABLE t (a, b, c);
            INSERT INTO t VALUES (1, 5, 'x'), ('no', 5, 'x'), (3, NULL, NULL), (4, -99999999999999999, 'x'), (NULL, 5, 'x');
            """)
        let reader = try await SQLiteConnector(path: source.path).open(
            query(
                "SELECT * FROM t",
                [
                    QueryColumn("a", .value(.scalar(.int64))), QueryColumn("b", .time(.seconds), isNullable: true),
                    QueryColumn("c", .label, isNullable: true),
                ]))
        let page = try await reader.next(limit: 100)
        #expect(page.values == [.int64(1), .timestamp(5_000_000), .string("x"), .int64(3), .null, .null])
        #expect(page.faultCount == 3)
        #expect(page.faults.map(\.position) == ["row 2", "row 4", "row 5"])
        #expect(page.faults.map(\.rule) == ["type", "range", "null"])
        await reader.close()
    }

    @Test func faultsAreCountedBeyondThoseListed() async throws {
        let source = try await SourceFile(events)
        let reader = try await SQLiteConnector(path: source.path).open(
            query("SELECT user FROM events", [QueryColumn("user", .value(.scalar(.int64)))]))
        let page = try await reader.next(limit: 500)
        #expect(page.faultCount == 500)
        #expect(page.faults.count == QueryPage.faultLimit)
        #expect(page.rowCount == 0 && !page.isLast)
        await reader.close()
    }

    @Test(arguments: [
        ("SELECT id FROM events", ExtractionError.Code.schemaMismatch, "found none"),
        ("SELECT item, user AS item FROM events", .schemaMismatch, "appears twice"),
        ("SELECT item FROM missing", .schemaMismatch, "no such table"),
        ("SELEC item FROM events", .misconfigured, "syntax"),
        ("SELECT item FROM events WHERE id = ?", .misconfigured, "parameters"),
        ("DELETE FROM events", .misconfigured, "no columns"),
        ("", .misconfigured, "empty"),
    ])
    func queriesThatCannotBeReadAreRefusedAtOnce(_ sql: String, _ code: ExtractionError.Code, _ words: String)
        async throws
    {
        let source = try await SourceFile(events)
        do {
            _ = try await SQLiteConnector(path: source.path).open(
                query(sql, [QueryColumn("item", .value(.scalar(.int64)))]))
            Issue.record("it was opened")
        } catch {
            #expect(error.code == code)
            #expect(error.description.contains(words))
        }
    }

    /// Never ends by itself.
    private let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n WHERE i < 0"

    @Test func aPageHasADeadline() async throws {
        let source = try await SourceFile(events)
        let reader = try await SQLiteConnector(path: source.path).open(
            query(endless, [QueryColumn("i", .value(.scalar(.int64)))], timeout: .milliseconds(20)))
        await expectFailure(.deadlineExceeded) { _ = try await reader.next(limit: 10) }
        await expectFailure(.unavailable) { _ = try await reader.next(limit: 10) }
    }

    @Test func cancellingTheTaskEndsAPage() async throws {
        let source = try await SourceFile(events)
        let reader = try await SQLiteConnector(path: source.path).open(
            query(endless, [QueryColumn("i", .value(.scalar(.int64)))], timeout: .seconds(600)))
        let task = Task { try await reader.next(limit: 10) }
        task.cancel()
        await expectFailure(.unavailable) { _ = try await task.value }
        await reader.close()
    }

    @Test func largeRowsMakeShortPages() async throws {
        let source = try await SourceFile(
            """
            CREATE TABLE t (a); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 80)
            INSERT INTO t SELECT zeroblob(1000000) FROM n;
            """)
        let reader = try await SQLiteConnector(path: source.path).open(
            query("SELECT a FROM t", [QueryColumn("a", .value(.scalar(.bytes)))]))
        let (found, pages) = try await rows(reader, limit: 1000)
        #expect(found.count == 80)
        #expect(pages == [34, 34, 12])
    }

    @Test func filesOfAFolderAreQueriedAsTables() async throws {
        let folder = try ScratchFolder()
        try Data("item,ts\n7,2026-01-01T00:00:00Z\n8,2026-01-01T00:00:01Z\n".utf8).write(
            to: URL(fileURLWithPath: folder.file("events.csv")))
        try Data("a\"b".utf8).write(to: URL(fileURLWithPath: folder.file("broken.csv")))
        let connector = CSVConnector(folder: folder.path)
        let columns = [QueryColumn("item", .value(.scalar(.int64))), QueryColumn("ts", .time(nil))]
        let reader = try await connector.open(query("SELECT * FROM events", columns))
        let (found, _) = try await rows(reader, limit: 10)
        #expect(found.map { $0[0] } == [.int64(7), .int64(8)])
        await expectFailure(.corrupt) { _ = try await connector.open(query("SELECT * FROM broken", columns)) }
        await connector.close()
    }
}
