import LocalDatabase

/// What `shop_meta` says: where the shop comes from, and everything needed to let its time pass.
struct ShopMeta {
    private(set) var values: [String: String] = [:]

    enum Key: String {
        /// `synthetic` or `retailrocket`.
        case origin
        case version
        case seed, users, items, events
        case startMilliseconds = "start_ms"
        case periodMilliseconds = "period_ms"
        /// The simulated clock.
        case nowMilliseconds = "now_ms"
        /// The simulated clock for people.
        case now
        case random
        case nextTransaction = "next_transaction"
        case changeRemainder = "change_remainder"
        case advances
        case forgotten
    }

    init() {}

    /// Reads all of it.
    init(_ database: SQLiteConnection) throws(SQLiteError) {
        for row in try database.rows("SELECT key, value FROM shop_meta") {
            guard case .text(let key) = row[0], case .text(let value) = row[1] else { continue }
            values[key] = value
        }
    }

    subscript(key: Key) -> String? {
        get { values[key.rawValue] }
        set { values[key.rawValue] = newValue }
    }

    func integer(_ key: Key) -> Int64? { self[key].flatMap { Int64($0) } }

    /// Sets both spellings of the simulated clock.
    mutating func setClock(_ milliseconds: Int64) {
        self[.nowMilliseconds] = String(milliseconds)
        self[.now] = ShopClock.text(milliseconds)
    }

    /// Writes all of it.
    func write(_ database: SQLiteConnection) throws(SQLiteError) {
        let statement = try database.prepare(
            "INSERT INTO shop_meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value")
        for (key, value) in values.sorted(by: { $0.key < $1.key }) {
            try statement.run([.text(key), .text(value)])
        }
    }
}
