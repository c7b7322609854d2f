import FeatureModel
import Testing

// Conversions are internal to the source.
@testable import Extraction

struct PostgresConversionTests {
    /// Oid, name, whether an enum, category, element: what `pg_type` says.
    private static let types: [String: PostgresType] = {
        let rows: [(UInt32, String, String, UInt32)] = [
            (16, "bool", "B", 0), (21, "int2", "N", 0), (23, "int4", "N", 0), (20, "int8", "N", 0),
            (700, "float4", "N", 0),
            (701, "float8", "N", 0), (1700, "numeric", "N", 0), (25, "text", "S", 0), (1042, "bpchar", "S", 0),
            (2950, "uuid", "U", 0), (17, "bytea", "U", 0), (1184, "timestamptz", "D", 0), (1082, "date", "D", 0),
            (3802, "jsonb", "U", 0), (1007, "_int4", "A", 23), (1021, "_float4", "A", 700), (1022, "_float8", "A", 701),
            (1009, "_text", "A", 25), (1000, "_bool", "A", 16), (16_400, "vector", "U", 0), (600, "point", "G", 20),
        ]
        var types: [String: PostgresType] = [:]
        for (oid, name, category, element) in rows {
            types[name] = PostgresType(row: ["\(oid)", "pg_catalog.\(name)", name, "b", category, "\(element)"])
        }
        return types
    }()

    private func convert(_ text: String, _ column: String, _ feature: String) throws -> FeatureValue {
        let type = try #require(Self.types[column])
        let elements = Dictionary(uniqueKeysWithValues: Self.types.values.map { ($0.oid, $0) })
        let feature = try #require(FeatureType(spelling: feature))
        let conversion = try #require(PostgresConversion(type, elements: elements, to: feature))
        let value = try conversion.value(.text(text))
        #expect(value.matches(feature))
        #expect(try conversion.value(.null) == .null)
        return value
    }

    @Test(arguments: [
        ("t", "bool", "bool", FeatureValue.bool(true)), ("f", "bool", "bool", .bool(false)),
        ("-7", "int2", "int32", .int32(-7)), ("2147483647", "int8", "int32", .int32(.max)),
        ("-9223372036854775808", "int8", "int64", .int64(.min)), ("42", "numeric", "int64", .int64(42)),
        ("42.000", "numeric", "int64", .int64(42)), ("1.5", "float4", "float64", .float64(1.5)),
        ("0.1", "float8", "float64", .float64(0.1)), ("0.1", "numeric", "float32", .float32(0.1)),
        ("1e-3", "float8", "float32", .float32(0.001)), ("16777216", "int4", "float32", .float32(16_777_216)),
        ("9007199254740992", "int8", "float64", .float64(9_007_199_254_740_992)), ("", "text", "string", .string("")),
        ("ab  ", "bpchar", "string", .string("ab")), ("ab  ", "text", "string", .string("ab  ")),
        ("{\"a\": 1}", "jsonb", "string", .string("{\"a\": 1}")), ("\\x00ff", "bytea", "bytes", .bytes([0, 255])),
        ("\\x", "bytea", "bytes", .bytes([])), ("1970-01-02", "date", "timestamp", .timestamp(86_400_000_000)),
        ("1969-12-31 23:59:59.999999+00", "timestamptz", "timestamp", .timestamp(-1)),
        ("{1,2}", "_int4", "[int64]", .list([.int64(1), .int64(2)])), ("{}", "_text", "[string]", .list([])),
        ("{t,f}", "_bool", "[bool]", .list([.bool(true), .bool(false)])),
        ("{1.5,2}", "_float4", "vector(2)", .vector([1.5, 2])), ("{0.5,2}", "_float8", "vector(2)", .vector([0.5, 2])),
        ("[1, 2.5]", "jsonb", "vector(2)", .vector([1, 2.5])), ("[1,2,3]", "vector", "vector(3)", .vector([1, 2, 3])),
        ("[\"a\", \"b\"]", "jsonb", "[string]", .list([.string("a"), .string("b")])),
        ("[1, 2]", "jsonb", "[int32]", .list([.int32(1), .int32(2)])),
    ])
    func valuesArriveUnchanged(text: String, column: String, feature: String, value: FeatureValue) throws {
        #expect(try convert(text, column, feature) == value)
    }

    @Test(arguments: [
        ("2147483648", "int8", "int32", "range"), ("9223372036854775808", "numeric", "int64", "range"),
        ("1.5", "numeric", "int64", "range"), ("NaN", "numeric", "int64", "range"),
        ("NaN", "float8", "float64", "range"),
        ("Infinity", "float4", "float32", "range"), ("-Infinity", "float8", "float64", "range"),
        ("1e39", "float8", "float32", "range"), ("16777217", "int4", "float32", "range"),
        ("9007199254740993", "int8", "float64", "range"), ("infinity", "timestamptz", "timestamp", "range"),
        ("0044-03-15 BC", "date", "timestamp", "range"), ("10000-01-01", "date", "timestamp", "range"),
        ("{1,NULL}", "_int4", "[int32]", "type"), ("{{1},{2}}", "_int4", "[int32]", "type"),
        ("{1}", "_float4", "vector(2)", "type"), ("{NaN,1}", "_float4", "vector(2)", "range"),
        ("[1, null]", "jsonb", "[int32]", "type"), ("[\"1\"]", "jsonb", "[int32]", "type"),
        ("{\"a\": 1}", "jsonb", "[int32]", "type"), ("[1.5]", "jsonb", "[int64]", "range"),
    ])
    func whatDoesNotFitIsAFault(text: String, column: String, feature: String, rule: String) throws {
        let fault = #expect(throws: CellFault.self) { try convert(text, column, feature) }
        #expect(fault?.rule.description == rule)
        #expect((fault?.reason.count ?? 999) <= 200)
    }

    @Test func longestStringIsTakenAndOneMoreIsNot() throws {
        let longest = String(repeating: "x", count: PostgresConversion.maximumBytes)
        #expect(try convert(longest, "text", "string") == .string(longest))
        #expect(throws: CellFault.self) { try convert(longest + "x", "text", "string") }
        let bytes = "\\x" + String(repeating: "00", count: PostgresConversion.maximumBytes)
        #expect(try convert(bytes, "bytea", "bytes").matches(.scalar(.bytes)))
        #expect(throws: CellFault.self) { try convert(bytes + "00", "bytea", "bytes") }
    }

    @Test(arguments: [
        ("text", "int32"), ("bool", "int32"), ("int4", "bool"), ("float8", "int64"), ("int4", "string"),
        ("text", "bytes"),
        ("int8", "timestamp"), ("text", "timestamp"), ("text", "[string]"), ("_int4", "[string]"),
        ("_text", "vector(2)"),
        ("vector", "[int32]"), ("jsonb", "[bytes]"), ("jsonb", "int32"), ("point", "string"), ("point", "[float64]"),
    ])
    func otherTypesAreRefusedUpFront(column: String, feature: String) throws {
        let type = try #require(Self.types[column])
        let elements = Dictionary(uniqueKeysWithValues: Self.types.values.map { ($0.oid, $0) })
        #expect(PostgresConversion(type, elements: elements, to: try #require(FeatureType(spelling: feature))) == nil)
    }

    @Test func deletedMeansNotNullZeroFalseOrEmpty() {
        #expect(PostgresType.Kind.bool.isTrue(.text("t")) && !PostgresType.Kind.bool.isTrue(.text("f")))
        #expect(PostgresType.Kind.integer.isTrue(.text("2")) && !PostgresType.Kind.integer.isTrue(.text("0")))
        #expect(!PostgresType.Kind.numeric.isTrue(.text("0.00")) && PostgresType.Kind.numeric.isTrue(.text("0.1")))
        #expect(PostgresType.Kind.text.isTrue(.text("x")) && !PostgresType.Kind.text.isTrue(.text("")))
        #expect(PostgresType.Kind.time.isTrue(.text("2026-01-01")) && !PostgresType.Kind.time.isTrue(.null))
        #expect(!PostgresType.Kind.padded.isTrue(.text("   ")))
    }

    @Test func watermarksRoundDownAndStepBack() throws {
        let time = try #require(Self.types["timestamptz"])
        let integer = try #require(Self.types["int8"])
        let column = WatermarkColumn(column: "w", tieBreaker: ["id"], lookback: .seconds(60), lookbackCount: 10)
        let instant = try #require(PostgresWatermark(column, type: time))
        #expect(instant.canonical("2026-01-01 00:00:00.000001+00") == "2026-01-01T00:00:00.000001Z")
        #expect(instant.canonical("infinity") == nil)
        #expect(instant.start(afterEnd: "2026-01-01T00:01:00Z") == "2026-01-01T00:00:00Z")
        #expect(instant.start(afterEnd: "0001-01-01T00:00:30Z") == "0001-01-01T00:00:00Z")
        #expect(instant.start(afterEnd: "7") == nil)
        let sequence = try #require(PostgresWatermark(column, type: integer))
        #expect(!sequence.isTime && sequence.start(afterEnd: "25") == "15")
        #expect(sequence.start(afterEnd: String(Int64.min)) == String(Int64.min))
        let seconds = try #require(
            PostgresWatermark(
                WatermarkColumn(column: "w", unit: .seconds, tieBreaker: ["id"], lookback: .seconds(60)), type: integer)
        )
        #expect(seconds.value(microseconds: 1_999_999) == "1")
        #expect(seconds.value(microseconds: -1) == "-1")
        #expect(seconds.start(afterEnd: "100") == "40")
        #expect(seconds.start(afterEnd: String(Int64.max)) == nil)
        #expect(try #require(Self.types["text"].map { PostgresWatermark(column, type: $0) }) == nil)
    }
}
