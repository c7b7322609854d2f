import Extraction
import FeatureModel
import LocalDatabase
import Testing

@Suite(.timeLimit(.minutes(2)))
struct SQLiteTrackedTests {
    private let view = makeView(watermark: .tracked("t", "id"), features: [("v", "int64"), ("name", "string")])
    private let schema = "CREATE TABLE t(id INTEGER PRIMARY KEY, v INTEGER, name TEXT);"

    @Test func everyKindOfChangeArrives() async throws {
        let file = try await SourceFile(schema + "INSERT INTO t VALUES (1, 10, 'a'), (2, 20, 'b');")
        let reader = try await file.reader(view)
        try await reader.check()
        #expect(reader.isExact && reader.needsRangeLoad)
        var mirror = Mirror(view)
        var cursor = try await reader.startCursor()
        try await mirror.walk(reader)
        #expect(mirror.rows == [key(1): [.int64(10), .string("a")], key(2): [.int64(20), .string("b")]])

        try await file.run("INSERT INTO t VALUES (3, NULL, 'c'); UPDATE t SET v = 11 WHERE id = 1")
        cursor = try await mirror.follow(reader, from: cursor)
        #expect(mirror.rows[key(1)] == [.int64(11), .string("a")])
        #expect(mirror.rows[key(3)] == [.null, .string("c")])

        try await file.run("DELETE FROM t WHERE id = 2; UPDATE t SET id = 9 WHERE id = 3")
        cursor = try await mirror.follow(reader, from: cursor)
        #expect(Set(mirror.rows.keys) == [key(1), key(9)])
        #expect(Set(mirror.removals.map(\.key)) == [key(2), key(3)])

        try await file.run("INSERT INTO t VALUES (2, 21, 'again')")
        cursor = try await mirror.follow(reader, from: cursor)
        #expect(mirror.rows[key(2)] == [.int64(21), .string("again")])
        let idle = try await reader.readChanges(after: cursor, limit: 10)
        #expect(idle.rows.isEmpty && idle.isLast && idle.next == cursor && idle.changeCount == 0)
        #expect(mirror.positions == mirror.positions.sorted())
    }

    @Test func replayOfOldCursorsShowsThePresentAndNeverResurrects() async throws {
        let file = try await SourceFile(schema)
        let reader = try await file.reader(view)
        let start = try await reader.startCursor()
        try await file.run("INSERT INTO t VALUES (1, 1, 'x'); DELETE FROM t WHERE id = 1")
        let first = try await reader.readChanges(after: start, limit: 10)
        let again = try await reader.readChanges(after: start, limit: 10)
        #expect(first.rows.keys.isEmpty && first.rows.removed == [Removal(key: key(1))])
        #expect(again.rows.removed == first.rows.removed && again.rows.position == first.rows.position)
    }

    @Test func rowsPushedOutByReplaceAreDeletes() async throws {
        let file = try await SourceFile(
            """
            CREATE TABLE t(id INTEGER PRIMARY KEY, v INTEGER, name TEXT COLLATE NOCASE UNIQUE, w INTEGER);
            CREATE UNIQUE INDEX tw ON t(w, v);
            INSERT INTO t VALUES (1, 10, 'a', 1), (2, 20, 'b', 2), (3, 30, 'c', 3), (4, 40, 'd', 4);
            """)
        let reader = try await file.reader(view)
        var mirror = Mirror(view)
        let cursor = try await reader.startCursor()
        try await mirror.walk(reader)
        // 'B' is in the way of 'b' under NOCASE; (3, 30) pushes out row 3; the update pushes out row 4.
        try await file.run(
            """
            INSERT OR REPLACE INTO t VALUES (5, 50, 'B', 5);
            INSERT OR REPLACE INTO t VALUES (6, 30, 'f', 3);
            UPDATE OR REPLACE t SET name = 'D' WHERE id = 1;
            """)
        let present = try await file.rows("SELECT id FROM t ORDER BY id")
        #expect(present == [[.integer(1)], [.integer(5)], [.integer(6)]])
        try await mirror.follow(reader, from: cursor)
        #expect(Set(mirror.rows.keys) == [key(1), key(5), key(6)])
    }

    @Test func rowsPushedOutThroughAnExpressionIndexAreLeftToTheSweepAndTheDoctorSaysSo() async throws {
        let file = try await SourceFile(
            schema + "CREATE UNIQUE INDEX odd ON t(lower(name)); INSERT INTO t VALUES (1, 1, 'a')")
        let reader = try await file.reader(view)
        let cursor = try await reader.startCursor()
        try await file.run("INSERT OR REPLACE INTO t VALUES (2, 2, 'A')")
        var mirror = Mirror(view)
        mirror.rows[key(1)] = [.int64(1), .string("a")]
        try await mirror.follow(reader, from: cursor)
        #expect(mirror.rows[key(1)] != nil, "if this is noticed now, the documentation may say so")
        let seen = try await reader.readEntities([key(1), key(2)])
        #expect(seen.removed.map(\.key) == [key(1)] && seen.keys == [key(2)])
        let findings = await SQLiteConnector(path: file.path).diagnose([view])
        #expect(findings.contains { $0.grade == .warning && $0.text.contains("odd") })
    }

    @Test func deletesByCascadeAndWithoutAConditionArrive() async throws {
        let file = try await SourceFile(
            """
            PRAGMA foreign_keys = ON;
            CREATE TABLE p(id INTEGER PRIMARY KEY);
            CREATE TABLE t(id INTEGER PRIMARY KEY, v INTEGER REFERENCES p ON DELETE CASCADE, name TEXT);
            INSERT INTO p VALUES (1), (2); INSERT INTO t VALUES (1, 1, ''), (2, 1, ''), (3, 2, '');
            """)
        let reader = try await file.reader(view)
        var mirror = Mirror(view)
        var cursor = try await reader.startCursor()
        try await mirror.walk(reader)
        try await file.run("DELETE FROM p WHERE id = 1")
        cursor = try await mirror.follow(reader, from: cursor)
        #expect(Set(mirror.rows.keys) == [key(3)])
        try await file.run("DELETE FROM t")
        try await mirror.follow(reader, from: cursor)
        #expect(mirror.rows.isEmpty)
    }

    @Test func anEntityWithCountlessChangesDoesNotFillAPage() async throws {
        let file = try await SourceFile(schema)
        let reader = try await file.reader(view)
        let start = try await reader.startCursor()
        try await file.run(
            """
            INSERT INTO t VALUES (1, 0, 'hot');
            WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 600)
            INSERT INTO t SELECT 1, i, 'hot' FROM n WHERE true ON CONFLICT DO UPDATE SET v = excluded.v;
            INSERT INTO t VALUES (2, 0, 'cold');
            """)
        var mirror = Mirror(view)
        let page = try await reader.readChanges(after: start, limit: 2)
        #expect(!page.isLast && page.changeCount == 100 && page.rows.keys == [key(1)])
        try await mirror.follow(reader, from: start, limit: 2)
        #expect(mirror.rows[key(1)] == [.int64(600), .string("hot")] && mirror.rows[key(2)] != nil)
    }

    @Test func lagCountsAndAgesChanges() async throws {
        let clock = HandClock(SQLiteConnector.Options.systemClock() + 3_600_000_000)
        let file = try await SourceFile(schema)
        let reader = try await file.reader(view, options: .init(now: clock.closure))
        let start = try await reader.startCursor()
        #expect(try await reader.lag(behind: start) == SourceLag(rows: 0, age: nil))
        try await file.run("INSERT INTO t VALUES (1, 1, ''), (2, 2, ''), (3, 3, '')")
        let lag = try await reader.lag(behind: start)
        #expect(lag.rows == 3)
        let age = try #require(lag.age)
        #expect(age > .seconds(3_000) && age < .seconds(3_700))
        let page = try await reader.readChanges(after: start, limit: 2)
        #expect(try await reader.lag(behind: page.next).rows == 1)
        #expect(try await reader.estimatedCount() == 3)
    }

    @Test func pruningForgetsNothingThatMayStillBeRead() async throws {
        let clock = HandClock(SQLiteConnector.Options.systemClock())
        let file = try await SourceFile(schema)
        let reader = try await file.reader(view, options: .init(logRetention: .seconds(60), now: clock.closure))
        let start = try await reader.startCursor()
        try await file.run("INSERT INTO t VALUES (1, 1, ''), (2, 2, ''), (3, 3, '')")
        let page = try await reader.readChanges(after: start, limit: 2)
        try await reader.prune(below: page.next)
        #expect(try await file.rows("SELECT count(*) FROM _tidemark_log") == [[.integer(3)]], "within the retention")
        clock.now += 3_600_000_000
        try await reader.prune(below: page.next)
        #expect(try await file.rows("SELECT seq FROM _tidemark_log") == [[.integer(3)]])
        let rest = try await reader.readChanges(after: page.next, limit: 10)
        #expect(rest.rows.keys == [key(3)] && rest.rows.position == 3)
        let code = await failure { _ = try await reader.readChanges(after: start, limit: 10) }
        #expect(code == .historyBroken, "a cursor before the pruned entries would skip them")
        try await reader.prune(below: rest.next)
        #expect(try await file.rows("SELECT count(*) FROM _tidemark_log") == [[.integer(0)]])
        #expect(try await reader.history().end == 3)
        try await file.run("INSERT INTO t VALUES (4, 4, '')")
        #expect(try await reader.readChanges(after: rest.next, limit: 10).rows.position == 4)
    }

    @Test func twoViewsOfOneTableHaveLogsOfTheirOwn() async throws {
        let file = try await SourceFile("CREATE TABLE e(id INTEGER PRIMARY KEY, user INTEGER, item TEXT);")
        let users = makeView(
            "users", keys: [("user", .int64)],
            query: "SELECT user, count(*) AS n FROM e WHERE user IN (:keys) GROUP BY user",
            watermark: .tracked("e", "user"), features: [("n", "int64")])
        let items = makeView(
            "items", keys: [("item", .string)], query: "SELECT item, count(*) AS n FROM e GROUP BY item",
            watermark: .tracked("e", "item"), features: [("n", "int64")])
        let userReader = try await file.reader(users)
        let itemReader = try await file.reader(items)
        let userStart = try await userReader.startCursor()
        let itemStart = try await itemReader.startCursor()
        try await file.run("INSERT INTO e(user, item) VALUES (1, 'x'), (1, 'y'), (2, 'x')")
        var userMirror = Mirror(users)
        var itemMirror = Mirror(items)
        try await userMirror.follow(userReader, from: userStart, limit: 1)
        try await itemMirror.follow(itemReader, from: itemStart, limit: 1)
        #expect(userMirror.rows == [key(1): [.int64(2)], key(2): [.int64(1)]])
        #expect(itemMirror.rows == [key("x"): [.int64(2)], key("y"): [.int64(1)]])
    }

    @Test func nullAndUnusableKeysAreFaultsThatStopNothing() async throws {
        let file = try await SourceFile("CREATE TABLE t(id, v INTEGER, name TEXT);")
        let reader = try await file.reader(view)
        let start = try await reader.startCursor()
        try await file.run("INSERT INTO t VALUES (NULL, 1, ''), ('x', 2, ''), (2.5, 3, ''), (4, 4, '')")
        let page = try await reader.readChanges(after: start, limit: 10)
        #expect(page.rows.keys == [key(4)])
        #expect(page.rows.faults.map(\.rule) == ["null_key", "type", "type"])
        #expect(page.rows.faults.map(\.position) == ["seq 1", "seq 2", "seq 3"])
        var mirror = Mirror(view)
        try await mirror.walk(reader, limit: 1)
        #expect(Set(mirror.rows.keys) == [key(4)] && mirror.faults.count == 3)
    }

    @Test func nonsenseCursorsAreRefused() async throws {
        let file = try await SourceFile(schema)
        let reader = try await file.reader(view)
        for text in ["", "start", "seq:", "seq:-1", "seq:1@2@3", "seq:99999999999999999999", "end:i1"] {
            let code = await failure { _ = try await reader.readChanges(after: ChangeCursor(text: text), limit: 1) }
            #expect(code == .misconfigured, "\(text)")
        }
        let code = await failure { _ = try await reader.readChanges(after: ChangeCursor(text: "seq:5"), limit: 1) }
        #expect(code == .historyBroken, "above the log's end")
    }

    @Test func rowsTooLargeForOnePageComeInShorterOnes() async throws {
        let file = try await SourceFile("CREATE TABLE t(id INTEGER PRIMARY KEY, v BLOB);")
        let view = makeView(watermark: .tracked("t", "id"), features: [("v", "bytes")])
        let keyed = makeView(
            query: "SELECT id, v FROM t WHERE id IN (:keys)", watermark: .tracked("t", "id"), features: [("v", "bytes")]
        )
        let reader = try await file.reader(view)
        let keyedReader = try await file.reader(keyed)
        let start = try await reader.startCursor()
        try await file.run(
            """
            WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 80)
            INSERT INTO t SELECT i, zeroblob(1048576) FROM n
            """)
        let first = try await reader.readChanges(after: start, limit: 1_000)
        #expect(!first.isLast && !first.rows.keys.isEmpty && first.rows.keys.count <= 64)
        let range = try await reader.readRange(after: nil, limit: 1_000)
        #expect(range.next != nil && !range.rows.keys.isEmpty && range.rows.keys.count <= 64)
        let keyedRange = try await keyedReader.readRange(after: nil, limit: 1_000)
        #expect(keyedRange.next != nil && !keyedRange.rows.keys.isEmpty && keyedRange.rows.keys.count <= 64)
        await expectFailure(.tooLarge) { _ = try await reader.readEntities((1...80).map { key($0) }) }
        // Nothing half-way is left behind that would hold the writer's log back.
        try await file.run("DELETE FROM t WHERE id > 2; PRAGMA wal_checkpoint(TRUNCATE)")
        let rest = try await reader.readRange(after: nil, limit: 1_000)
        #expect(rest.rows.keys == [key(1), key(2)])
    }
}
