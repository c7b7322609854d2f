import FeatureModel
import Testing

@Suite struct CatalogTests {
    private func compile(_ files: String..., project: String = "shop") throws(DefinitionErrors) -> Catalog {
        let files = files.enumerated().map { (name: "\($0.offset).yaml", text: Array($0.element.utf8)) }
        return try Catalog.compile(project: project, files: files)
    }

    private func errors(_ files: String..., project: String = "shop") -> [String] {
        let files = files.enumerated().map { (name: "\($0.offset).yaml", text: Array($0.element.utf8)) }
        do {
            _ = try Catalog.compile(project: project, files: files)
            return []
        } catch {
            return error.errors.map(\.description)
        }
    }

    @Test func theShopCompilesToWhatItSays() throws {
        let catalog = try Catalog.compile(project: "shop", files: try Files.shop(), sources: ["shop"])
        #expect(
            catalog.views.map(\.name) == [
                "item", "item_stats", "user_taste", "user_activity", "user_week", "user_recent",
            ])
        let activity = try #require(catalog.view("user_activity"))
        #expect(activity.entity == Entity(name: "user", keys: [.init(name: "user_id", type: .int64)]))
        #expect(activity.every == .seconds(30))
        #expect(activity.ttl == .seconds(7 * 86_400))
        #expect(activity.maxAge == nil)
        #expect(activity.source.eventTime == TimeColumn(column: "updated_at"))
        #expect(
            activity.source.watermark
                == .column(
                    WatermarkColumn(
                        column: "updated_at", tieBreaker: ["user_id"], settle: .seconds(2), lookback: .seconds(60))))
        let event = try #require(activity.features.first { $0.name == "last_event" })
        #expect(event.contract.oneOf == [.string("view"), .string("addtocart"), .string("transaction")])
        let clicks = try #require(activity.features.first)
        #expect(clicks.defaultValue == .int64(0))
        #expect(clicks.contract.minimum == 0)
        #expect(clicks.contract.maximumNullRate == 0.01)
        let week = try #require(catalog.view("user_week"))
        #expect(week.source.isKeyed)
        #expect(week.source.eventTime == TimeColumn(column: "last_ts", unit: .milliseconds))
        #expect(week.source.watermark == .column(WatermarkColumn(column: "id", tieBreaker: ["user_id"])))
        #expect(try #require(catalog.view("item")).source.deleted == "is_deleted")
        let service = try #require(catalog.service("ranker_v1"))
        #expect(service.features.prefix(2).map(\.feature) == ["views_7d", "carts_7d"])
        #expect(service.features.contains(FeatureReference(view: "item_stats", feature: "ctr_7d")))
        #expect(try #require(catalog.view("user_recent")).features.map(\.type) == [.list(.int64)])
        #expect(try #require(catalog.service("rank_v1")).features.count == 14)
    }

    @Test func theExampleOfTheInterfaceCompiles() throws {
        let catalog = try compile(
            """
            entities:
              user: {keys: {user_id: int64}}
            views:
              user_activity:
                entity: user
                source:
                  from: shop
                  query: SELECT user_id, views_7d, last_event, updated_at FROM user_activity
                  watermark: {column: updated_at, tie_breaker: [user_id], settle: 2s, lookback: 1m}
                  event_time: updated_at
                  deleted: is_deleted
                every: 30s
                ttl: 7d
                max_age: 1d
                sweep: 1d
                features:
                  views_7d:   {type: int64, default: 0, contract: {min: 0, max_null_rate: 0.01}}
                  last_event: {type: string, contract: {one_of: [view, addtocart, transaction]}}
              user_week:                                       # a view over aggregates
                entity: user
                source:
                  from: shop
                  changes: SELECT visitorid AS user_id, seq FROM events          # whose features may have changed
                  watermark: {column: seq}
                  query: SELECT visitorid AS user_id, count(*) AS events, max(ts) AS last_ts FROM events WHERE visitorid IN (:keys) GROUP BY visitorid
                every: 1m
                ttl: 30d
                sweep: 7d
                features: {events: {type: int64}, last_ts: {type: int64}}
            services:
              ranker_v1: [user_activity, "user_week:events"]
            """)
        #expect(catalog.views.map(\.features.count) == [2, 2])
        #expect(catalog.service("ranker_v1")?.features.count == 3)
    }

    @Test func defaultsAreFilledIn() throws {
        let catalog = try compile(WrongDefinitionTests.right)
        let view = try #require(catalog.view("activity"))
        #expect(view.key == "activity")
        #expect(view.sweep == .seconds(86_400), "ttl/4 = 42h, at most 1d")
        #expect(view.activation == .automatic)
        #expect(view.keepPrevious == .seconds(86_400))
        #expect(view.contract == ViewContract())
        #expect(
            view.source.watermark
                == .column(
                    WatermarkColumn(
                        column: "updated_at", tieBreaker: ["user_id"], settle: .seconds(2), lookback: .seconds(60))))
    }

    @Test func aLongSettleMakesTheDefaultLookbackAsLong() throws {
        let text = WrongDefinitionTests.right.replacing(
            "{column: updated_at}", with: "{column: updated_at, settle: 5m}")
        guard case .column(let mark) = try #require(compile(text).views.first).source.watermark else {
            Issue.record("no column")
            return
        }
        #expect(mark.settle == .seconds(300))
        #expect(mark.lookback == .seconds(300))
    }

    @Test func aTrackedTableNeedsNoMore() throws {
        let text = WrongDefinitionTests.right.replacing("{column: updated_at}", with: "{track: public.activity}")
        let view = try #require(compile(text).views.first)
        #expect(view.source.watermark == .tracked(TrackedTable(table: "public.activity", keyColumns: ["user_id"])))
    }

    @Test func severalFilesAreReadAsOne() throws {
        let lines = WrongDefinitionTests.right.split(separator: "\n")
        let entities = lines[..<2].joined(separator: "\n")
        let views = lines[2..<14].joined(separator: "\n")
        let services = lines[14...].joined(separator: "\n")
        #expect(try compile(services, views, entities) == compile(WrongDefinitionTests.right))
    }

    @Test func aNameInTwoFilesIsRefusedWithBothPlaces() {
        let text = "entities:\n  user: {keys: {user_id: int64}}"
        let found = errors(WrongDefinitionTests.right, "# more\n" + text)
        #expect(
            found == [
                "1.yaml:3: entities.user: found the name \"user\" again, expected each name once in a project; "
                    + "it stands at 0.yaml:2 too"
            ])
    }

    @Test func twoViewsWithOneKeyAreRefused() {
        let other = """
            views:
              other:
                key: activity
                entity: user
                source: {from: shop, query: SELECT 1, watermark: {column: a}}
                every: 1m
                ttl: 1d
                features: {a: int64}
            """
        let found = errors(WrongDefinitionTests.right, other)
        #expect(found.count == 1)
        #expect(found[0].contains("1.yaml:3: views.other.key: found \"activity\""))
        #expect(found[0].contains("the view activity at 0.yaml:4 has it too"))
    }

    @Test func errorsOfAllFilesComeTogetherInOrder() {
        let broken = WrongDefinitionTests.right.replacing("ttl: 7d", with: "ttl: 7").replacing("int64\n", with: "int\n")
        let found = errors(broken, "views: [", "nothing: 1")
        #expect(found.map { $0.prefix(7) }.filter { $0.hasPrefix("0") }.count >= 2)
        #expect(found.contains { $0.hasPrefix("1.yaml:1: ") })
        #expect(found.contains { $0.hasPrefix("2.yaml:1: nothing: ") })
        #expect(found == found.sorted { $0.prefix(6) < $1.prefix(6) })
    }

    @Test func atMostAHundredErrorsAreKeptAndTheRestCounted() {
        let text = (1...250).map { "k\($0): 1" }.joined(separator: "\n")
        do {
            _ = try compile(text)
            Issue.record("accepted")
        } catch {
            #expect(error.errors.count == 100)
            #expect(error.omitted == 150)
            #expect(error.description.hasSuffix("and 150 more"))
        }
    }

    @Test func nothingToReadIsRefusedWithWhatToWrite() {
        for text in ["", "   \n\n", "# only a comment\n", "---\n...\n", "\u{feff}"] {
            let found = errors(text)
            #expect(found.count == 1)
            #expect(found[0].contains("found an empty file"))
            #expect(found[0].contains("entities: {user: {keys: {user_id: int64}}}"))
        }
        #expect(errors()[0].contains("no definition files"))
        #expect(errors("entities: {user: {keys: {user_id: int64}}}")[0].contains("no view in any file"))
    }

    @Test func projectsWithoutAGoodNameAreRefused() {
        for name in ["", "Shop", "a:b", "ä", String(repeating: "a", count: 33)] {
            #expect(errors(WrongDefinitionTests.right, project: name).contains { $0.contains("project: found") })
        }
        #expect(errors(WrongDefinitionTests.right, project: String(repeating: "a", count: 32)).isEmpty)
    }

    @Test func namesMayBeAsLongAsTheLimitAndNoLonger() {
        let long = String(repeating: "f", count: 64)
        #expect(errors(WrongDefinitionTests.right.replacing("clicks: int64", with: "\(long): int64")).isEmpty)
        #expect(errors(WrongDefinitionTests.right.replacing("clicks: int64", with: "\(long)f: int64")).count == 1)
    }

    @Test func aThousandFeaturesAreAcceptedAndOneMoreRefused() {
        func text(_ count: Int) -> String {
            let features = (1...count).map { "      f\($0): int64" }.joined(separator: "\n")
            return WrongDefinitionTests.right.replacing("      clicks: int64", with: features)
        }
        #expect(errors(text(1_000)).isEmpty)
        #expect(errors(text(1_001)).contains { $0.contains("found 1001 entries, expected 1 to 1000") })
    }

    @Test func aThousandViewsAreAcceptedAndOneMoreOverFilesRefused() {
        let body =
            "{entity: user, source: {from: s, query: SELECT 1, watermark: {column: a}}, every: 1m, ttl: 1d, features: {a: bool}}"
        func text(_ range: ClosedRange<Int>) -> String {
            "views:\n" + range.map { "  v\($0): \(body)" }.joined(separator: "\n")
        }
        let entity = "entities: {user: {keys: {user_id: int64}}}\n"
        #expect(errors(entity + text(1...600), text(601...1_000)).isEmpty)
        #expect(errors(entity + text(1...600), text(601...1_001)).contains { $0.contains("found 1001 views") })
    }

    @Test(arguments: [
        ("SELECT 1;", "SELECT 1"), ("SELECT 1 ; \n;", "SELECT 1"), ("SELECT 1 -- why", "SELECT 1"),
        ("/* a; b */ select ';' -- ;", "/* a; b */ select ';'"), ("WITH a AS (SELECT 1) SELECT * FROM a", nil),
        ("SELECT 'it''s' FROM \"a;b\"", nil), ("SELECT $x$ ; $x$ , $1", nil), ("SELECT a::int, b[1:2], 'x:y'", nil),
        ("SELECT a FROM `b;c`; /* end */", "SELECT a FROM `b;c`"),
    ])
    func aQueryIsOneStatementWithoutItsEnd(_ query: String, _ kept: String?) throws {
        let quoted = "'" + query.replacing("'", with: "''").replacing("\n", with: "\n\n") + "'"
        let text = WrongDefinitionTests.right.replacing(
            "SELECT user_id, clicks, updated_at FROM activity", with: quoted)
        #expect(try #require(compile(text).views.first).source.query == kept ?? query)
    }

    @Test func valuesAreReadByTheFeaturesType() throws {
        let features = """
            a: {type: bool, default: true}
                  b: {type: int32, default: -5, contract: {one_of: [-5, 7], min: -5}}
                  c: {type: int64, default: 9223372036854775807}
                  d: {type: float32, default: 0.1}
                  e: {type: float64, default: 1e300, contract: {max: 1e300}}
                  f: {type: string, default: no, contract: {one_of: [no, yes, "1", 1.0]}}
                  g: {type: bytes, default: AAEC/w==, contract: {max_length: 4}}
                  h: {type: timestamp, default: 2026-01-31T08:00:00Z, contract: {min: 1970-01-01}}
                  i: {type: [string], default: [a, "b"]}
                  j: {type: "[int32]", default: []}
                  k: {type: vector(3), default: [1, 2.5, -3e2]}
                  l: [timestamp]
                  m: "vector(65536)"
            """
        let view = try #require(
            compile(WrongDefinitionTests.right.replacing("clicks: int64", with: features)).views.first)
        let expected: [FeatureValue?] = [
            .bool(true), .int32(-5), .int64(.max), .float32(0.1), .float64(1e300), .string("no"),
            .bytes([0, 1, 2, 255]),
            .timestamp(1_769_846_400_000_000), .list([.string("a"), .string("b")]), .list([]), .vector([1, 2.5, -300]),
            nil,
            nil,
        ]
        #expect(view.features.map(\.defaultValue) == expected)
        #expect(view.features[5].contract.oneOf == [.string("no"), .string("yes"), .string("1"), .string("1.0")])
        #expect(view.features[7].contract.minimum == 0)
        #expect(view.features.suffix(2).map(\.type) == [.list(.timestamp), .vector(65_536)])
    }
}
