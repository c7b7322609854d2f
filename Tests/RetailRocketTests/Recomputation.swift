import LocalDatabase
import RetailRocket
import Testing

/// The aggregates computed naively, in other words than the code under test; without `updated_at`.
private enum Recomputation {
    static func users(now: Int64) -> String {
        let mine = "SELECT count(*) FROM events e WHERE e.visitorid = v.visitorid AND timestamp > \(now - 604_800_000)"
        let last = "FROM events e WHERE e.visitorid = v.visitorid ORDER BY timestamp DESC, id DESC LIMIT 1"
        return """
            SELECT DISTINCT visitorid, (\(mine) AND event = 'view'), (\(mine) AND event = 'addtocart'),
                (\(mine) AND event = 'transaction'), (SELECT event \(last)), (SELECT itemid \(last))
            FROM events v ORDER BY visitorid
            """
    }

    static let userRows = """
        SELECT user_id, views_7d, carts_7d, orders_7d, last_event, last_item FROM user_activity ORDER BY user_id
        """

    static func items(now: Int64) -> String {
        """
        WITH recent AS (SELECT itemid, event FROM events WHERE timestamp > \(now - 604_800_000)),
        counted AS (
            SELECT i.itemid, i.price, count(CASE r.event WHEN 'view' THEN 1 END) AS views,
                count(CASE r.event WHEN 'addtocart' THEN 1 END) AS carts,
                count(CASE r.event WHEN 'transaction' THEN 1 END) AS orders
            FROM items i LEFT JOIN recent r ON r.itemid = i.itemid WHERE i.is_deleted = 0 GROUP BY i.itemid)
        SELECT itemid, views, carts, orders, price,
            CASE WHEN views > 0 THEN round(1.0 * (carts + orders) / views, 4) END
        FROM counted ORDER BY itemid
        """
    }

    static let itemRows = """
        SELECT item_id, views_7d, carts_7d, orders_7d, price, ctr_7d FROM item_stats ORDER BY item_id
        """

    /// `ctr_7d` may differ in the last of its four decimals, where rounding of halves is a matter of taste.
    static func matches(_ left: [SQLiteValue], _ right: [SQLiteValue]) -> Bool {
        guard left.dropLast() == right.dropLast() else { return false }
        if case .real(let rate) = left.last, case .real(let wanted) = right.last {
            return abs(rate - wanted) <= 0.000_101
        }
        return left.last == right.last
    }
}

/// Every row of `user_activity` and `item_stats` is what the events say, and there are no others.
func expectAggregatesAreExact(_ shop: Shop, sourceLocation: SourceLocation = #_sourceLocation) async throws {
    let now = try await shop.integer("SELECT CAST(value AS INTEGER) FROM shop_meta WHERE key = 'now_ms'")
    let users = try await shop.rows(Recomputation.userRows)
    let wantedUsers = try await shop.rows(Recomputation.users(now: now))
    #expect(users.count == wantedUsers.count, sourceLocation: sourceLocation)
    let wrongUser = zip(users, wantedUsers).first { $0 != $1 }
    #expect(wrongUser == nil, "\(String(describing: wrongUser))", sourceLocation: sourceLocation)
    let items = try await shop.rows(Recomputation.itemRows)
    let wantedItems = try await shop.rows(Recomputation.items(now: now))
    #expect(items.count == wantedItems.count, sourceLocation: sourceLocation)
    let wrongItem = zip(items, wantedItems).first { !Recomputation.matches($0, $1) }
    #expect(wrongItem == nil, "\(String(describing: wrongItem))", sourceLocation: sourceLocation)
}
