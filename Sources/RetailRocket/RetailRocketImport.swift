import LocalDatabase

/// Imports the RetailRocket dump (four CSV files, as Kaggle has them) into the schema of `ShopSchema`.
///
/// Memory does not grow with the files: events are sorted by SQLite, on disk.
package enum RetailRocketImport {
    /// What was read, and what was not.
    package struct Report: Hashable, Sendable {
        /// One of the dump's files.
        package struct File: Hashable, Sendable {
            /// Without its folder.
            package let name: String
            /// Rows taken.
            package var rows = 0
            /// Rows left out.
            package var badRows = 0
            /// `file:line: reason` of the first of them, at most `problemLimit`.
            package var problems: [String] = []
        }

        /// The first bad rows of all files, at most `problemLimit`.
        package var problems: [String] { Array(files.flatMap(\.problems).prefix(problemLimit)) }

        /// In the order of reading.
        package internal(set) var files: [File] = []
        /// Newest prices, categories and availabilities that are none; the item has NULL there.
        package internal(set) var unreadableProperties = 0
        package internal(set) var events = 0
        package internal(set) var itemProperties = 0
        package internal(set) var items = 0
        package internal(set) var users = 0
        /// The newest event: the shop's now, in milliseconds since 1970.
        package internal(set) var now: Int64 = 0
    }

    /// Bad rows that are told one by one.
    package static let problemLimit = 20
    /// A file with more bad rows than one in so many is refused.
    package static let badRowShare = 100

    /// Reads the files of `folder` into a new database. The file appears when it is complete; a failed or cancelled attempt
    /// leaves nothing.
    ///
    /// - Throws: `RetailError` for missing files (all at once), an existing output, too many bad rows in a file (more than
    ///   1 %), and files that cannot be read; `SQLiteError`; `CancellationError`.
    package static func run(
        folder: String, out: String, overwrite: Bool = false, progress: @escaping ShopProgress.Handler = { _ in }
    ) async throws -> Report {
        try DumpFile.check(folder: folder)
        return try await ShopFile(path: out).build(overwrite: overwrite) { connection in
            try load(folder, connection, progress)
        }
    }

    private static func load(
        _ folder: String, _ database: SQLiteConnection, _ progress: ShopProgress.Handler
    ) throws -> Report {
        var report = Report()
        let loader = try DumpLoader(database)
        for file in DumpFile.allCases { try loader.load(file, folder, database, &report, progress) }
        try Task.checkCancellation()
        progress(ShopProgress(stage: .items, done: 0, total: 0))
        try database.transaction { _ in
            try loader.sortEvents(database)
            report.unreadableProperties = try ItemDerivation.run(database)
            report.now = try newest(database)
            try meta(report.now).write(database)
        }
        try ShopFile.finish(database, now: report.now, progress)
        report.events = try count("events", database)
        report.itemProperties = try count("item_properties", database)
        report.items = try count("items", database)
        report.users = try count("user_activity", database)
        return report
    }

    /// The newest event, or property where there are no events.
    private static func newest(_ database: SQLiteConnection) throws(SQLiteError) -> Int64 {
        for table in ["events", "item_properties"] {
            let rows = try database.rows("SELECT max(timestamp) FROM \(table)")
            if case .integer(let time) = rows.first?.first { return time }
        }
        return 0
    }

    private static func count(_ table: String, _ database: SQLiteConnection) throws(SQLiteError) -> Int {
        guard case .integer(let count) = try database.rows("SELECT count(*) FROM \(table)").first?.first else {
            return 0
        }
        return Int(count)
    }

    private static func meta(_ now: Int64) -> ShopMeta {
        var meta = ShopMeta()
        meta[.origin] = "retailrocket"
        meta[.version] = ShopSchema.version
        meta.setClock(now)
        return meta
    }
}
