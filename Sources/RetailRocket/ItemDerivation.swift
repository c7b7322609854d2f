import LocalDatabase

/// Fills `items` from the newest properties of each item, and from the events of items that have none.
enum ItemDerivation {
    private enum Fact: String, CaseIterable {
        case categoryid
        case price
        case available

        /// The property that says it.
        var property: String {
            switch self {
            case .categoryid: ItemProperty.category
            case .price: ItemProperty.price
            case .available: ItemProperty.available
            }
        }

        /// The value as the column keeps it; `nil` when it is none.
        func value(_ bytes: [UInt8]) -> SQLiteValue? {
            switch self {
            case .categoryid: bytes[...].decimal.flatMap { $0 >= 0 ? .integer($0) : nil }
            case .price: ItemDerivation.price(bytes).map { .real($0) }
            case .available: bytes == [0x30] ? .integer(0) : bytes == [0x31] ? .integer(1) : nil
            }
        }
    }

    /// - Returns: How many newest values could not be read.
    static func run(_ database: SQLiteConnection) throws(SQLiteError) -> Int {
        try database.execute(
            """
            CREATE TEMP TABLE item_facts (
                itemid INTEGER PRIMARY KEY, categoryid INTEGER, price REAL, available INTEGER, changed INTEGER)
            """)
        var unreadable = 0
        for fact in Fact.allCases { unreadable += try collect(fact, database) }
        try database.execute(
            """
            INSERT INTO temp.item_facts (itemid, changed)
            SELECT itemid, max(timestamp) FROM item_properties
            WHERE itemid NOT IN (SELECT itemid FROM temp.item_facts) GROUP BY itemid;
            INSERT INTO temp.item_facts (itemid, changed)
            SELECT itemid, min(timestamp) FROM events
            WHERE itemid NOT IN (SELECT itemid FROM temp.item_facts) GROUP BY itemid;
            INSERT INTO items (itemid, categoryid, price, available, updated_at)
            SELECT itemid, categoryid, price, available, \(ShopClock.sqlText("changed"))
            FROM temp.item_facts ORDER BY itemid;
            DROP TABLE temp.item_facts;
            """)
        return unreadable
    }

    private static func collect(_ fact: Fact, _ database: SQLiteConnection) throws(SQLiteError) -> Int {
        // Of equal times the later row counts.
        let newest = try database.prepare(
            """
            SELECT itemid, value, timestamp FROM (
                SELECT itemid, value, timestamp,
                    row_number() OVER (PARTITION BY itemid ORDER BY timestamp DESC, id DESC) AS place
                FROM item_properties WHERE property = '\(fact.property)')
            WHERE place = 1
            """)
        let insert = try database.prepare(
            """
            INSERT INTO temp.item_facts (itemid, \(fact.rawValue), changed) VALUES (?, ?, ?)
            ON CONFLICT (itemid) DO UPDATE SET
                \(fact.rawValue) = excluded.\(fact.rawValue), changed = max(changed, excluded.changed)
            """)
        var unreadable = 0
        while try newest.step() {
            let value = fact.value(newest.textBytes(1))
            if value == nil { unreadable += 1 }
            try insert.run([.integer(newest.integer(0)), value ?? .null, .integer(newest.integer(2))])
        }
        return unreadable
    }

    /// `n12.000` is 12: the dump marks numbers with an n. Not negative, at most 15 digits, so exact in thousandths.
    static func price(_ bytes: [UInt8]) -> Double? {
        let number = bytes.first == 0x6e ? bytes.dropFirst() : bytes[...]
        let parts = number.split(separator: 0x2e, maxSplits: 1, omittingEmptySubsequences: false)
        guard number.count <= 16, let whole = parts.first?.decimal, whole >= 0, parts[0].first != 0x2d else {
            return nil
        }
        guard parts.count == 2 else { return Double(whole) }
        guard let fraction = parts[1].decimal, parts[1].first != 0x2d else { return nil }
        var divisor: Int64 = 1
        for _ in parts[1] { divisor *= 10 }
        // One division of two exact integers: the nearest double of the decimal.
        return Double(whole * divisor + fraction) / Double(divisor)
    }
}
