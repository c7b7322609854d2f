import Extraction
import FeatureModel
import LocalDatabase
import Testing

@Suite(.timeLimit(.minutes(2)))
struct SQLiteWatermarkTests {
    private let start = ChangeCursor(text: "start")

    private func view(
        unit: TimeColumn.Unit? = nil, tieBreaker: [String] = ["id"], settle: Duration = .zero,
        lookback: Duration = .zero, lookbackCount: Int64 = 0, eventTime: TimeColumn? = nil, deleted: String? = nil
    ) -> FeatureView {
        makeView(
            watermark: .column(
                WatermarkColumn(
                    column: "w", unit: unit, tieBreaker: tieBreaker, settle: settle, lookback: lookback,
                    lookbackCount: lookbackCount)),
            eventTime: eventTime, deleted: deleted, features: [("v", "int64")])
    }

    private let numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)"

    @Test(arguments: ["", "CREATE INDEX tw ON t(w, id);"])
    func aThousandTiesAreReadOnceEach(index: String) async throws {
        let file = try await SourceFile(
            "CREATE TABLE t(id INTEGER PRIMARY KEY, w, v INTEGER);\(index)"
                + "\(numbers) INSERT INTO t SELECT i, 1700000000, i FROM n")
        let view = view(unit: .seconds)
        let reader = try await file.reader(view)
        try await reader.check()
        #expect(!reader.isExact && !reader.needsRangeLoad)
        #expect(try await reader.startCursor() == start)
        var mirror = Mirror(view)
        let end = try await mirror.follow(reader, from: start, limit: 7)
        #expect(mirror.rows.count == 1_000 && mirror.applied == 1_000 && mirror.positions.isEmpty)
        #expect(end.text == "end:i1700000000,i1000")
        #expect(try await reader.readChanges(after: end, limit: 7).rows.isEmpty)
    }

    @Test func tiesThatNothingBreaksAreReadWholly() async throws {
        let file = try await SourceFile(
            "CREATE TABLE t(id INTEGER PRIMARY KEY, w, v INTEGER, kind TEXT);"
                + "\(numbers) INSERT INTO t SELECT i, i / 100, i, CASE WHEN i % 3 THEN 'x' END FROM n")
        for tieBreaker in [[], ["kind"]] {
            let view = view(tieBreaker: tieBreaker)
            let reader = try await file.reader(view)
            var mirror = Mirror(view)
            try await mirror.follow(reader, from: start, limit: 7)
            #expect(mirror.rows.count == 1_000 && mirror.applied == 1_000)
        }
    }

    @Test func rowsWithBadWatermarksAreFaultsOnceARunAndComeWhenMended() async throws {
        let clock = HandClock()
        let file = try await SourceFile(
            """
            CREATE TABLE t(id INTEGER PRIMARY KEY, w, v INTEGER); CREATE INDEX tw ON t(w, id);
            INSERT INTO t VALUES (1, 1749999000, 1), (2, NULL, 2), (3, 1750003600, 3), (4, 'infinity', 4), (5, 1.5, 5),
                (6, x'00', 6), (7, -99999999999999, 7), (8, 1749999001, 8);
            """)
        let view = view(unit: .seconds)
        let reader = try await file.reader(view, options: .init(now: clock.closure))
        var mirror = Mirror(view)
        let end = try await mirror.follow(reader, from: start, limit: 1)
        #expect(Set(mirror.rows.keys) == [key(1), key(8)])
        let rules = Dictionary(mirror.faults.map { ($0.key, $0.rule) }, uniquingKeysWith: { "\($0),\($1)" })
        #expect(
            rules == [
                key(2): "null_watermark", key(3): "future", key(4): "type", key(5): "type", key(6): "type",
                key(7): "range",
            ])
        try await file.run("UPDATE t SET w = 1749999002 WHERE id IN (2, 3)")
        try await mirror.follow(reader, from: end, limit: 10)
        #expect(Set(mirror.rows.keys) == [key(1), key(2), key(3), key(8)])
    }

    @Test func theSweepTakesNoRowFromTheFuture() async throws {
        let clock = HandClock()
        let file = try await SourceFile(
            "CREATE TABLE t(id INTEGER PRIMARY KEY, w, v INTEGER); INSERT INTO t VALUES (1, 1750003600, 1), (2, 1, 2)")
        let view = view(unit: .seconds)
        let reader = try await file.reader(view, options: .init(now: clock.closure))
        var mirror = Mirror(view)
        try await mirror.walk(reader)
        #expect(Set(mirror.rows.keys) == [key(2)] && mirror.faults.map(\.rule) == ["future"])
    }

    @Test func unsettledRowsWaitAndLateOnesAreFoundByTheLookback() async throws {
        let clock = HandClock(1_750_000_000_000_000)
        let file = try await SourceFile("CREATE TABLE t(id INTEGER PRIMARY KEY, w INTEGER, v INTEGER);")
        let view = view(unit: .milliseconds, settle: .seconds(2), lookback: .seconds(60))
        let reader = try await file.reader(view, options: .init(now: clock.closure))
        try await file.run("INSERT INTO t VALUES (1, 1749999997999, 1), (2, 1749999998000, 2)")
        var mirror = Mirror(view)
        var cursor = try await mirror.follow(reader, from: start)
        #expect(Set(mirror.rows.keys) == [key(1)], "row 2's millisecond is not over two seconds ago")
        clock.now += 1_000
        cursor = try await mirror.follow(reader, from: cursor)
        #expect(Set(mirror.rows.keys) == [key(1), key(2)])
        try await file.run("INSERT INTO t VALUES (3, 1749999938000, 3), (4, 1749999937999, 4)")
        let before = mirror.applied
        cursor = try await mirror.follow(reader, from: cursor)
        #expect(Set(mirror.rows.keys) == [key(1), key(2), key(3)], "row 4 is older than the lookback")
        #expect(mirror.applied == before + 3)
        #expect(cursor.text == "end:i1749999998000,i2")
    }

    @Test func aRunThatWasCutGoesOnWhereItWasOrStepsBackAfterARestart() async throws {
        let file = try await SourceFile(
            "CREATE TABLE t(id INTEGER PRIMARY KEY, w INTEGER, v INTEGER);"
                + "\(numbers) INSERT INTO t SELECT i, i, i FROM n")
        let view = view(lookbackCount: 10)
        let reader = try await file.reader(view)
        let first = try await reader.readChanges(after: start, limit: 100)
        #expect(first.next.text == "mid:i100,i100")
        let second = try await reader.readChanges(after: first.next, limit: 5)
        #expect(second.rows.keys.first == key(101))
        let restarted = try await file.reader(view)
        let third = try await restarted.readChanges(after: first.next, limit: 5)
        #expect(third.rows.keys.first == key(90), "rows that came late meanwhile would be missed")
        let fourth = try await restarted.readChanges(after: third.next, limit: 100)
        #expect(fourth.rows.keys.first == key(95))
    }

    @Test func clockStepsLoseNothingForGood() async throws {
        let clock = HandClock(1_750_000_000_000_000)
        let file = try await SourceFile("CREATE TABLE t(id INTEGER PRIMARY KEY, w INTEGER, v INTEGER);")
        let view = view(unit: .seconds, lookback: .seconds(7_200))
        let reader = try await file.reader(view, options: .init(now: clock.closure))
        var mirror = Mirror(view)
        try await file.run("INSERT INTO t VALUES (1, 1749999990, 1)")
        var cursor = try await mirror.follow(reader, from: start)
        // One hour back: rows are stamped before the watermark. The lookback covers them.
        clock.now -= 3_600_000_000
        try await file.run("INSERT INTO t VALUES (2, 1749996390, 2)")
        let early = try await reader.readChanges(after: cursor, limit: 10)
        #expect(early.rows.keys == [key(2)] && early.isLast)
        mirror.apply(early.rows)
        cursor = early.next
        // And forth again, with an hour more.
        clock.now += 2 * 3_600_000_000
        try await file.run("INSERT INTO t VALUES (3, 1750003590, 3)")
        cursor = try await mirror.follow(reader, from: cursor)
        #expect(Set(mirror.rows.keys) == [key(1), key(2), key(3)])
        #expect(cursor.text == "end:i1750003590,i3")
    }

    @Test(
        arguments: [
            ("2025-06-15 15:06:39.999", "2025-06-15 15:06:40.000"), ("2025-06-15T15:06:39Z", "2025-06-15T15:06:40Z"),
            ("2025-06-15T17:06:39.999999+02:00", "2025-06-15T17:06:40.000000+02:00"),
            ("2025-06-15 15:06", "2025-06-15 15:07"), ("2025-06-14", "2025-06-15"),
        ])
    func textWatermarksAreBoundedInTheirOwnStyle(settled: String, unsettled: String) async throws {
        let clock = HandClock(1_750_000_000_000_000)  // 2025-06-15T15:06:40Z
        if settled.utf8.count == 16 { clock.now += 60_000_000 - 40_000_000 }
        let file = try await SourceFile(
            """
            CREATE TABLE t(id INTEGER PRIMARY KEY, w TEXT, v INTEGER); CREATE INDEX tw ON t(w, id);
            INSERT INTO t VALUES (1, '\(settled)', 1), (2, '\(unsettled)', 2);
            """)
        let view = view(lookback: .seconds(60))
        let reader = try await file.reader(view, options: .init(now: clock.closure))
        try await reader.check()
        var mirror = Mirror(view)
        let cursor = try await mirror.follow(reader, from: start)
        #expect(Set(mirror.rows.keys) == [key(1)] && mirror.faults.isEmpty)
        clock.now += 86_400_000_000
        try await mirror.follow(reader, from: cursor)
        #expect(Set(mirror.rows.keys) == [key(1), key(2)] && mirror.faults.isEmpty)
        #expect(try await reader.lag(behind: start).rows == 2)
        let age = try await reader.lag(behind: cursor).age
        #expect(age.map { $0 > .seconds(80_000) } == true)
    }

    @Test func textTimesOfAnotherStyleAreFaultsAndAChangedStyleStopsTheView() async throws {
        let clock = HandClock(1_750_000_000_000_000)
        let file = try await SourceFile(
            """
            CREATE TABLE t(id INTEGER PRIMARY KEY, w TEXT, v INTEGER);
            INSERT INTO t VALUES (1, '2025-06-10 00:00:00', 1), (2, '2025-06-11T00:00:00', 2), (3, '2025-06-12 00:00:00', 3),
                (4, '2025-06-12 00:00:00Z', 4), (5, '2025-06-12 00:00:00.5', 5), (6, 'soon', 6), (7, '', 7),
                (8, '2025-13-01 00:00:00', 8), (9, '2025-06-13 00:00:00', 9);
            """)
        let view = view()
        let reader = try await file.reader(view, options: .init(now: clock.closure))
        await expectFailure(.schemaMismatch) { try await reader.check() }
        var mirror = Mirror(view)
        let cursor = try await mirror.follow(reader, from: start, limit: 2)
        #expect(Set(mirror.rows.keys) == [key(1), key(3), key(9)])
        #expect(Set(mirror.faults.compactMap(\.key)) == Set([2, 4, 5, 6, 7, 8].map { key($0) }))
        #expect(Set(mirror.faults.map(\.rule)) == ["style", "type"])
        try await file.run("UPDATE t SET w = replace(w, ' ', 'T')")
        await expectFailure(.schemaMismatch) { _ = try await reader.readChanges(after: cursor, limit: 2) }
    }

    @Test func columnsThatAreNoWatermarksAreRefused() async throws {
        for (values, isBad) in [("1.5", true), ("'abc'", true), ("x'00'", true), ("NULL", false), ("7", false)] {
            let file = try await SourceFile(
                "CREATE TABLE t(id INTEGER PRIMARY KEY, w, v INTEGER); INSERT INTO t VALUES (1, \(values), 1)")
            let reader = try await file.reader(view())
            let code = await failure { _ = try await reader.readChanges(after: start, limit: 2) }
            #expect(code == (isBad ? .schemaMismatch : nil), "\(values)")
        }
    }

    @Test func softDeletedRowsAreRemovalsWithTheirEventTime() async throws {
        let file = try await SourceFile(
            """
            CREATE TABLE t(id INTEGER PRIMARY KEY, w INTEGER, v INTEGER, gone);
            INSERT INTO t VALUES (1, 1000, 1, NULL), (2, 2000, 2, 1), (3, 3000, 3, 0), (4, 4000, NULL, 'yes'),
                (5, 5000, 5, 'false'), (6, 6000, 6, ''), (7, 7000, 7, '2020-01-01'), (8, 8000, 8, x'');
            """)
        let view = view(unit: .seconds, eventTime: TimeColumn(column: "w", unit: .seconds), deleted: "gone")
        let reader = try await file.reader(view)
        let page = try await reader.readChanges(after: start, limit: 100)
        #expect(page.rows.keys == [key(1), key(3), key(5), key(6), key(8)])
        #expect(page.rows.eventTimes == [1_000_000_000, 3_000_000_000, 5_000_000_000, 6_000_000_000, 8_000_000_000])
        #expect(
            page.rows.removed
                == [2, 4, 7].map { Removal(key: key($0), eventTime: $0 * 1_000_000_000) })
        let some = try await reader.readEntities([key(2), key(3), key(99)])
        #expect(some.keys == [key(3)])
        #expect(some.removed == [Removal(key: key(2), eventTime: 2_000_000_000), Removal(key: key(99))])
    }

    @Test func ofSeveralRowsOfAnEntityTheNewestCounts() async throws {
        let file = try await SourceFile(
            """
            CREATE TABLE t(id INTEGER, w INTEGER, v INTEGER, gone INTEGER, n INTEGER PRIMARY KEY);
            INSERT INTO t(id, w, v, gone) VALUES (1, 30, 3, 0), (1, 10, 1, 0), (1, 20, 2, 0), (2, 10, 1, 1), (2, 20, 2, 0),
                (3, 10, 1, 0), (3, 20, 2, 1), (4, 10, 1, 0), (4, 10, 2, 0), (5, 5, 1, 1), (5, 6, 2, 0), (5, 7, 3, 1);
            """)
        let view = view(
            unit: .seconds, tieBreaker: ["n"], eventTime: TimeColumn(column: "w", unit: .seconds), deleted: "gone")
        let reader = try await file.reader(view)
        let expected: [EntityKey: [FeatureValue]] = [key(1): [.int64(3)], key(2): [.int64(2)], key(4): [.int64(2)]]
        for limit in [1, 2, 100] {
            var walked = Mirror(view)
            try await walked.walk(reader, limit: limit)
            #expect(walked.rows == expected && walked.applied == 3)
            #expect(walked.removals.map(\.key) == [key(3), key(5)] && walked.removals.last?.eventTime == 7_000_000)
        }
        let page = try await reader.readChanges(after: start, limit: 100)
        #expect(Dictionary(uniqueKeysWithValues: zip(page.rows.keys, page.rows.values)) == expected.mapValues { $0[0] })
        #expect(Set(page.rows.removed.map(\.key)) == [key(3), key(5)])
    }

    @Test func changedEntitiesAreComputedAnew() async throws {
        let file = try await SourceFile(
            """
            CREATE TABLE e(seq INTEGER PRIMARY KEY AUTOINCREMENT, user INTEGER, ts INTEGER); CREATE INDEX eu ON e(user);
            INSERT INTO e(user, ts) VALUES (1, 10), (2, 20), (1, 30), (NULL, 40);
            """)
        let view = makeView(
            keys: [("user_id", .int64)],
            query: """
                SELECT user AS user_id, count(*) AS n, max(ts) AS last FROM e WHERE user IN (:keys) GROUP BY user
                """,
            changes: "SELECT user AS user_id, seq FROM e",
            watermark: .column(WatermarkColumn(column: "seq", tieBreaker: [])),
            features: [("n", "int64"), ("last", "int64")])
        let reader = try await file.reader(view)
        try await reader.check()
        #expect(reader.needsRangeLoad && !reader.isExact)
        let first = try await reader.startCursor()
        #expect(first.text == "end:i4")
        var mirror = Mirror(view)
        try await mirror.walk(reader, limit: 1)
        #expect(mirror.rows == [key(1): [.int64(2), .int64(30)], key(2): [.int64(1), .int64(20)]])
        // The line of nobody is no entity's and no fault.
        #expect(mirror.faults.isEmpty)
        #expect(try await reader.estimatedCount() == 3)

        try await file.run("INSERT INTO e(user, ts) VALUES (2, 50), (3, 60), (2, 70); DELETE FROM e WHERE user = 1")
        let next = try await mirror.follow(reader, from: first, limit: 1)
        #expect(mirror.rows[key(2)] == [.int64(3), .int64(70)] && mirror.rows[key(3)] == [.int64(1), .int64(60)])
        #expect(mirror.rows[key(1)] != nil, "a delete of old rows shows only to the sweep")
        #expect(next.text == "end:i7")
        let gone = try await reader.readEntities([key(1)])
        #expect(gone.removed == [Removal(key: key(1))])
    }

    @Test func entitiesOfAKeyedViewMayBeListedByAQueryOfTheirOwn() async throws {
        let file = try await SourceFile(
            """
            CREATE TABLE u(id INTEGER PRIMARY KEY); INSERT INTO u VALUES (1), (2), (3);
            CREATE TABLE e(user INTEGER, seq INTEGER); INSERT INTO e VALUES (2, 1);
            """)
        let view = makeView(
            query: "SELECT user AS id, count(*) AS v FROM e WHERE user IN (:keys) GROUP BY user",
            changes: "SELECT user AS id, seq FROM e", entities: "SELECT id FROM u;",
            watermark: .column(WatermarkColumn(column: "seq", tieBreaker: ["id"])), features: [("v", "int64")])
        let reader = try await file.reader(view)
        try await reader.check()
        let page = try await reader.readRange(after: nil, limit: 2)
        #expect(page.rows.keys == [key(2)] && page.rows.removed == [Removal(key: key(1))] && page.next == key(2))
    }

    @Test func nonsenseCursorsAreRefused() async throws {
        let file = try await SourceFile("CREATE TABLE t(id INTEGER PRIMARY KEY, w INTEGER, v INTEGER);")
        let reader = try await file.reader(view())
        for text in [
            "seq:1", "end", "end:", "end:i1", "end:i1,i2,i3", "end:q1,i2", "mid:t%4,i1", "mid:x0,i1", "start:i1",
        ] {
            let code = await failure { _ = try await reader.readChanges(after: ChangeCursor(text: text), limit: 1) }
            #expect(code == .misconfigured, "\(text)")
        }
    }

    @Test func tieBreakersOfEveryTypeSurviveInCursors() async throws {
        let file = try await SourceFile(
            """
            CREATE TABLE t(id INTEGER PRIMARY KEY, w INTEGER, v INTEGER, k);
            INSERT INTO t(w, v, k) VALUES (1, 1, NULL), (1, 2, -5), (1, 3, 0.1), (1, 4, 1e300), (1, 5, ''), (1, 6, 'a,b%:' || char(10)),
                (1, 7, 'ü'), (1, 8, x''), (1, 9, x'00ff'), (2, 10, NULL), (2, 11, NULL), (2, 12, 'z');
            """)
        let view = view(tieBreaker: ["k"])
        let reader = try await file.reader(view)
        var mirror = Mirror(view)
        try await mirror.follow(reader, from: start, limit: 1)
        #expect(mirror.applied == 12 && mirror.rows.count == 12)
    }
}
