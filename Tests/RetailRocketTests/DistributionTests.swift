import Glibc
import LocalDatabase
import RetailRocket
import Testing

/// Whether a synthetic shop looks like a shop. The bounds are wide: they catch a broken generator, not a changed one.
@Suite(.timeLimit(.minutes(2)))
struct DistributionTests {
    private static let settings = SyntheticShop.Settings(users: 4_000, items: 1_000, events: 60_000, seed: 3)

    @Test func itemPopularityIsZipf() async throws {
        let counts = try await withShop(Self.settings) { _, shop in
            try await shop.rows(
                "SELECT count(*) FROM events WHERE event = 'view' GROUP BY itemid ORDER BY 1 DESC LIMIT 200"
            ).compactMap { row in if case .integer(let count) = row[0] { Double(count) } else { nil } }
        }
        try #require(counts.count == 200)
        // The slope of log count over log rank.
        let points = counts.enumerated().map { (x: log(Double($0.offset + 1)), y: log($0.element)) }
        let meanX = points.map(\.x).reduce(0, +) / 200
        let meanY = points.map(\.y).reduce(0, +) / 200
        let slope =
            points.map { ($0.x - meanX) * ($0.y - meanY) }.reduce(0, +)
            / points.map { ($0.x - meanX) * ($0.x - meanX) }.reduce(0, +)
        #expect((-1.35 ... -0.8).contains(slope), "\(slope)")
    }

    @Test func fewUsersMakeMostVisits() async throws {
        let counts = try await withShop(Self.settings) { _, shop in
            try await shop.rows("SELECT count(*) FROM events GROUP BY visitorid ORDER BY 1 DESC").compactMap { row in
                if case .integer(let count) = row[0] { count } else { nil }
            }
        }
        let share = Double(counts.prefix(400).reduce(0, +)) / 60_000
        #expect((0.35...0.75).contains(share), "\(share)")
        #expect(counts.count > 2_000)
        #expect((counts.first ?? 0) < 3_000)
    }

    @Test func theFunnelNarrowsAndKeepsItsOrder() async throws {
        try await withShop(Self.settings) { _, shop in
            let views = try await shop.integer("SELECT count(*) FROM events WHERE event = 'view'")
            let carts = try await shop.integer("SELECT count(*) FROM events WHERE event = 'addtocart'")
            let orders = try await shop.integer("SELECT count(*) FROM events WHERE event = 'transaction'")
            #expect((0.005...0.10).contains(Double(carts) / Double(views)), "\(carts) of \(views)")
            #expect((0.15...0.6).contains(Double(orders) / Double(carts)), "\(orders) of \(carts)")
            for (event, before) in [("addtocart", "view"), ("transaction", "addtocart")] {
                let unprepared = """
                    SELECT count(*) FROM events e WHERE event = '\(event)' AND NOT EXISTS (
                        SELECT 1 FROM events b WHERE b.visitorid = e.visitorid AND b.itemid = e.itemid
                            AND b.event = '\(before)' AND b.id < e.id AND b.timestamp > e.timestamp - 7200000)
                    """
                try await shop.expect(unprepared, is: 0)
            }
            let shared = """
                SELECT count(*) FROM (SELECT 1 FROM events WHERE event = 'transaction' GROUP BY transactionid
                    HAVING count(DISTINCT visitorid) > 1 OR count(DISTINCT timestamp) > 1
                    OR count(DISTINCT itemid) < count(*))
                """
            try await shop.expect(shared, is: 0)
        }
    }

    @Test func visitsLookAtRelatedItemsWithinMinutes() async throws {
        try await withShop(Self.settings) { _, shop in
            // Neighbouring views of one user, at most half an hour apart, are of one visit.
            let pairs = """
                WITH v AS (SELECT timestamp, itemid, lag(timestamp) OVER w AS before, lag(itemid) OVER w AS previous
                    FROM events WHERE event = 'view' WINDOW w AS (PARTITION BY visitorid ORDER BY id))
                SELECT count(*), sum(a.categoryid = b.categoryid), avg(v.timestamp - v.before)
                FROM v JOIN items a ON a.itemid = v.itemid JOIN items b ON b.itemid = v.previous
                WHERE v.timestamp - v.before < 1800000
                """
            let rows = try await shop.rows(pairs)
            guard case .integer(let count) = rows[0][0], case .integer(let same) = rows[0][1],
                case .real(let gap) = rows[0][2]
            else {
                Issue.record("\(rows)")
                return
            }
            #expect(count > 30_000)
            // By chance it would be a few in a hundred.
            #expect(Double(same) / Double(count) > 0.4, "\(same) of \(count)")
            #expect((10_000...240_000).contains(gap), "\(gap)")
        }
    }

    @Test func nightsAndWeekendsAreQuieter() async throws {
        try await withShop(Self.settings) { _, shop in
            let hours = { (hours: String) in
                "SELECT count(*) FROM events WHERE timestamp / 3600000 % 24 IN (\(hours))"
            }
            let night = try await shop.integer(hours("2,3,4"))
            let evening = try await shop.integer(hours("18,19,20"))
            #expect(night * 4 < evening)
            let days = { (days: String) in
                "SELECT count(*) FROM events WHERE timestamp < 1433030400000 AND strftime('%w', timestamp / 1000, 'unixepoch') IN (\(days))"
            }
            let weekend = try await shop.integer(days("'0','6'"))
            let midweek = try await shop.integer(days("'2','3'"))
            #expect(weekend < midweek)
        }
    }

    @Test func itemsChangeOverTime() async throws {
        try await withShop(Self.settings) { _, shop in
            for property in ["790", "available", "categoryid", "283", "888", "112"] {
                let rows = "SELECT count(*) > 1000 FROM item_properties WHERE property = '\(property)'"
                try await shop.expect(rows, is: 1)
            }
            let malformed =
                "SELECT count(*) FROM item_properties WHERE property = '790' AND value NOT GLOB 'n[1-9]*.000'"
            try await shop.expect(malformed, is: 0)
            try await shop.expect("SELECT count(*) > 1000 FROM items", is: 1)
            try await shop.expect("SELECT count(*) BETWEEN 5 AND 200 FROM items WHERE is_deleted = 1", is: 1)
            try await shop.expect("SELECT count(DISTINCT price) > 50 FROM items", is: 1)
        }
    }

    @Test func categoriesAreATreeOfTwoOrThreeLevels() async throws {
        try await withShop(Self.settings) { _, shop in
            let depth = """
                WITH RECURSIVE t(id, depth) AS (
                    SELECT categoryid, 1 FROM category_tree WHERE parentid IS NULL
                    UNION ALL SELECT c.categoryid, t.depth + 1 FROM category_tree c JOIN t ON c.parentid = t.id)
                """
            try await shop.expect("\(depth) SELECT max(depth) FROM t", is: 3)
            try await shop.expect("\(depth) SELECT count(*) = (SELECT count(*) FROM category_tree) FROM t", is: 1)
            try await shop.expect("\(depth) SELECT min(depth) FROM t JOIN items ON categoryid = id", is: 2)
        }
    }
}
