import LocalDatabase

extension ShopAggregates {
    /// The period that passes, and where its edges lie among the events, whose ids are in order of time.
    struct Step {
        let from: Int64
        let now: Int64
        /// Counted before and no longer, or passed by altogether: `left.lowerBound < id <= left.upperBound`.
        let left: (after: Int64, through: Int64)
        /// The last event before the period.
        let lastOld: Int64

        init(_ database: SQLiteConnection, from: Int64, now: Int64) throws(SQLiteError) {
            self.from = from
            self.now = now
            left = (
                try lastEvent(database, through: from - ShopClock.window),
                try lastEvent(database, through: now - ShopClock.window)
            )
            lastOld = try lastEvent(database, through: from)
        }

        /// Events that change somebody's row: those that left the window, and the new ones.
        var changes: String {
            """
            SELECT * FROM events WHERE id > \(left.after) AND id <= \(left.through)
            UNION ALL SELECT * FROM events WHERE id > \(max(left.through, lastOld))
            """
        }

        /// +1 for an event that is counted now and was not before, -1 the other way round.
        var sign: String { "((timestamp > \(now - ShopClock.window)) - (timestamp <= \(from)))" }

        /// When the row changed because of the event.
        var changed: String {
            """
            max(CASE WHEN timestamp > \(from) THEN timestamp ELSE 0 END,
                CASE WHEN timestamp <= \(now - ShopClock.window) THEN timestamp + \(ShopClock.window) ELSE 0 END)
            """
        }
    }

    /// Temporary tables of a step: who changes by how much.
    static let createDeltas = """
        CREATE TEMP TABLE user_delta (
            id INTEGER PRIMARY KEY, views INTEGER, carts INTEGER, orders INTEGER, changed INTEGER, last_id INTEGER);
        CREATE TEMP TABLE item_delta (
            id INTEGER PRIMARY KEY, views INTEGER, carts INTEGER, orders INTEGER, changed INTEGER);
        """

    static let dropDeltas = "DROP TABLE temp.user_delta; DROP TABLE temp.item_delta;"

    /// The greatest event id at or before a time: some 30 lookups instead of an index on the time.
    static func lastEvent(_ database: SQLiteConnection, through time: Int64) throws(SQLiteError) -> Int64 {
        let probe = try database.prepare("SELECT id, timestamp FROM events WHERE id >= ? ORDER BY id LIMIT 1")
        var low: Int64 = 0
        var high: Int64 = 0
        if case .integer(let last) = try database.rows("SELECT max(id) FROM events").first?.first { high = last }
        while low < high {
            let middle = low + (high - low + 1) / 2
            probe.reset()
            try probe.bind(.integer(middle), at: 1)
            // Ids may have gaps: what is found can lie behind the middle.
            if try probe.step(), probe.integer(1) <= time { low = probe.integer(0) } else { high = middle - 1 }
        }
        probe.reset()
        return low
    }

    /// Removes a user's events and row, and takes the events out of the items' counts.
    ///
    /// - Returns: How many events went.
    static func forget(_ user: Int64, _ step: Step, _ database: SQLiteConnection) throws(SQLiteError) -> Int {
        try database.execute(
            """
            INSERT INTO temp.item_delta (id, views, carts, orders, changed)
            SELECT itemid, -sum(event = 'view'), -sum(event = 'addtocart'), -sum(event = 'transaction'), \(step.now)
            FROM events WHERE visitorid = \(user) AND timestamp > \(step.from - ShopClock.window)
                AND timestamp <= \(step.from)
            GROUP BY itemid
            \(mergeItemDelta)
            """)
        try database.execute("DELETE FROM events WHERE visitorid = \(user)")
        let events = database.changeCount
        try database.execute("DELETE FROM user_activity WHERE user_id = \(user)")
        return events
    }

    /// Collects who changes, out of the events and the changed items.
    static func collectDeltas(_ step: Step, _ database: SQLiteConnection) throws(SQLiteError) {
        let sums = """
            sum(\(step.sign) * (event = 'view')), sum(\(step.sign) * (event = 'addtocart')),
            sum(\(step.sign) * (event = 'transaction')), max(\(step.changed))
            """
        try database.execute(
            """
            INSERT INTO temp.user_delta (id, views, carts, orders, changed, last_id)
            SELECT visitorid, \(sums), max(CASE WHEN id > \(step.lastOld) THEN id END)
            FROM (\(step.changes)) GROUP BY visitorid
            """)
        try database.execute(
            """
            INSERT INTO temp.item_delta (id, views, carts, orders, changed)
            SELECT itemid, \(sums) FROM (\(step.changes)) WHERE true GROUP BY itemid \(mergeItemDelta)
            """)
        try database.execute(
            """
            INSERT INTO temp.item_delta (id, views, carts, orders, changed)
            SELECT itemid, 0, 0, 0, 0 FROM items WHERE updated_at > '\(ShopClock.text(step.from))' \(mergeItemDelta)
            """)
    }

    private static let mergeItemDelta = """
        ON CONFLICT (id) DO UPDATE SET views = views + excluded.views, carts = carts + excluded.carts,
            orders = orders + excluded.orders, changed = max(changed, excluded.changed)
        """

    /// Brings the rows of changed users up to date.
    ///
    /// - Returns: How many rows were written.
    static func updateUsers(_ database: SQLiteConnection) throws(SQLiteError) -> Int {
        try database.execute(
            """
            UPDATE user_activity SET
                views_7d = views_7d + d.views, carts_7d = carts_7d + d.carts, orders_7d = orders_7d + d.orders,
                last_event = ifnull((SELECT event FROM events WHERE events.id = d.last_id), last_event),
                last_item = ifnull((SELECT itemid FROM events WHERE events.id = d.last_id), last_item),
                updated_at = \(ShopClock.sqlText("d.changed"))
            FROM temp.user_delta AS d WHERE d.id = user_id
            """)
        let updated = database.changeCount
        try database.execute(
            """
            INSERT INTO user_activity (user_id, views_7d, carts_7d, orders_7d, last_event, last_item, updated_at)
            SELECT d.id, d.views, d.carts, d.orders, e.event, e.itemid, \(ShopClock.sqlText("d.changed"))
            FROM temp.user_delta AS d JOIN events AS e ON e.id = d.last_id
            WHERE d.id NOT IN (SELECT user_id FROM user_activity)
            """)
        return updated + database.changeCount
    }

    /// Brings the rows of changed items up to date; cancelled items have none.
    ///
    /// - Returns: How many rows were written, and how many removed.
    static func updateItems(
        _ step: Step, _ database: SQLiteConnection
    ) throws(SQLiteError) -> (written: Int, removed: Int) {
        try database.execute(
            """
            DELETE FROM item_stats WHERE item_id IN (
                SELECT d.id FROM temp.item_delta AS d JOIN items AS i ON i.itemid = d.id WHERE i.is_deleted = 1)
            """)
        let removed = database.changeCount
        let rate = rate(
            views: "(item_stats.views_7d + d.views)",
            hits: "item_stats.carts_7d + d.carts + item_stats.orders_7d + d.orders")
        try database.execute(
            """
            UPDATE item_stats SET
                views_7d = views_7d + d.views, carts_7d = carts_7d + d.carts, orders_7d = orders_7d + d.orders,
                ctr_7d = \(rate), price = i.price, updated_at = max(i.updated_at, \(ShopClock.sqlText("d.changed")))
            FROM temp.item_delta AS d JOIN items AS i ON i.itemid = d.id WHERE d.id = item_id
            """)
        let updated = database.changeCount
        return (updated + (try insertMissingItems(step, database)), removed)
    }

    /// Items that are new or restored: nothing to add to, so they are counted from the window's events.
    private static func insertMissingItems(_ step: Step, _ database: SQLiteConnection) throws(SQLiteError) -> Int {
        let missing = """
            SELECT d.id FROM temp.item_delta AS d JOIN items AS i ON i.itemid = d.id
            WHERE i.is_deleted = 0 AND d.id NOT IN (SELECT item_id FROM item_stats)
            """
        try database.execute("CREATE TEMP TABLE item_totals (\(itemTotalsColumns))")
        try database.execute(
            itemTotals(now: step.now, where: "WHERE id > \(step.left.through) AND itemid IN (\(missing))"))
        try database.execute(itemStats(now: step.now, where: "i.itemid IN (\(missing))"))
        let inserted = database.changeCount
        try database.execute("DROP TABLE temp.item_totals")
        return inserted
    }
}
