import FeatureModel
import LocalDatabase

/// Exact change tracking of one table for one set of key columns: a log filled by triggers.
///
/// `_tidemark_log` numbers every change in commit order (SQLite has one writer, and numbers of rolled-back changes are used
/// again before anyone saw them). `_tidemark_instance` names the unbroken history of each tracked table: installing where
/// triggers are missing draws a new name, since changes may have passed meanwhile.
struct SQLiteTracking: Sendable {
    let table: String
    let keyColumns: [String]
    let view: String

    /// The log holds this many key columns.
    static let maximumKeys = 8

    init(_ tracked: TrackedTable, view: String) throws(ExtractionError) {
        table = tracked.table
        keyColumns = tracked.keyColumns
        self.view = view
        guard (1...Self.maximumKeys).contains(keyColumns.count) else {
            throw ExtractionError(
                .misconfigured, "too many key columns to track",
                detail: "view \(view): \(keyColumns.count) key columns; at most \(Self.maximumKeys)")
        }
    }

    /// Names the table and its key columns in the log: views that track other columns of the table have a log of their own.
    var source: String { "\(table)(\(keyColumns.joined(separator: ",")))" }

    private enum Event: String, CaseIterable {
        case insert
        case update
        case delete
        /// Rows that `INSERT OR REPLACE` is about to delete: SQLite fires no delete trigger for them.
        case replace
        /// Rows that `UPDATE OR REPLACE` is about to delete.
        case displace
    }

    private func triggerName(_ event: Event) -> String { "_tidemark \(event.rawValue) \(source)" }

    /// The triggers without which changes are missed.
    private var requiredTriggers: [String] { [Event.insert, .update, .delete].map(triggerName) }

    // MARK: Installing

    /// The statements, in the order in which one transaction runs them. Running them again changes nothing.
    func installStatements(_ connection: SQLiteConnection) throws -> [String] {
        try requireColumns(connection)
        var triggers = [trigger(.insert), trigger(.update), trigger(.delete)]
        let unique = try SQLiteUniqueIndex.all(of: table, in: connection)
        let conflicts = unique.compactMap { $0.conflict(old: "o", new: "NEW") }
        if !conflicts.isEmpty {
            triggers.append(replaceTrigger(.replace, conflicts))
            triggers.append(replaceTrigger(.displace, conflicts))
        }
        let names = requiredTriggers.map(\.sqlLiteral).joined(separator: ", ")
        return [
            """
            CREATE TABLE IF NOT EXISTS "_tidemark_instance"(
                source TEXT PRIMARY KEY, id TEXT NOT NULL, pruned INTEGER NOT NULL DEFAULT 0)
            """,
            """
            DELETE FROM "_tidemark_instance" WHERE source = \(source.sqlLiteral) AND (
                SELECT count(*) FROM sqlite_master WHERE (type = 'table' AND name = '_tidemark_log')
                OR (type = 'trigger' AND tbl_name = \(table.sqlLiteral) COLLATE NOCASE AND name IN (\(names)))) < 4
            """,
            """
            INSERT OR IGNORE INTO "_tidemark_instance"(source, id)
                VALUES (\(source.sqlLiteral), lower(hex(randomblob(16))))
            """,
            """
            CREATE TABLE IF NOT EXISTS "_tidemark_log"(
                seq INTEGER PRIMARY KEY AUTOINCREMENT, source TEXT NOT NULL,
                k1, k2, k3, k4, k5, k6, k7, k8, at INTEGER NOT NULL)
            """,
        ] + Event.allCases.map { "DROP TRIGGER IF EXISTS \(triggerName($0).sqlIdentifier)" } + triggers
    }

    private static let now = "CAST((julianday('now') - 2440587.5) * 86400000000.0 AS INTEGER)"

    private var logColumns: String {
        "source, " + keyColumns.indices.map { "k\($0 + 1)" }.joined(separator: ", ") + ", at"
    }

    private func keys(_ row: String) -> String {
        keyColumns.map { "\(row).\($0.sqlIdentifier)" }.joined(separator: ", ")
    }

    private func differ(_ left: String, _ right: String) -> String {
        let terms = keyColumns.map { "\(left).\($0.sqlIdentifier) IS NOT \(right).\($0.sqlIdentifier) COLLATE BINARY" }
        return "(\(terms.joined(separator: " OR ")))"
    }

    private func trigger(_ event: Event) -> String {
        let row = event == .delete ? "OLD" : "NEW"
        var body = """
                INSERT INTO "_tidemark_log"(\(logColumns)) VALUES (\(source.sqlLiteral), \(keys(row)), \(Self.now));
            """
        if event == .update {
            body +=
                "\n" + """
                        INSERT INTO "_tidemark_log"(\(logColumns)) SELECT \(source.sqlLiteral), \(keys("OLD")), \(Self.now)
                            WHERE \(differ("OLD", "NEW"));
                    """
        }
        return """
            CREATE TRIGGER \(triggerName(event).sqlIdentifier) AFTER \(event.rawValue.uppercased()) \
            ON \(table.sqlIdentifier)
            BEGIN
            \(body)
            END
            """
    }

    /// Logs rows that are in the new row's way on some unique index. A row that then stays after all is merely read again.
    private func replaceTrigger(_ event: Event, _ conflicts: [String]) -> String {
        let isInsert = event == .replace
        let others = isInsert ? differ("o", "NEW") : "\(differ("o", "NEW")) AND \(differ("o", "OLD"))"
        let bodies = conflicts.map { conflict in
            """
                INSERT INTO "_tidemark_log"(\(logColumns)) SELECT \(source.sqlLiteral), \(keys("o")), \(Self.now)
                    FROM \(table.sqlIdentifier) AS o WHERE \(conflict) AND \(others);
            """
        }
        return """
            CREATE TRIGGER \(triggerName(event).sqlIdentifier) BEFORE \(isInsert ? "INSERT" : "UPDATE") \
            ON \(table.sqlIdentifier)
            BEGIN
            \(bodies.joined(separator: "\n"))
            END
            """
    }

    private func requireColumns(_ connection: SQLiteConnection) throws {
        let columns = keyColumns.map { "_r.\($0.sqlIdentifier)" }.joined(separator: ", ")
        do {
            _ = try connection.prepare("SELECT \(columns) FROM \(table.sqlIdentifier) AS _r LIMIT 0")
        } catch {
            throw ExtractionError(
                .schemaMismatch, "the tracked table lacks a key column",
                detail:
                    "view \(view): expected table \(table) with columns \(keyColumns.joined(separator: ", ")): \(error)"
            )
        }
    }

    // MARK: Looking

    /// - Throws: `notInstalled` when triggers or the log are missing, as after someone recreated the table.
    func requireInstalled(_ connection: SQLiteConnection) throws {
        let names = requiredTriggers.map(\.sqlLiteral).joined(separator: ", ")
        let found = try connection.rows(
            """
            SELECT count(*) FROM sqlite_master WHERE (type = 'table' AND name IN ('_tidemark_log', '_tidemark_instance'))
            OR (type = 'trigger' AND tbl_name = \(table.sqlLiteral) COLLATE NOCASE AND name IN (\(names)))
            """)
        guard found == [[.integer(5)]] else {
            try requireColumns(connection)
            throw ExtractionError(
                .notInstalled, "change tracking is not installed",
                detail: "view \(view), table \(table): run `tidemark source install \(view) --apply`")
        }
    }

    /// The name of the table's unbroken history.
    func instance(_ connection: SQLiteConnection) throws -> String {
        let rows = try connection.rows(
            "SELECT id FROM \"_tidemark_instance\" WHERE source = ?", [.text(source)])
        guard case .text(let id)? = rows.first?.first else {
            throw ExtractionError(
                .notInstalled, "change tracking is not installed",
                detail: "view \(view), table \(table): run `tidemark source install \(view) --apply`")
        }
        return id
    }

    /// The largest number ever given in the log; `sqlite_sequence` keeps it when entries are pruned.
    static func end(_ connection: SQLiteConnection) throws -> Int64 {
        let rows = try connection.rows("SELECT seq FROM sqlite_sequence WHERE name = '_tidemark_log'")
        guard case .integer(let end)? = rows.first?.first else { return 0 }
        return end
    }

    /// Everything up to here may have been pruned.
    func pruned(_ connection: SQLiteConnection) throws -> Int64 {
        let rows = try connection.rows(
            "SELECT pruned FROM \"_tidemark_instance\" WHERE source = ?", [.text(source)])
        guard case .integer(let pruned)? = rows.first?.first else { return 0 }
        return pruned
    }

    /// When the entry of that number was logged; `nil` when it is not there (pruned, or the log never had it).
    static func loggedAt(_ sequence: Int64, _ connection: SQLiteConnection) throws -> Int64? {
        let rows = try connection.rows("SELECT at FROM \"_tidemark_log\" WHERE seq = ?", [.integer(sequence)])
        guard case .integer(let at)? = rows.first?.first else { return nil }
        return at
    }

    /// How many entries one call of `prune` deletes at most.
    static let pruneLimit = 10_000

    /// Deletes entries up to the last one that is not behind `sequence` and older than `before` (microseconds since 1970).
    ///
    /// Looks at the oldest `pruneLimit` entries that are left, whatever the log has behind them, and takes the write lock
    /// only when one of them is to go: a log that is kept for days must cost a pass nothing.
    func prune(upTo sequence: Int64, before: Int64, _ connection: SQLiteConnection) throws {
        let range = try connection.rows(
            """
            SELECT max(seq) FROM (SELECT seq, at FROM "_tidemark_log"
            WHERE source = ? AND seq > ? AND seq <= ? ORDER BY seq LIMIT \(Self.pruneLimit)) WHERE at < ?
            """, [.text(source), .integer(try pruned(connection)), .integer(sequence), .integer(before)])
        guard case .integer(let last)? = range.first?.first else { return }
        try connection.transaction { connection in
            try connection.statement(
                "DELETE FROM \"_tidemark_log\" WHERE source = ? AND seq <= ?"
            ).run([.text(source), .integer(last)])
            try connection.statement(
                "UPDATE \"_tidemark_instance\" SET pruned = max(pruned, ?) WHERE source = ?"
            ).run([.integer(last), .text(source)])
        }
    }
}
