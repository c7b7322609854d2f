import FeatureModel
import Testing

// Spellings are internal to the source: they are tested here without a server.
@testable import Extraction

struct PostgresTextTests {
    @Test(arguments: [
        PostgresCursor.start, .transaction(0), .transaction(.max), .end("2026-01-01T00:00:00.000001Z"), .end("-7"),
        .stamp(7, key: ["a b", "\"]}\\", "", "ü\u{0}\n\u{1f}😀"]), .log(9, entry: 4),
        .middle("2026-01-01T00:00:00Z", ties: ["x", "[\"y\"]"]),
    ])
    func cursorsSurviveTheirText(cursor: PostgresCursor) {
        #expect(PostgresCursor(cursor.text) == cursor)
    }

    @Test(arguments: [
        "", " ", "xid:", "xid:-1", "xid:+1", "xid:01", "xid:18446744073709551616", "xid:1 ", "xid:1 key:",
        "xid:1 key:[]",
        "xid:1 key:[1]", "xid:1 key:[\"a\"", "xid:1 key:[\"a\"]x", "xid:1 log:", "xid:1 log:x", "start x", "mid:5",
        "mid:5 key:a",
        "xid:1 key:[\"a\",]", "seq:4", "end", "xid:1 key:[\"\\u12\"]", "xid:1 key:[\"\\ud800\"]", "end:1 key:[\"a\"]",
    ])
    func otherTextsAreNoCursors(text: String) {
        #expect(PostgresCursor(text) == nil)
    }

    @Test func everyCutOfACursorIsRefusedOrAnotherCursor() {
        let text = PostgresCursor.stamp(123, key: ["é\"", "\\u0041"]).text
        for length in 0..<text.count {
            let cut = String(text.prefix(length))
            if let cursor = PostgresCursor(cut) { #expect(cursor.text == cut) }
        }
    }

    @Test func postgresArraysAreParsed() {
        #expect(FlatArray.parse(postgres: "{}") == .some([]))
        #expect(FlatArray.parse(postgres: "{1,2}") == ["1", "2"])
        #expect(FlatArray.parse(postgres: "{NULL,\"NULL\",\"a\\\"b\\\\,}\"}") == [nil, "NULL", "a\"b\\,}"])
        #expect(FlatArray.parse(postgres: "[0:1]={a,b}") == ["a", "b"])
        for broken in [
            "", "{", "}", "{1", "{1,}", "{,1}", "{{1},{2}}", "{\"a}", "{\"a\"b}", "{1}x", "[0:1]", "1", "{\"a\\",
        ] {
            #expect(FlatArray.parse(postgres: broken) == nil, "\(broken)")
        }
    }

    @Test func flatJSONArraysAreParsed() {
        #expect(
            FlatArray.parse(json: " [1, -2.5e3 ,\"a\\n\\u00e4\\ud83d\\ude00\",true,false,null] ")
                == [.number("1"), .number("-2.5e3"), .string("a\nä😀"), .bool(true), .bool(false), .null])
        #expect(FlatArray.parse(json: "[]") == .some([]))
        for broken in [
            "", "[", "]", "[1", "[1,]", "[,]", "[[1]]", "{}", "[{}]", "[\"a]", "[1]x", "[tru]", "[\"\u{1}\"]",
            "[\"\\x\"]",
        ] {
            #expect(FlatArray.parse(json: broken) == nil, "\(broken)")
        }
    }

    @Test func identifiersAreQuotedAndTablesSplit() {
        #expect(PostgresIdentifier.quote("a\"b") == "\"a\"\"b\"")
        #expect(PostgresIdentifier.literal("it's \\") == "'it''s \\'")
        #expect(PostgresIdentifier.parts(ofTable: "users") == ["users"])
        #expect(PostgresIdentifier.parts(ofTable: "Shop.Users") == ["Shop", "Users"])
        #expect(PostgresIdentifier.parts(ofTable: "\"a.b\".\"c\"\"d\"") == ["a.b", "c\"d"])
        for broken in ["", ".", "a.", ".a", "a.b.c", "\"a", "a\0"] {
            #expect(PostgresIdentifier.parts(ofTable: broken) == nil, "\(broken)")
        }
        #expect(PostgresIdentifier.nearest(to: "scor", among: ["score", "name", "store"]) == ["score", "store"])
    }

    @Test(arguments: [
        ("28P01", ExtractionError.Code.misconfigured), ("42501", .misconfigured), ("3D000", .misconfigured),
        ("42601", .misconfigured), ("22012", .misconfigured), ("57014", .deadlineExceeded), ("57P01", .unavailable),
        ("57P03", .unavailable), ("08006", .unavailable), ("53300", .unavailable), ("40001", .unavailable),
        ("40P01", .unavailable), ("55P03", .unavailable), ("42P01", .schemaMismatch), ("42703", .schemaMismatch),
        ("42883", .schemaMismatch), ("XX001", .corrupt), ("54000", .tooLarge),
    ])
    func statesSayWhatToDo(state: String, code: ExtractionError.Code) {
        #expect(PostgresFailure.server(state: state, text: "x").error.code == code)
    }

    @Test func secretsAreNotShown() throws {
        let target = try PostgresTarget(url: "postgresql://me:s3cret@localhost/db")
        #expect(target.redact("bad s3cret\nhere s3cret") == "bad ***; here ***")
        let error = #expect(throws: ExtractionError.self) {
            try PostgresTarget(url: "postgresql://me:s3cret@local host:x/db?a=b")
        }
        #expect(error?.code == .misconfigured)
        #expect(error?.description.contains("s3cret") == false)
    }
}
