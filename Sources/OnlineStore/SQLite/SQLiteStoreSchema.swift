import LocalDatabase

/// The tables of a store's file.
enum SQLiteStoreSchema {
    /// `PRAGMA user_version` of the files this code writes.
    static let version: Int64 = 1
    /// `PRAGMA application_id`: "TMrk".
    static let applicationID: Int64 = 0x544d_726b

    private static let tables = """
        CREATE TABLE spaces(
            id INTEGER PRIMARY KEY, project TEXT NOT NULL, view TEXT NOT NULL, version INTEGER NOT NULL,
            UNIQUE(project, view, version));
        CREATE TABLE rows(
            space INTEGER NOT NULL, entity TEXT NOT NULL, expires INTEGER NOT NULL, value BLOB NOT NULL,
            PRIMARY KEY(space, entity)) WITHOUT ROWID;
        CREATE TABLE markers(space INTEGER PRIMARY KEY, sequence INTEGER NOT NULL, bytes BLOB NOT NULL);
        CREATE TABLE leases(
            project TEXT NOT NULL, name TEXT NOT NULL, owner TEXT NOT NULL, token INTEGER NOT NULL, expires INTEGER,
            PRIMARY KEY(project, name)) WITHOUT ROWID;
        CREATE TABLE documents(
            project TEXT NOT NULL, name TEXT NOT NULL, revision INTEGER NOT NULL, bytes BLOB NOT NULL,
            PRIMARY KEY(project, name));
        CREATE TABLE journals(
            project TEXT NOT NULL, name TEXT NOT NULL, number INTEGER NOT NULL, bytes BLOB NOT NULL,
            PRIMARY KEY(project, name, number)) WITHOUT ROWID;
        CREATE TABLE collections(
            project TEXT NOT NULL, name TEXT NOT NULL, field TEXT NOT NULL, bytes BLOB NOT NULL,
            PRIMARY KEY(project, name, field)) WITHOUT ROWID;
        PRAGMA application_id = \(applicationID);
        PRAGMA user_version = \(version);
        """

    /// Makes a new file a store, or checks that an old one is.
    ///
    /// - Throws: `misconfigured` when it is another application's, or a newer version's.
    static func prepare(_ connection: SQLiteConnection, maximumBytes: Int64?) throws {
        try requireOurs(connection)
        // In WAL, NORMAL never corrupts; a power cut may take the last transactions, in order, markers with their rows.
        _ = try connection.rows("PRAGMA journal_mode = WAL")
        try connection.execute("PRAGMA synchronous = NORMAL; PRAGMA secure_delete = FAST")
        if let maximumBytes {
            let pageSize = try number("page_size", connection)
            try connection.execute("PRAGMA max_page_count = \(max(1, maximumBytes / max(1, pageSize)))")
        }
        guard try number("user_version", connection) == 0 else { return }
        try connection.transaction { connection in
            try requireOurs(connection)
            guard try number("user_version", connection) == 0 else { return }
            try connection.execute(tables)
        }
    }

    private static func requireOurs(_ connection: SQLiteConnection) throws {
        let found = try number("user_version", connection)
        let application = try number("application_id", connection)
        if found == 0, application == 0 {
            let tables = try connection.rows("SELECT count(*) FROM sqlite_master")
            guard tables == [[.integer(0)]] else {
                throw StoreError(
                    .misconfigured, "the file is a database of another application",
                    detail: "name another file for the store")
            }
            return
        }
        guard application == applicationID else {
            throw StoreError(
                .misconfigured, "the file is a database of another application",
                detail: "name another file for the store")
        }
        guard found <= version else {
            throw StoreError(
                .misconfigured, "the file was written by a newer version",
                detail: "schema \(found), this version knows \(version): upgrade, or name another file")
        }
    }

    /// The value of a PRAGMA.
    static func number(_ pragma: String, _ connection: SQLiteConnection) throws -> Int64 {
        guard case .integer(let number)? = try connection.rows("PRAGMA \(pragma)").first?.first else { return 0 }
        return number
    }
}
