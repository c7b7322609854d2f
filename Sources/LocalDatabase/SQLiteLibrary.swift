import CSQLite

/// What the linked SQLite library says of itself.
enum SQLiteLibrary {
    static var version: String { unsafe String(cString: sqlite3_libversion()) }
}
