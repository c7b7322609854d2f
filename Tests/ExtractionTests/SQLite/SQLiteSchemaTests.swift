import Extraction
import FeatureModel
import LocalDatabase
import Testing

@Suite(.timeLimit(.minutes(2)))
struct SQLiteSchemaTests {
    private func detail(_ body: () async throws -> Void) async -> ExtractionError? {
        do { try await body() } catch { return error as? ExtractionError }
        return nil
    }

    @Test func namesOfAnyCharactersWork() async throws {
        let odd = "o\"d'd `t]able; DROP -- (1,2)"
        let quoted = "\"o\"\"d'd `t]able; DROP -- (1,2)\""
        let file = try await SourceFile(
            """
            CREATE TABLE \(quoted)("k 1" TEXT, "k""2" INTEGER, "select" INTEGER, "ä.b" TEXT, PRIMARY KEY("k 1", "k""2"));
            """)
        let view = makeView(
            "v", keys: [("k 1", .string), ("k\"2", .int64)], query: "SELECT * FROM \(quoted) -- all of it",
            watermark: .tracked(odd, "k 1", "k\"2"), features: [("select", "int64"), ("ä.b", "string")])
        let reader = try await file.reader(view)
        try await reader.check()
        let start = try await reader.startCursor()
        try await file.run("INSERT INTO \(quoted) VALUES ('a,''b', 1, 5, 'x'), ('ü😀', -2, 6, 'y'), ('', 3, 7, 'z')")
        var mirror = Mirror(view)
        try await mirror.follow(reader, from: start, limit: 2)
        let expected: [EntityKey: [FeatureValue]] = [
            key(.text("a,'b"), .integer(1)): [.int64(5), .string("x")],
            key(.text("ü😀"), .integer(-2)): [.int64(6), .string("y")],
            key(.text(""), .integer(3)): [.int64(7), .string("z")],
        ]
        #expect(mirror.rows == expected)
        var walked = Mirror(view)
        try await walked.walk(reader, limit: 1)
        #expect(walked.rows == expected)
        let some = try await reader.readEntities([key(.text("ü😀"), .integer(-2)), key(.text("no"), .integer(0))])
        #expect(some.keys == [key(.text("ü😀"), .integer(-2))])
        #expect(some.removed == [Removal(key: key(.text("no"), .integer(0)))])
    }

    @Test func keysOfCaseInsensitiveColumnsStayDistinct() async throws {
        let file = try await SourceFile(
            """
            CREATE TABLE t(k TEXT COLLATE NOCASE, n INTEGER, v INTEGER);
            INSERT INTO t VALUES ('a', 1, 1), ('A', 1, 2), ('b', 1, 3), ('B', 2, 4), ('b', 2, 5), ('C', 1, 6);
            """)
        for limit in 1...4 {
            let view = makeView(
                keys: [("k", .string), ("n", .int64)], watermark: .tracked("t", "k", "n"), features: [("v", "int64")])
            let reader = try await file.reader(view)
            var mirror = Mirror(view)
            try await mirror.walk(reader, limit: limit)
            #expect(mirror.rows.count == 6 && mirror.applied == 6)
            let one = try await reader.readEntities([key(.text("A"), .integer(1))])
            #expect(one.values == [.int64(2)] && one.removed.isEmpty)
        }
        let keyed = makeView(
            keys: [("k", .string)],
            query: "SELECT k, sum(v) AS v FROM t WHERE k IN (:keys) GROUP BY k COLLATE BINARY",
            watermark: .tracked("t", "k"), features: [("v", "int64")])
        let reader = try await file.reader(keyed)
        var mirror = Mirror(keyed)
        try await mirror.walk(reader, limit: 2)
        let expected: [EntityKey: [FeatureValue]] = [
            key("a"): [.int64(1)], key("A"): [.int64(2)], key("b"): [.int64(8)], key("B"): [.int64(4)],
            key("C"): [.int64(6)],
        ]
        #expect(mirror.rows == expected)
    }

    @Test func aMissingColumnIsNamedWithItsNearest() async throws {
        let file = try await SourceFile("CREATE TABLE t(id INTEGER PRIMARY KEY, views_7d INTEGER);")
        let view = makeView(
            query: "SELECT id, views_7d AS view_7d FROM t", watermark: .tracked("t", "id"),
            features: [("views_7d", "int64")])
        let reader = try await file.reader(view)
        let error = await detail { try await reader.check() }
        #expect(error?.code == .schemaMismatch)
        let text = error?.detail ?? ""
        #expect(text.contains("activity") && text.contains("views_7d") && text.contains("did you mean view_7d?"))
        let read = await failure { _ = try await reader.readRange(after: nil, limit: 1) }
        #expect(read == .schemaMismatch)
    }

    @Test func driftInTheMiddleOfARunStopsTheViewOrChangesNothing() async throws {
        let file = try await SourceFile(
            "CREATE TABLE t(id INTEGER PRIMARY KEY, v INTEGER, w TEXT); INSERT INTO t VALUES (1, 1, 'x'), (2, 2, 'y')")
        let view = makeView(watermark: .tracked("t", "id"), features: [("v", "int64"), ("w", "string")])
        let reader = try await file.reader(view)
        var cursor = try await reader.startCursor()
        _ = try await reader.readRange(after: nil, limit: 10)

        try await file.run("ALTER TABLE t ADD COLUMN added INTEGER DEFAULT 7; UPDATE t SET v = 3 WHERE id = 1")
        let page = try await reader.readChanges(after: cursor, limit: 10)
        #expect(page.rows.values == [.int64(3), .string("x")])
        cursor = page.next

        try await file.run("ALTER TABLE t RENAME COLUMN v TO v2; UPDATE t SET v2 = 4")
        await expectFailure(.schemaMismatch) { _ = try await reader.readChanges(after: cursor, limit: 10) }
        await expectFailure(.schemaMismatch) { try await reader.check() }
        try await file.run("ALTER TABLE t RENAME COLUMN v2 TO v")
        #expect(try await reader.readChanges(after: cursor, limit: 10).rows.keys.count == 2)

        try await file.run("ALTER TABLE t DROP COLUMN w")
        await expectFailure(.schemaMismatch) { _ = try await reader.readChanges(after: cursor, limit: 10) }
        try await file.run("ALTER TABLE t ADD COLUMN w TEXT; UPDATE t SET v = 'three'")
        let typed = try await reader.readChanges(after: cursor, limit: 10)
        #expect(typed.rows.keys.isEmpty && typed.rows.faults.map(\.rule) == ["type", "type"])
        let error = await detail { try await reader.check() }
        #expect(error?.code == .schemaMismatch && error?.detail.contains("column v: expected int64") == true)
    }

    @Test func queriesThatCannotWorkAreRefusedClearly() async throws {
        let file = try await SourceFile("CREATE TABLE t(id INTEGER PRIMARY KEY, v INTEGER);")
        let cases: [(String, ExtractionError.Code)] = [
            ("SELECT id, v FROM gone", .schemaMismatch),
            ("SELECT id v FROM t WHERE", .misconfigured),
            ("SELECT id, v FROM t WHERE v > :since", .misconfigured),
            ("SELECT id, v FROM t WHERE v > ?", .misconfigured),
            ("DELETE FROM t", .misconfigured),
            ("SELECT id, v FROM t; DROP TABLE t", .misconfigured),
            ("SELECT id, v FROM t) AS a, (SELECT 1", .schemaMismatch),
        ]
        for (query, code) in cases {
            let view = makeView(query: query, watermark: .tracked("t", "id"), features: [("v", "int64")])
            let reader = try await file.reader(view)
            let found = await failure { try await reader.check() }
            #expect(found == code, "\(query)")
        }
        #expect(try await file.rows("SELECT count(*) FROM t") == [[.integer(0)]])
        let untracked = makeView(watermark: .tracked("t", "nope"), features: [("v", "int64")])
        let code = await failure { try await SQLiteConnector(path: file.path).install(for: untracked) }
        #expect(code == .schemaMismatch)
        let keyed = makeView(
            query: "SELECT id, v FROM t WHERE id IN (:keys)",
            watermark: .column(WatermarkColumn(column: "v", tieBreaker: [])), features: [("v", "int64")])
        await expectFailure(.misconfigured) { _ = try await SQLiteConnector(path: file.path).open(keyed) }
    }

    @Test func queriesMayHaveCommentsLiteralsAndCommonTableExpressions() async throws {
        let file = try await SourceFile(
            """
            CREATE TABLE e(a TEXT, b INTEGER, x INTEGER); CREATE INDEX eab ON e(a, b);
            INSERT INTO e VALUES ('p', 1, 10), ('p', 1, 20), ('q', 1, 5), ('q', 2, 6);
            """)
        let view = makeView(
            keys: [("a", .string), ("b", .int64)],
            query: """
                WITH picked AS (SELECT * FROM e WHERE (a, b) IN (:keys)) -- not :keys
                SELECT a, b, count(*) AS n, ':keys' AS label FROM picked /* :keys */ GROUP BY a, b;
                """,
            watermark: .tracked("e", "a", "b"), features: [("n", "int64"), ("label", "string")])
        let reader = try await file.reader(view)
        try await reader.check()
        var mirror = Mirror(view)
        try await mirror.walk(reader, limit: 2)
        #expect(mirror.rows[key(.text("p"), .integer(1))] == [.int64(2), .string(":keys")])
        #expect(mirror.rows.count == 3)
        let many = try await reader.readEntities(
            (0..<300).map { key(.text("p"), .integer($0)) } + [key(.text("q"), .integer(2))])
        #expect(Set(many.keys) == [key(.text("p"), .integer(1)), key(.text("q"), .integer(2))])
        #expect(many.removed.count == 299)
    }
}
