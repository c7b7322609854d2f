import CSQLite
import Glibc

/// One open database. Owned by a `LocalDatabase`, used only inside its `run`.
@safe package final class SQLiteConnection {
    private let raw: OpaquePointer
    private var statements: [String: SQLiteStatement] = [:]
    private var deadline: ContinuousClock.Instant?
    private let interruption: Interruption
    private let busyTimeout: Duration
    private var busySince = ContinuousClock.now

    /// How many prepared statements stay cached; one more empties the cache.
    private static let cachedStatements = 64

    init(_ configuration: LocalDatabase.Configuration, interruption: Interruption) throws(SQLiteError) {
        var opened: OpaquePointer?
        var flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE
        switch configuration.access {
        case .readOnly: flags |= SQLITE_OPEN_READONLY
        case .readWrite: flags |= SQLITE_OPEN_READWRITE
        case .create: flags |= SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE
        }
        let status = unsafe sqlite3_open_v2(configuration.path, &opened, flags, nil)
        guard status == SQLITE_OK, let connection = unsafe opened else {
            let message = unsafe opened.map { unsafe String(cString: sqlite3_errmsg($0)) } ?? "out of memory"
            unsafe sqlite3_close_v2(opened)
            throw SQLiteError(extendedCode: status, message: "\(message): \(configuration.path)")
        }
        unsafe raw = unsafe connection
        self.interruption = interruption
        busyTimeout = .milliseconds(configuration.busyTimeoutMilliseconds)
        watchDeadline()
        waitWhenBusy()
    }

    deinit {
        statements.removeAll()
        unsafe sqlite3_progress_handler(raw, 0, nil, nil)
        unsafe sqlite3_busy_handler(raw, nil, nil)
        unsafe sqlite3_close_v2(raw)
    }

    /// Long statements look at the deadline every few thousand virtual-machine steps (under a millisecond).
    private func watchDeadline() {
        // The handler runs only inside calls on this object, which therefore outlives it: no retain needed.
        let context = unsafe Unmanaged.passUnretained(self).toOpaque()
        unsafe sqlite3_progress_handler(
            raw, 4_000,
            { context in
                guard let context = unsafe context else { return 0 }
                let connection = unsafe Unmanaged<SQLiteConnection>.fromOpaque(context).takeUnretainedValue()
                return connection.mustStop ? 1 : 0
            }, context)
    }

    private var mustStop: Bool {
        if interruption.isRaised { return true }
        guard let deadline else { return false }
        return ContinuousClock.now >= deadline
    }

    /// A locked database is asked again after pauses that grow to 50 ms, until the busy timeout, the deadline or an
    /// interruption. SQLite's own busy timeout knows neither of the last two.
    private func waitWhenBusy() {
        let context = unsafe Unmanaged.passUnretained(self).toOpaque()
        unsafe sqlite3_busy_handler(
            raw,
            { context, attempt in
                guard let context = unsafe context else { return 0 }
                let connection = unsafe Unmanaged<SQLiteConnection>.fromOpaque(context).takeUnretainedValue()
                return connection.pause(attempt: attempt) ? 1 : 0
            }, context)
    }

    private func pause(attempt: Int32) -> Bool {
        let now = ContinuousClock.now
        if attempt == 0 { busySince = now }
        guard !mustStop, now - busySince < busyTimeout else { return false }
        usleep(min(50_000, 1_000 << UInt32(clamping: min(attempt, 10))))
        return true
    }

    func withDeadline<Result, Failure: Error>(
        _ deadline: ContinuousClock.Instant?, _ body: (SQLiteConnection) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        self.deadline = deadline
        defer { self.deadline = nil }
        return try body(self)
    }

    /// A statement ready to run, prepared once for each text.
    package func statement(_ sql: String) throws(SQLiteError) -> SQLiteStatement {
        if let cached = statements[sql] {
            cached.reset()
            return cached
        }
        let statement = try prepare(sql)
        if statements.count >= Self.cachedStatements { statements.removeAll() }
        statements[sql] = statement
        return statement
    }

    /// A statement that is not cached: for texts that rarely come again.
    package func prepare(_ sql: String) throws(SQLiteError) -> SQLiteStatement {
        var prepared: OpaquePointer?
        let status = unsafe sqlite3_prepare_v2(raw, sql, -1, &prepared, nil)
        guard status == SQLITE_OK else { throw failure(status) }
        guard let statement = unsafe prepared else {
            throw SQLiteError(extendedCode: SQLITE_ERROR, message: "empty statement")
        }
        return unsafe SQLiteStatement(raw: statement, connection: raw)
    }

    /// Runs statements that return nothing of interest, separated by `;`.
    package func execute(_ sql: String) throws(SQLiteError) {
        let status = unsafe sqlite3_exec(raw, sql, nil, nil, nil)
        guard status == SQLITE_OK else { throw failure(status) }
    }

    /// All rows of a small result.
    package func rows(_ sql: String, _ parameters: [SQLiteValue] = []) throws(SQLiteError) -> [[SQLiteValue]] {
        let statement = try statement(sql)
        try statement.bind(parameters)
        var rows: [[SQLiteValue]] = []
        while try statement.step() {
            rows.append((0..<statement.columnCount).map(statement.value))
        }
        return rows
    }

    /// The rows changed by the last INSERT, UPDATE or DELETE.
    package var changeCount: Int { unsafe Int(sqlite3_changes(raw)) }

    /// Runs `body` in a transaction that commits when it returns and rolls back when it throws.
    package func transaction<Result>(
        _ kind: TransactionKind = .immediate, _ body: (SQLiteConnection) throws -> Result
    ) throws -> Result {
        try execute(kind.rawValue)
        do {
            let result = try body(self)
            resetStatements()
            try execute("COMMIT")
            return result
        } catch {
            resetStatements()
            // The transaction may already be gone (disk full rolls back by itself): the first error is the one to tell.
            try? execute("ROLLBACK")
            throw error
        }
    }

    /// A statement left half-way would keep its snapshot beyond the transaction's end.
    private func resetStatements() {
        for statement in statements.values { statement.reset() }
    }

    /// How a transaction takes its locks.
    package enum TransactionKind: String, Sendable {
        /// A read snapshot, taken with the first read.
        case deferred = "BEGIN DEFERRED"
        /// The write lock at once.
        case immediate = "BEGIN IMMEDIATE"
    }

    private func failure(_ status: Int32) -> SQLiteError {
        unsafe SQLiteError(extendedCode: status, message: String(cString: sqlite3_errmsg(raw)))
    }
}
