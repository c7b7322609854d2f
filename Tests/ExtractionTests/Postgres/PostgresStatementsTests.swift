import FeatureModel
import Testing

// The SQL of a view is internal to the source.
@testable import Extraction

struct PostgresStatementsTests {
    private static let int8 = PostgresType(row: ["20", "pg_catalog.int8", "int8", "b", "N", "0"])
    private static let text = PostgresType(row: ["25", "pg_catalog.text", "text", "b", "S", "0"])
    private static let uuid = PostgresType(row: ["2950", "pg_catalog.uuid", "uuid", "b", "U", "0"])
    private static let time = PostgresType(row: ["1184", "pg_catalog.timestamptz", "timestamptz", "b", "D", "0"])
    private static let citext = PostgresType(row: ["16400", "public.citext", "citext", "b", "S", "0"])
    private static let types = [int8, text, uuid, time, citext].compactMap { $0 }

    private func view(
        _ keys: [(String, EntityKeyType)], query: String = "SELECT * FROM t;", watermark: Watermark? = nil
    ) -> FeatureView {
        FeatureView(
            name: "v", entity: Entity(name: "e", keys: keys.map { .init(name: $0.0, type: $0.1) }),
            source: ViewSource(
                from: "s", query: query,
                watermark: watermark ?? .tracked(TrackedTable(table: "t", keyColumns: keys.map(\.0)))),
            every: .seconds(1), ttl: .seconds(60), sweep: .seconds(10),
            features: [Feature(name: "f", type: .scalar(.int64))])
    }

    private func statements(_ view: FeatureView, _ columns: [(String, UInt32)]) -> PostgresStatements {
        let query = PostgresColumns(names: columns.map(\.0) + ["f"], types: columns.map(\.1) + [20])
        let relation = TrackedRelation(
            oid: 1, schema: "public", name: "t", kind: "r", columns: query, triggers: [:], hasLog: true)
        return PostgresStatements(view, PostgresShape(query: query, relation: relation, types: Self.types))
    }

    @Test func changesAreKeysetsOfTheStampAndOfTheLog() throws {
        let sql = statements(view([("a", .int64), ("b", .string)]), [("a", 20), ("b", 25)])
        let first = try #require(sql.stamps(behind: .transaction(7), below: 9, limit: 5))
        #expect(
            first.sql == """
                SELECT _tm."_tidemark_xid", _tm."a", _tm."b" FROM "public"."t" AS _tm WHERE _tm."_tidemark_xid" >= $1::xid8 \
                AND _tm."_tidemark_xid" < $2::xid8 AND _tm."a" IS NOT NULL AND _tm."b" IS NOT NULL \
                ORDER BY _tm."_tidemark_xid", _tm."a", _tm."b" LIMIT 5
                """)
        #expect(first.parameters == ["7", "9"])
        let next = try #require(sql.stamps(behind: .stamp(7, key: ["1", "x"]), below: 9, limit: 5))
        #expect(
            next.sql.contains(
                #"(_tm."_tidemark_xid", _tm."a", _tm."b") > ($1::xid8, $2::bigint, $3::pg_catalog.text) AND _tm."_tidemark_xid" < $4"#
            ))
        #expect(next.parameters == ["7", "1", "x", "9"])
        #expect(try #require(sql.stamps(behind: .log(7, entry: 3), below: 9, limit: 5)).sql.contains("> $1::xid8"))
        #expect(sql.stamps(behind: .stamp(7, key: ["1"]), below: 9, limit: 5) == nil)
        #expect(sql.stamps(behind: .start, below: 9, limit: 5) == nil)
        let log = try #require(sql.logged(behind: .log(7, entry: 3), below: 9, limit: 5))
        #expect(log.sql.contains("(xid, id) > ($2::xid8, $3::bigint) AND xid < $4::xid8"))
        #expect(log.parameters == [#""public"."t"("a","b")"#, "7", "3", "9"])
    }

    @Test func keysAreLimitedInTheQueryOrAroundIt() {
        let plain = statements(view([("a", .int32)]), [("a", 20)])
        #expect(
            plain.features(of: 2)
                == #"SELECT _tm."a", _tm."f" FROM (SELECT * FROM t"# + "\n"
                + #") AS _tm WHERE _tm."a" IN ($1::bigint, $2::bigint)"#)
        let pair = statements(view([("a", .int64), ("b", .bytes)]), [("a", 20), ("b", 25)])
        #expect(
            pair.features(of: 2).hasSuffix(
                #"WHERE (_tm."a", _tm."b") IN (VALUES ($1::bigint, $2::bytea), ($3::bigint, $4::bytea))"#))
        let keyed = statements(view([("a", .string)], query: "SELECT a, f FROM t WHERE a IN (:keys)"), [("a", 25)])
        #expect(keyed.isKeyed && keyed.features(of: 3).contains("WHERE a IN ($1, $2, $3)\n) AS _tm"))
        let uuid = statements(view([("a", .string)]), [("a", 2950)])
        #expect(uuid.features(of: 1).hasSuffix(#"_tm."a" IN ($1::pg_catalog.uuid)"#))
    }

    @Test func walksUseTheColumnsOwnOrderUnlessItIsLoose() {
        let plain = statements(view([("a", .string)]), [("a", 25)])
        #expect(
            plain.rangeRows(after: ["x"], limit: 3).sql.hasSuffix(
                #"WHERE _tm."a" IS NOT NULL AND _tm."a" > $1::pg_catalog.text ORDER BY _tm."a" LIMIT 3"#))
        #expect(!plain.rangeRows(after: nil, limit: 3).sql.contains("$1"))
        let loose = statements(view([("a", .string)]), [("a", 16_400)])
        #expect(
            loose.rangeRows(after: ["x"], limit: 3).sql.contains(#"_tm."a"::text > $1::text ORDER BY _tm."a"::text"#))
    }

    @Test func watermarkPagesAreBoundBelowAndAbove() throws {
        let column = WatermarkColumn(column: "w", tieBreaker: ["a"])
        let sql = statements(view([("a", .int64)], watermark: .column(column)), [("a", 20), ("w", 1184)])
        let bounds = WatermarkBounds(lower: .behind("2026-01-01T00:00:00Z", ties: ["4"]), upper: "2026-01-02T00:00:00Z")
        let page = try #require(sql.watermarkRows(bounds, limit: 9))
        #expect(
            page.sql.hasSuffix(
                #"WHERE (_tm."w", _tm."a") > ($1::pg_catalog.timestamptz, $2::pg_catalog.int8) "#
                    + #"AND _tm."w" < $3::pg_catalog.timestamptz AND _tm."a" IS NOT NULL ORDER BY _tm."w", _tm."a" LIMIT 9"#
            ))
        #expect(page.parameters == ["2026-01-01T00:00:00Z", "4", "2026-01-02T00:00:00Z"])
    }

    @Test func installedStatementsNameEverythingInFull() throws {
        let tracking = try #require(statements(view([("a", .int64)]), [("a", 20)]).tracking)
        #expect(tracking.statements.count == 13)
        #expect(tracking.statements.allSatisfy { $0.contains(#""public"."#) })
        #expect(tracking.statements.last?.hasPrefix("CREATE INDEX CONCURRENTLY IF NOT EXISTS") == true)
        #expect(tracking.missing.count == 5, "a column and four triggers")
        #expect(tracking.triggers.allSatisfy { $0.utf8.count < 64 })
    }

    @Test func mergedChangesKeepTheCursorsOrderAndAreCut() {
        func stamp(_ xid: UInt64, _ key: String) -> TrackedChange {
            TrackedChange(transaction: xid, entry: nil, keyTexts: [key], key: EntityKey(canonical: key))
        }
        func log(_ xid: UInt64, _ entry: Int64) -> TrackedChange {
            TrackedChange(transaction: xid, entry: entry, keyTexts: ["d"], key: EntityKey(canonical: "d"))
        }
        let stamps = [stamp(1, "a"), stamp(3, "b"), stamp(3, "c")]
        let logged = [log(1, 1), log(2, 2), log(3, 3), log(4, 4)]
        let all = [stamps[0], logged[0], logged[1], stamps[1], stamps[2], logged[2], logged[3]]
        for limit in 0...8 {
            #expect(TrackedChange.merge(stamps: stamps, logged: logged, limit: limit) == Array(all.prefix(limit)))
        }
        #expect(all.map(\.cursor)[..<2] == [.stamp(1, key: ["a"]), .log(1, entry: 1)])
    }
}
