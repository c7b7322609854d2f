/// One SQLite connection on a thread of its own.
///
/// Several instances on one file are several connections: SQLite's own locking applies. Closing happens when the last
/// reference goes or with `close`, after which calls throw `cannotOpen`.
package actor LocalDatabase {
    /// How a database is opened.
    package struct Configuration: Sendable {
        /// What may be done with the file.
        package enum Access: Sendable {
            case readOnly
            case readWrite
            /// Read and write; the file is made if it is missing.
            case create
        }

        /// A file, or `:memory:`.
        package var path: String
        package var access: Access
        /// How long a locked database is waited for.
        package var busyTimeoutMilliseconds: Int
        /// Run once when the connection opens: PRAGMAs and the schema.
        package var setup: String

        package init(
            path: String, access: Access = .create, busyTimeoutMilliseconds: Int = 5_000, setup: String = ""
        ) {
            self.path = path
            self.access = access
            self.busyTimeoutMilliseconds = busyTimeoutMilliseconds
            self.setup = setup
        }
    }

    private let executor: QueueExecutor
    private let interruption = Interruption()
    private var connection: SQLiteConnection?
    /// The query that `beginQuery` started.
    private var query: SQLiteStatement?

    package nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe executor.asUnownedSerialExecutor() }

    /// Opens the database. WAL or not is the `setup`'s choice.
    package init(_ configuration: Configuration) async throws(SQLiteError) {
        executor = QueueExecutor(label: "sqlite")
        try open(configuration)
    }

    private func open(_ configuration: Configuration) throws(SQLiteError) {
        let opened = try SQLiteConnection(configuration, interruption: interruption)
        if !configuration.setup.isEmpty { try opened.execute(configuration.setup) }
        connection = opened
    }

    /// Runs `body` with the connection, on its thread. Statements past the deadline fail with `interrupted`.
    ///
    /// `body` must leave no transaction open and no statement half-way: use `transaction` and step to the end or `reset`.
    package func run<Result: Sendable>(
        deadline: ContinuousClock.Instant? = nil, _ body: @Sendable (SQLiteConnection) throws -> Result
    ) throws -> Result {
        guard let connection else { throw SQLiteError(extendedCode: 14, message: "the database is closed") }
        return try connection.withDeadline(deadline) { (open) throws in try body(open) }
    }

    /// Prepares a query whose rows `continueQuery` steps through, and returns its columns. From its first row to its last it
    /// holds a snapshot; only `close` ends it sooner. The connection is for nothing else meanwhile.
    package func beginQuery(_ sql: String) throws(SQLiteError) -> [String] {
        guard let connection else { throw SQLiteError(extendedCode: 14, message: "the database is closed") }
        let statement = try connection.prepare(sql)
        guard statement.columnCount > 0, statement.parameterCount == 0 else {
            let reason = statement.columnCount == 0 ? "the statement returns no columns" : "the query has parameters"
            throw SQLiteError(extendedCode: 1, message: reason)
        }
        query = statement
        return (0..<statement.columnCount).map(statement.columnName)
    }

    /// Runs `body` with the query that was begun, to step some of its rows. Steps past the deadline fail with `interrupted`;
    /// after any failure only `close` is of use.
    package func continueQuery<Result: Sendable>(
        deadline: ContinuousClock.Instant, _ body: @Sendable (SQLiteStatement) throws -> Result
    ) throws -> Result {
        guard let connection, let query else {
            throw SQLiteError(extendedCode: 14, message: "the query is closed")
        }
        do {
            return try connection.withDeadline(deadline) { (_) throws in try body(query) }
        } catch {
            self.query = nil
            throw error
        }
    }

    /// Makes the running statement, and all later ones, fail with `interrupted`. Only `close` is of use afterwards.
    package nonisolated func interrupt() {
        interruption.raise()
    }

    /// Closes the connection, behind the calls that wait already.
    package func close() {
        query = nil
        connection = nil
    }

    /// The version of the SQLite library in use, as in `3.40.1`.
    package static var libraryVersion: String { SQLiteLibrary.version }
}
