package import FeatureModel
import LocalDatabase

/// Reads one view out of a SQLite file, on a read-only connection of its own. Calls come one at a time.
///
/// Each call is one read transaction, which ends with it: a long reader would keep the writer from checkpointing its WAL.
/// A file that was replaced at its path is opened anew, and shows up in `history`.
package actor SQLiteReader: ViewReader {
    package nonisolated let isExact: Bool
    package nonisolated let needsRangeLoad: Bool

    private let path: String
    private let options: SQLiteConnector.Options
    private let queries: SQLiteQueries
    private var open: (database: LocalDatabase, file: SQLiteFile.Identity)?
    private var isClosed = false
    /// The cursor that the last page of changes ended with: the one that goes on a run.
    private var handedOut: ChangeCursor?

    init(
        _ view: FeatureView, path: String, options: SQLiteConnector.Options
    ) async throws(ExtractionError) {
        queries = try SQLiteQueries(view, now: options.now)
        self.path = path
        self.options = options
        switch queries.mode {
        case .tracked: (isExact, needsRangeLoad) = (true, true)
        case .rows: (isExact, needsRangeLoad) = (false, false)
        case .changes: (isExact, needsRangeLoad) = (false, true)
        }
        _ = try await database()
    }

    // MARK: The connection

    private func database() async throws(ExtractionError) -> LocalDatabase {
        guard !isClosed else { throw ExtractionError(.unavailable, "the reader is closed", detail: path) }
        let present = try SQLiteFile.identity(of: path)
        if let open, open.file == present { return open.database }
        await open?.database.close()
        open = nil
        let database = try await SQLiteFile.open(path, .readOnly, options)
        // The path may have been given to another file between the look and the opening: then the next call opens it.
        open = (database, present)
        return database
    }

    /// Runs `body` in one read transaction inside the deadline.
    private func snapshot<Result: Sendable>(
        timeout: Duration? = nil, _ body: @Sendable (SQLiteConnection) throws -> Result
    ) async throws(ExtractionError) -> Result {
        let database = try await database()
        do {
            return try await database.run(deadline: .now + (timeout ?? options.statementTimeout)) { connection in
                try connection.transaction(.deferred, body)
            }
        } catch {
            if isClosed { throw ExtractionError(.unavailable, "the reader is closed", detail: path) }
            throw ExtractionError(any: error, while: "view \(queries.view.name), \(path)")
        }
    }

    package func close() async {
        isClosed = true
        open?.database.interrupt()
        await open?.database.close()
        open = nil
    }

    // MARK: What the view needs

    package func check() async throws(ExtractionError) {
        let queries = queries
        try await snapshot { connection in try queries.check(connection) }
        do {
            try await snapshot(timeout: .seconds(2)) { connection in try queries.checkSample(connection) }
        } catch  where error.code == .deadlineExceeded {
            // A look at some values is a courtesy; rows are checked one by one as they are read.
        }
    }

    /// What `tidemark doctor` wants to know of this view.
    func findings() async throws(ExtractionError) -> [SourceFinding] {
        let queries = queries
        return try await snapshot { connection in try queries.findings(connection) }
    }

    package func history() async throws(ExtractionError) -> SourceHistory {
        let queries = queries
        // A file that was copied over in place may carry the change counter that SQLite trusts its page cache by.
        await open?.database.close()
        open = nil
        let (instance, end) = try await snapshot { connection in
            guard case .tracked(let tracking) = queries.mode else { return (String?.none, UInt64?.none) }
            try tracking.requireInstalled(connection)
            return (try tracking.instance(connection), UInt64(clamping: try SQLiteTracking.end(connection)))
        }
        let file = "inode \(open?.file.inode ?? 0)"
        return SourceHistory(identity: instance.map { "\(file) log \($0)" } ?? file, end: end)
    }

    package func estimatedCount() async throws(ExtractionError) -> Int64? {
        let queries = queries
        do {
            return try await snapshot(timeout: .seconds(1)) { connection in try queries.count(connection) }
        } catch  where error.code == .deadlineExceeded {
            return try await snapshot { connection in try queries.roughCount(connection) }
        }
    }

    // MARK: Reading

    package func startCursor() async throws(ExtractionError) -> ChangeCursor {
        let queries = queries
        return try await snapshot { connection in
            switch queries.mode {
            case .rows: return ChangeCursor(text: SQLiteCursor.start.text)
            case .tracked(let tracking):
                try tracking.requireInstalled(connection)
                let end = try SQLiteTracking.end(connection)
                let loggedAt = try SQLiteTracking.loggedAt(end, connection)
                return ChangeCursor(text: SQLiteLogCursor(sequence: end, loggedAt: loggedAt).text)
            case .changes:
                guard let walk = queries.watermarkWalk else { return ChangeCursor(text: SQLiteCursor.start.text) }
                return ChangeCursor(text: try queries.presentEnd(walk, connection).text)
            }
        }
    }

    package func readChanges(after cursor: ChangeCursor, limit: Int) async throws(ExtractionError) -> ChangePage {
        let queries = queries
        let limit = min(max(1, limit), Self.largestPage)
        let page: ChangePage
        if let walk = queries.watermarkWalk {
            let place = try SQLiteCursor(cursor, width: walk.width)
            let isRunStart = place.place != .mid || cursor != handedOut
            page = try await snapshot { connection in
                try SQLitePageTooHeavy.shrinking(limit) { limit in
                    try queries.watermarkChanges(
                        walk, after: place, limit: limit, isRunStart: isRunStart, connection)
                }
            }
        } else {
            let place = try SQLiteLogCursor(cursor)
            page = try await snapshot { connection in
                guard case .tracked(let tracking) = queries.mode else {
                    throw ExtractionError(.misconfigured, "the view is not tracked")
                }
                return try SQLitePageTooHeavy.shrinking(limit) { limit in
                    try queries.trackedChanges(tracking, after: place, limit: limit, connection)
                }
            }
        }
        handedOut = page.next
        return page
    }

    /// Larger limits read this many entities a page.
    static let largestPage = 100_000

    package func readRange(after: EntityKey?, limit: Int) async throws(ExtractionError) -> RangePage {
        let queries = queries
        let limit = min(max(1, limit), Self.largestPage)
        return try await snapshot { connection in
            var page = try SQLitePageTooHeavy.shrinking(limit) { limit in
                try queries.range(after: after, limit: limit, connection)
            }
            page.rows.position = try queries.position(connection)
            return page
        }
    }

    package func readEntities(_ keys: [EntityKey]) async throws(ExtractionError) -> RowChunk {
        let queries = queries
        return try await snapshot { connection in
            var rows = try SQLitePageTooHeavy.shrinking(1) { _ in try queries.entities(keys, connection) }
            rows.position = try queries.position(connection)
            return rows
        }
    }

    package func lag(behind cursor: ChangeCursor) async throws(ExtractionError) -> SourceLag {
        let queries = queries
        if let walk = queries.watermarkWalk {
            let place = try SQLiteCursor(cursor, width: walk.width)
            return try await snapshot { connection in
                try queries.watermarkLag(walk, behind: place, connection)
            }
        }
        let place = try SQLiteLogCursor(cursor)
        return try await snapshot { connection in
            guard case .tracked(let tracking) = queries.mode else { return SourceLag(rows: 0, age: nil) }
            return try queries.trackedLag(tracking, behind: place, connection)
        }
    }

    /// Deletes log entries below the cursor that are older than the retention. Does nothing where the file can't be written.
    package func prune(below cursor: ChangeCursor) async throws(ExtractionError) {
        guard case .tracked(let tracking) = queries.mode else { return }
        let place = try SQLiteLogCursor(cursor)
        let before = options.now() - options.logRetention.wholeMicroseconds
        do {
            try await SQLiteFile.use(path, .readWrite, options) { connection in
                try tracking.requireInstalled(connection)
                try tracking.prune(upTo: place.sequence, before: before, connection)
            }
        } catch  where error.code == .misconfigured || error.code == .unavailable {
            // Read-only or busy: the log grows until a later call succeeds.
        }
    }
}
