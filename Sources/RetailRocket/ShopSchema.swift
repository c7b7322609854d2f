/// The one schema of every shop, synthetic or imported: the dump's three tables, and what is derived from them.
package enum ShopSchema {
    /// The version of tables and generator, in `shop_meta`. A shop of another version cannot be continued.
    package static let version = "1"

    /// The shop's tables, for messages and checks.
    package static let tables = [
        "category_tree", "events", "item_properties", "item_stats", "items", "shop_meta", "user_activity",
    ]

    /// Times are milliseconds since 1970 where they are integers, and RFC 3339 in UTC where they are text.
    static let createTables = """
        CREATE TABLE events (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            timestamp INTEGER NOT NULL,
            visitorid INTEGER NOT NULL,
            event TEXT NOT NULL,
            itemid INTEGER NOT NULL,
            transactionid INTEGER
        );
        CREATE TABLE item_properties (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            timestamp INTEGER NOT NULL,
            itemid INTEGER NOT NULL,
            property TEXT NOT NULL,
            value TEXT NOT NULL
        );
        CREATE TABLE category_tree (
            categoryid INTEGER PRIMARY KEY,
            parentid INTEGER
        );
        CREATE TABLE items (
            itemid INTEGER PRIMARY KEY,
            categoryid INTEGER,
            price REAL,
            available INTEGER,
            updated_at TEXT NOT NULL,
            is_deleted INTEGER NOT NULL DEFAULT 0
        );
        CREATE TABLE user_activity (
            user_id INTEGER PRIMARY KEY,
            views_7d INTEGER NOT NULL,
            carts_7d INTEGER NOT NULL,
            orders_7d INTEGER NOT NULL,
            last_event TEXT NOT NULL,
            last_item INTEGER NOT NULL,
            updated_at TEXT NOT NULL
        );
        CREATE TABLE item_stats (
            item_id INTEGER PRIMARY KEY,
            views_7d INTEGER NOT NULL,
            carts_7d INTEGER NOT NULL,
            orders_7d INTEGER NOT NULL,
            ctr_7d REAL,
            price REAL,
            updated_at TEXT NOT NULL
        );
        CREATE TABLE shop_meta (
            key TEXT PRIMARY KEY,
            value TEXT NOT NULL
        ) WITHOUT ROWID;
        """

    /// Made after the bulk load. They serve reading by watermark (`updated_at`, key), by changed visitor, and by `id`,
    /// which is the primary key.
    static let createIndexes = [
        "CREATE INDEX events_visitorid ON events (visitorid)",
        "CREATE INDEX items_updated_at ON items (updated_at, itemid)",
        "CREATE INDEX user_activity_updated_at ON user_activity (updated_at, user_id)",
        "CREATE INDEX item_stats_updated_at ON item_stats (updated_at, item_id)",
    ]

    /// For a file that is thrown away if the load fails: no journal, no syncs, 32 MiB of cache.
    static let buildSettings = """
        PRAGMA journal_mode = OFF;
        PRAGMA synchronous = OFF;
        PRAGMA locking_mode = EXCLUSIVE;
        PRAGMA cache_size = -32768;
        PRAGMA temp_store = FILE;
        """

    /// For the finished file: readers never wait for the shop's writer, nor it for them.
    static let finishSettings = """
        PRAGMA locking_mode = NORMAL;
        PRAGMA journal_mode = WAL;
        """
}
