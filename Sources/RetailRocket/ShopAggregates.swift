import LocalDatabase

/// Computes `user_activity` and `item_stats` from the events, for the seven days that end at the simulated now.
///
/// A row's `updated_at` is when its content last changed: its newest event, or the moment its newest forgotten event left
/// the window, or for items the last change of the item. So it never lies behind the simulated now.
enum ShopAggregates {
    /// All rows of both tables, which must be empty. Bounded memory: SQLite sorts on disk.
    static func compute(_ database: SQLiteConnection, now: Int64) throws(SQLiteError) {
        try database.execute(users(now: now, where: ""))
        try database.execute("CREATE TEMP TABLE item_totals (\(itemTotalsColumns))")
        try database.execute(itemTotals(now: now, where: ""))
        try database.execute(itemStats(now: now, where: "i.is_deleted = 0"))
        try database.execute("DROP TABLE temp.item_totals")
    }

    /// The newest event of the window's side of each visitor decides `last_event`: ids are in order of time.
    private static func users(now: Int64, where condition: String) -> String {
        """
        INSERT INTO user_activity (user_id, views_7d, carts_7d, orders_7d, last_event, last_item, updated_at)
        SELECT visitorid, views, carts, orders, event, itemid, \(ShopClock.sqlText("changed"))
        FROM (
            SELECT totals.visitorid, views, carts, orders, last.event, last.itemid,
                max(last.timestamp, ifnull(left_at, 0)) AS changed
            FROM (
                SELECT visitorid, \(sums(now: now)), max(id) AS last_id
                FROM events \(condition) GROUP BY visitorid
            ) AS totals CROSS JOIN events AS last ON last.id = totals.last_id
        )
        """
    }

    static let itemTotalsColumns = """
        item_id INTEGER PRIMARY KEY, views INTEGER, carts INTEGER, orders INTEGER, changed INTEGER
        """

    static func itemTotals(now: Int64, where condition: String) -> String {
        """
        INSERT INTO temp.item_totals (item_id, views, carts, orders, changed)
        SELECT itemid, views, carts, orders, max(last, ifnull(left_at, 0))
        FROM (
            SELECT itemid, \(sums(now: now)), max(timestamp) AS last
            FROM events \(condition) GROUP BY itemid
        )
        """
    }

    /// Rows of live items out of `items` and `temp.item_totals`.
    static func itemStats(now: Int64, where condition: String) -> String {
        """
        INSERT INTO item_stats (item_id, views_7d, carts_7d, orders_7d, ctr_7d, price, updated_at)
        SELECT i.itemid, ifnull(t.views, 0), ifnull(t.carts, 0), ifnull(t.orders, 0),
            \(rate(views: "t.views", hits: "t.carts + t.orders")), i.price,
            CASE WHEN t.changed IS NULL THEN i.updated_at
                ELSE max(i.updated_at, \(ShopClock.sqlText("t.changed"))) END
        FROM items AS i LEFT JOIN temp.item_totals AS t ON t.item_id = i.itemid
        WHERE \(condition)
        ORDER BY i.itemid
        """
    }

    private static func sums(now: Int64) -> String {
        let open = now - ShopClock.window
        return """
            sum(timestamp > \(open) AND event = 'view') AS views,
            sum(timestamp > \(open) AND event = 'addtocart') AS carts,
            sum(timestamp > \(open) AND event = 'transaction') AS orders,
            max(CASE WHEN timestamp <= \(open) THEN timestamp END) + \(ShopClock.window) AS left_at
            """
    }

    /// Hits over views with four decimals, halves up; NULL without views. Integers until the last division: exact.
    static func rate(views: String, hits: String) -> String {
        "CASE WHEN \(views) > 0 THEN (20000 * (\(hits)) + \(views)) / (2 * \(views)) / 10000.0 END"
    }
}
