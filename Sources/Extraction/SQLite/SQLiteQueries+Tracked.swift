import FeatureModel
import LocalDatabase

extension SQLiteQueries {
    /// Changes of a tracked table behind a cursor: entities from the log and their rows, in the snapshot of the caller's
    /// transaction.
    func trackedChanges(
        _ tracking: SQLiteTracking, after cursor: SQLiteLogCursor, limit: Int, _ connection: SQLiteConnection
    ) throws -> ChangePage {
        try tracking.requireInstalled(connection)
        let end = try SQLiteTracking.end(connection)
        try requireContinuity(tracking, cursor, end: end, connection)
        var builder = SQLiteChunkBuilder(layout, capacity: limit, now: now())
        let log = try changedEntities(tracking, after: cursor.sequence, limit: max(1, limit), &builder, connection)
        try addRows(of: log.entities, to: &builder, connection)
        var rows = builder.finish()
        rows.position = UInt64(clamping: end)
        let next = log.isCut ? log.last : end
        let nextCursor = SQLiteLogCursor(sequence: next, loggedAt: try SQLiteTracking.loggedAt(next, connection))
        return ChangePage(
            rows: rows, next: ChangeCursor(text: nextCursor.text), isLast: !log.isCut, changeCount: log.count)
    }

    /// - Throws: `historyBroken` when the log is not the one that the cursor came from, or was pruned beyond it: changes may be
    ///   missing, and only a walk over all entities brings them back.
    private func requireContinuity(
        _ tracking: SQLiteTracking, _ cursor: SQLiteLogCursor, end: Int64, _ connection: SQLiteConnection
    ) throws {
        func broken(_ detail: String) -> ExtractionError {
            ExtractionError(
                .historyBroken, "the change log does not continue the cursor", detail: "view \(view.name): \(detail)")
        }
        if cursor.sequence > end {
            throw broken("the log ends at \(end), the cursor stands at \(cursor.sequence): an older copy of the file?")
        }
        let pruned = try tracking.pruned(connection)
        if cursor.sequence < pruned {
            throw broken("entries up to \(pruned) were pruned, the cursor stands at \(cursor.sequence)")
        }
        if let expected = cursor.loggedAt, let found = try SQLiteTracking.loggedAt(cursor.sequence, connection),
            found != expected
        {
            throw broken("entry \(cursor.sequence) is not the one that was read: an older copy of the file?")
        }
    }

    private struct LoggedEntities {
        var entities: [KeyedEntity] = []
        /// The last entry read.
        var last: Int64 = 0
        var count = 0
        /// Whether there may be more entries.
        var isCut = false
    }

    /// How many log entries one page reads at most, for each entity it may return: entities that change all the time have
    /// many.
    static let entriesPerEntity = 50

    private func changedEntities(
        _ tracking: SQLiteTracking, after sequence: Int64, limit: Int, _ builder: inout SQLiteChunkBuilder,
        _ connection: SQLiteConnection
    ) throws -> LoggedEntities {
        let keys = layout.keys.indices.map { "k\($0 + 1)" }.joined(separator: ", ")
        let statement = try connection.statement(
            "SELECT \(keys), seq FROM \"_tidemark_log\" WHERE source = ? AND seq > ? ORDER BY seq")
        try statement.bind([.text(tracking.source), .integer(sequence)])
        var found = LoggedEntities()
        var seen: Set<EntityKey> = []
        let entryLimit = limit.multipliedReportingOverflow(by: Self.entriesPerEntity).partialValue
        while try statement.step() {
            let number = statement.integer(layout.keys.count)
            if namesNobody(statement), found.count < entryLimit {
                found.last = number
                found.count += 1
                continue
            }
            let entity = entity(of: statement) { "seq \(number)" }
            // Only a full page needs to know before it takes the entry.
            let isTooMany =
                switch entity {
                case .success(let entity): seen.count == limit && !seen.contains(entity.key)
                case .failure: seen.count == limit
                }
            if found.count >= entryLimit || isTooMany {
                found.isCut = true
                statement.reset()
                break
            }
            found.last = number
            found.count += 1
            switch entity {
            case .failure(let broken): builder.add(broken.fault)
            case .success(let entity):
                if seen.insert(entity.key).inserted { found.entities.append(entity) }
            }
        }
        return found
    }

    /// How far behind a cursor is.
    func trackedLag(
        _ tracking: SQLiteTracking, behind cursor: SQLiteLogCursor, _ connection: SQLiteConnection
    ) throws -> SourceLag {
        try tracking.requireInstalled(connection)
        let count = try connection.rows(
            """
            SELECT count(*) FROM (SELECT 1 FROM "_tidemark_log" WHERE source = ? AND seq > ? LIMIT ?)
            """, [.text(tracking.source), .integer(cursor.sequence), .integer(SourceLag.countLimit)])
        let oldest = try connection.rows(
            "SELECT at FROM \"_tidemark_log\" WHERE source = ? AND seq > ? ORDER BY seq LIMIT 1",
            [.text(tracking.source), .integer(cursor.sequence)])
        guard case .integer(let rows)? = count.first?.first, case .integer(let at)? = oldest.first?.first else {
            return SourceLag(rows: 0, age: nil)
        }
        return SourceLag(rows: rows, age: .microseconds(max(0, now() - at)))
    }
}
