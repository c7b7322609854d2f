import Extraction
import FeatureModel
import LocalDatabase
import Testing

@Suite(.timeLimit(.minutes(2)))
struct SQLiteConversionTests {
    private static let good: [(String, String, FeatureValue)] = [
        ("1", "int64", .int64(1)), ("-9223372036854775808", "int64", .int64(.min)), ("3.0", "int64", .int64(3)),
        ("2147483647", "int32", .int32(.max)), ("1e3", "int32", .int32(1_000)), ("1", "bool", .bool(true)),
        ("0", "bool", .bool(false)), ("9007199254740992", "float64", .float64(9_007_199_254_740_992)),
        ("0.1", "float64", .float64(0.1)), ("0.1", "float32", .float32(0.1)),
        ("16777216", "float32", .float32(16_777_216)),
        ("'ü😀'", "string", .string("ü😀")), ("''", "string", .string("")), ("x'00ff'", "bytes", .bytes([0, 255])),
        ("x''", "bytes", .bytes([])), ("NULL", "int64", .null), ("NULL", "vector(3)", .null),
        ("'2025-06-15T15:06:40.5Z'", "timestamp", .timestamp(1_750_000_000_500_000)),
        ("'2025-06-15 17:06:40+02'", "timestamp", .timestamp(1_750_000_000_000_000)),
        ("1750000000000000", "timestamp", .timestamp(1_750_000_000_000_000)),
        ("'[1, -2,3 ]'", "[int64]", .list([.int64(1), .int64(-2), .int64(3)])), ("' [ ] '", "[string]", .list([])),
        ("'[\"a\\u00fc\\ud83d\\ude00\\n\",\"\"]'", "[string]", .list([.string("aü😀\n"), .string("")])),
        ("'[true,false]'", "[bool]", .list([.bool(true), .bool(false)])),
        ("'[1.5,-0.0,1e2]'", "[float64]", .list([.float64(1.5), .float64(-0.0), .float64(100)])),
        ("'[\"AP8=\",\"\"]'", "[bytes]", .list([.bytes([0, 255]), .bytes([])])),
        ("'[\"2025-06-15T15:06:40Z\",5]'", "[timestamp]", .list([.timestamp(1_750_000_000_000_000), .timestamp(5)])),
        ("'[1,0.5,-2e0]'", "vector(3)", .vector([1, 0.5, -2])),
        ("x'0000803F000000C0'", "vector(2)", .vector([1, -2])),
    ]

    private static let bad: [(String, String, String)] = [
        ("'1'", "int64", "type"), ("1.5", "int64", "type"), ("9.3e18", "int64", "type"), ("x'01'", "int64", "type"),
        ("2147483648", "int32", "range"), ("2", "bool", "type"), ("1.0", "bool", "type"), ("'true'", "bool", "type"),
        ("9007199254740993", "float64", "range"), ("9e999", "float64", "not_finite"), ("'0.5'", "float64", "type"),
        ("16777217", "float32", "range"), ("1e39", "float32", "range"), ("1", "string", "type"),
        ("x'61'", "string", "type"),
        ("CAST(x'ff' AS TEXT)", "string", "encoding"), ("'a'", "bytes", "type"), ("'soon'", "timestamp", "type"),
        ("9223372036854775807", "timestamp", "range"), ("1.5", "timestamp", "type"),
        ("printf('%.*c', 1048577, 'x')", "string", "too_large"), ("zeroblob(1048577)", "bytes", "too_large"),
        ("'[1,2'", "[int64]", "type"), ("'[1,null]'", "[int64]", "type"), ("'[1,]'", "[int64]", "type"),
        ("'[01]'", "[int64]", "type"), ("'[1] x'", "[int64]", "type"), ("'[1.5]'", "[int64]", "type"),
        ("'[[1]]'", "[int64]", "type"), ("'{}'", "[int64]", "type"), ("''", "[int64]", "type"),
        ("1", "[int64]", "type"),
        ("'[\"\\ud800\"]'", "[string]", "type"), ("'[\"a'", "[string]", "type"), ("'[\"\\x\"]'", "[string]", "type"),
        ("'[\"' || char(10) || '\"]'", "[string]", "type"), ("'[\"A\"]'", "[bytes]", "type"),
        ("'[\"AP9=\"]'", "[bytes]", "type"), ("'[1e999]'", "[float64]", "type"), ("'[3000000000]'", "[int32]", "type"),
        ("'[1,2]'", "vector(3)", "dimension"), ("x'0000803F00'", "vector(1)", "dimension"),
        ("x'0000C07F'", "vector(1)", "not_finite"), ("'[1e39]'", "vector(1)", "not_finite"), ("1", "vector(1)", "type"),
    ]

    @Test func valuesAreConvertedStrictly() async throws {
        let file = try await SourceFile("CREATE TABLE t(id INTEGER PRIMARY KEY, v);")
        for (index, row) in Self.good.enumerated() { try await file.run("INSERT INTO t VALUES (\(index), \(row.0))") }
        for (index, row) in Self.good.enumerated() {
            let view = makeView(watermark: .tracked("t", "id"), features: [("v", row.1)])
            let reader = try await file.reader(view)
            let chunk = try await reader.readEntities([key(Int64(index))])
            #expect(chunk.values == [row.2], "\(row.0) as \(row.1)")
            #expect(chunk.values.allSatisfy { $0.matches(view.features[0].type) })
            await reader.close()
        }
    }

    @Test func valuesThatDoNotFitAreFaultsOfTheirRowAlone() async throws {
        let file = try await SourceFile("CREATE TABLE t(id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1000, NULL)")
        for (index, row) in Self.bad.enumerated() { try await file.run("INSERT INTO t VALUES (\(index), \(row.0))") }
        for (index, row) in Self.bad.enumerated() {
            let view = makeView(watermark: .tracked("t", "id"), features: [("v", row.1)])
            let reader = try await file.reader(view)
            let chunk = try await reader.readEntities([key(Int64(index)), key(1_000)])
            #expect(
                chunk.keys == [key(1_000)] && chunk.values == [.null] && chunk.removed.isEmpty, "\(row.0) as \(row.1)")
            #expect(chunk.faults.map(\.rule) == [row.2], "\(row.0) as \(row.1): \(chunk.faults)")
            #expect(chunk.faults.first?.key == key(Int64(index)) && chunk.faults.first?.column == "v")
            #expect((chunk.faults.first?.reason.count ?? 0) <= 200)
            await reader.close()
        }
    }

    @Test func eventTimesAreTimesOrFaults() async throws {
        let clock = HandClock(1_750_000_000_000_000)
        let file = try await SourceFile(
            """
            CREATE TABLE t(id INTEGER PRIMARY KEY, v INTEGER, at);
            INSERT INTO t VALUES (1, 1, '2025-06-15T15:06:40Z'), (2, 2, NULL), (3, 3, '2099-01-01'), (4, 4, 'x'), (5, 5, 1.5),
                (6, 6, -1000000), (7, 7, '0000-01-01'), (8, 8, 9223372036854775807);
            """)
        let view = makeView(
            watermark: .tracked("t", "id"), eventTime: TimeColumn(column: "at"), features: [("v", "int64")])
        let reader = try await file.reader(view, options: .init(now: clock.closure))
        let page = try await reader.readRange(after: nil, limit: 100)
        #expect(page.rows.keys == [key(1), key(6)] && page.rows.eventTimes == [1_750_000_000_000_000, -1_000_000])
        #expect(page.rows.faults.map(\.rule) == ["null_time", "future", "type", "type", "type", "range"])
    }

    @Test func keysOfEveryTypeAreReadBackExactly() async throws {
        let file = try await SourceFile(
            """
            CREATE TABLE t(a BLOB, b TEXT, c INTEGER, d INTEGER, v INTEGER);
            INSERT INTO t VALUES (x'', '', -5, 1, 1), (x'00ff', 'a,b', 7, 9223372036854775807, 2), (x'7b', '{}%', 7, 0, 3),
                ('text', 'x', 1, 1, 4), (x'01', 'x', 4294967296, 1, 5), (x'02', CAST(x'fe' AS TEXT), 1, 1, 6),
                (x'03', printf('%.*c', 1025, 'k'), 1, 1, 7), (x'04', printf('%.*c', 700, ' '), 1, 1, 8);
            """)
        let view = makeView(
            keys: [("a", .bytes), ("b", .string), ("c", .int32), ("d", .int64)],
            watermark: .tracked("t", "a", "b", "c", "d"), features: [("v", "int64")])
        let reader = try await file.reader(view)
        var mirror = Mirror(view)
        try await mirror.walk(reader, limit: 1)
        let expected = [
            key(.bytes([]), .text(""), .integer(-5), .integer(1)),
            key(.bytes([0, 255]), .text("a,b"), .integer(7), .integer(.max)),
            key(.bytes([0x7b]), .text("{}%"), .integer(7), .integer(0)),
        ]
        #expect(Set(mirror.rows.keys) == Set(expected))
        #expect(mirror.faults.map(\.rule).sorted() == ["encoding", "range", "too_large", "too_large", "type"])
        let chunk = try await reader.readEntities(expected)
        #expect(chunk.keys.count == 3 && chunk.removed.isEmpty)
        await expectFailure(.misconfigured) { _ = try await reader.readEntities([EntityKey(canonical: "1,2")]) }
        #expect(try await reader.readEntities([]).isEmpty)
    }

    @Test func rowsWithoutKeysFillNoPage() async throws {
        let file = try await SourceFile(
            """
            CREATE TABLE t(id, v INTEGER);
            WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
            INSERT INTO t SELECT NULL, i FROM n;
            INSERT INTO t VALUES (1, 1), (2, 2), ('x', 3), (3, 3);
            """)
        let view = makeView(watermark: .tracked("t", "id"), features: [("v", "int64")])
        let reader = try await file.reader(view)
        var mirror = Mirror(view)
        try await mirror.walk(reader, limit: 2)
        #expect(Set(mirror.rows.keys) == [key(1), key(2), key(3)] && mirror.faults.count == 501)
    }
}
