import FoundationEssentials
import LocalDatabase
import Testing
import TidemarkTesting

/// Rows that break one thing each, among good ones: these and no others are in quarantine, and heal when they are mended.
@Suite(.enabled(if: Lab.isPossible), .timeLimit(.minutes(2)))
struct WrongRowTests {
    /// What `quarantine list --json` tells of a row.
    private struct Entry: Decodable {
        let entity: String?
        let column: String
        let rule: String
        let reason: String
    }

    /// A row that is wrong in one column.
    private struct WrongRow {
        let key: String
        let column: String
        /// A SQL expression.
        let value: String
        let rule: String
    }

    private static let wrong: [WrongRow] = [
        WrongRow(key: "w01", column: "small", value: "2147483648", rule: "range"),
        WrongRow(key: "w02", column: "big", value: "'twelve'", rule: "type"),
        WrongRow(key: "w03", column: "big", value: "1.5", rule: "type"),
        WrongRow(key: "w04", column: "ratio", value: "'NaN'", rule: "type"),
        WrongRow(key: "w05", column: "ratio", value: "9e999", rule: "not_finite"),
        WrongRow(key: "w06", column: "single", value: "1e300", rule: "range"),
        WrongRow(key: "w07", column: "label", value: "CAST(x'FF41' AS TEXT)", rule: "encoding"),
        WrongRow(key: "w08", column: "label", value: "x'4142'", rule: "type"),
        WrongRow(key: "w09", column: "raw", value: "'text'", rule: "type"),
        WrongRow(key: "w10", column: "raw", value: "zeroblob(1048577)", rule: "too_large"),
        WrongRow(key: "w11", column: "flag", value: "2", rule: "type"),
        WrongRow(key: "w12", column: "moment", value: "'yesterday'", rule: "type"),
        WrongRow(key: "w13", column: "tags", value: "'a, b'", rule: "type"),
        WrongRow(key: "w14", column: "tags", value: "'[\"a\", 1]'", rule: "type"),
        WrongRow(key: "w15", column: "place", value: "'[1, 2]'", rule: "dimension"),
        WrongRow(key: "w16", column: "share", value: "-0.1", rule: "min"),
        WrongRow(key: "w17", column: "share", value: "1.1", rule: "max"),
        WrongRow(key: "w18", column: "kind", value: "'third'", rule: "one_of"),
        WrongRow(key: "w19", column: "short", value: "'123456'", rule: "max_length"),
        WrongRow(key: "w20", column: "must", value: "NULL", rule: "nullable"),
    ]

    private static let definitions = """
        entities:
          thing: {keys: {k: string}}
        views:
          things:
            entity: thing
            source:
              from: shop
              query: >
                SELECT k, small, big, ratio, single, label, raw, flag, moment, tags, place, share, kind, short, must, seq
                FROM things
              watermark: {column: seq, tie_breaker: [k], lookback: 0}
            every: 1m
            ttl: 1d
            sweep: 6h
            contract: {max_quarantine_rate: 1}
            features:
              small: int32
              big: int64
              ratio: float64
              single: float32
              label: string
              raw: bytes
              flag: bool
              moment: timestamp
              tags: [string]
              place: vector(3)
              share: {type: float64, contract: {min: 0, max: 1}}
              kind: {type: string, contract: {one_of: [first, second]}}
              short: {type: string, contract: {max_length: 5}}
              must: {type: int64, contract: {nullable: false}}
        """

    private static let good = [
        "small": "-7", "big": "9007199254740993", "ratio": "0.5", "single": "1.5", "label": "'ä'", "raw": "x'00ff'",
        "flag": "1", "moment": "'2026-01-02T03:04:05Z'", "tags": "'[\"a\",\"b\"]'", "place": "'[1,2,3]'",
        "share": "1", "kind": "'first'", "short": "'12345'", "must": "0",
    ]

    private static func insert(_ key: String, _ seq: Int, _ other: (column: String, value: String)? = nil) -> String {
        var values = good
        if let other { values[other.column] = other.value }
        let columns = values.keys.sorted()
        return "INSERT INTO things (k, seq, \(columns.joined(separator: ", "))) VALUES (\(key), \(seq), "
            + columns.compactMap { values[$0] }.joined(separator: ", ") + ");"
    }

    private func entries(_ lab: Lab) async throws -> [Entry] {
        let ending = try await lab.run(["quarantine", "list", "things", "--json"])
        return try JSONDecoder().decode([Entry].self, from: Data(ending.output.utf8))
    }

    private func expectGoodRows(_ lab: Lab, _ keys: String, _ count: Int) async throws {
        let features = Self.good.keys.sorted().map { "things:\($0)" }.joined(separator: ",")
        let ending = try await lab.expect(
            ["lookup", "--features", features, "--entity", "k=\(keys)", "--json"], code: 0)
        #expect(!ending.output.contains("statuses"), "\(ending.output)")
        #expect(ending.output.split(separator: "9007199254740993").count == count + 1, "\(ending.output)")
    }

    @Test func wrongRowsAreQuarantinedAndHealAndGoodOnesAreServed() async throws {
        try await Lab.with { lab in
            try lab.workdir.write(Self.definitions, to: "definitions/lab.yaml")
            // Columns without a type keep what is put in.
            let columns = Self.good.keys.sorted().joined(separator: ", ")
            var statements = "CREATE TABLE things (k, seq, \(columns));"
            statements += Self.insert("'g1'", 1) + Self.insert("'g2'", 2)
            for (index, row) in Self.wrong.enumerated() {
                statements += Self.insert("'\(row.key)'", 10 + index, (row.column, row.value))
            }
            statements += Self.insert("NULL", 50) + Self.insert("7", 51)
            statements += Self.insert("replace(hex(zeroblob(600)), '0', 'k')", 52) + Self.insert("'g3'", 60)
            try await lab.execute(statements)

            try await lab.expect(["sync", "--once"], code: 3, words: ["23 quarantined", "3 written"])
            let found = try await entries(lab)
            let keyed = Dictionary(found.filter { $0.entity != nil }.map { ($0.entity ?? "", $0) }) { first, _ in first
            }
            for row in Self.wrong {
                let entry = keyed[row.key]
                #expect(entry?.column == row.column && entry?.rule == row.rule, "\(row): \(String(describing: entry))")
            }
            #expect(Set(keyed.keys) == Set(Self.wrong.map(\.key)), "only the wrong rows")
            #expect(found.filter { $0.entity == nil }.map(\.rule).sorted() == ["null_key", "too_large", "type"])
            try await expectGoodRows(lab, "g1,g2,g3", 3)

            try await lab.expect(["quarantine", "show", "things", "w01"], code: 0, words: ["2147483648", "range"])
            try await lab.expect(["quarantine", "retry", "things", "w01"], code: 3, words: ["1 still wrong"])
            try await lab.expect(["status"], code: 3)

            // One is mended without a new watermark and retried; the others are found by the next sync.
            try await lab.execute("UPDATE things SET small = 5 WHERE k = 'w01'")
            try await lab.expect(["quarantine", "retry", "things", "w01"], code: 0, words: ["0 still wrong"])
            let all = Self.good.filter { $0.key != "small" }.map { "\($0.key) = \($0.value)" }
            try await lab.execute(
                "UPDATE things SET small = -7, \(all.joined(separator: ", ")), seq = seq + 100 WHERE k LIKE 'w%'")
            try await lab.expect(["sync", "--once"], code: 0)
            try await expectGoodRows(lab, "g1,g2,g3," + Self.wrong.map(\.key).joined(separator: ","), 23)
            #expect(try await entries(lab).allSatisfy { $0.entity == nil }, "keyless rows can only be dropped")
            try await lab.expect(["quarantine", "drop", "things", "--all"], code: 0, words: ["3 rows dropped"])
            try await lab.expect(["quarantine", "list"], code: 0, words: ["nothing is quarantined"])
            try await lab.expect(["verify"], code: 0)
        }
    }
}
