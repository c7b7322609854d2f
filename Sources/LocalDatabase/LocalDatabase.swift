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

    /// Makes the running statement, and all later ones, fail with `interrupted`. Only `close` is of use afterwards.
    package nonisolated func interrupt() {
        interruption.raise()
    }

    /// Closes the connection, behind the calls that wait already.
    package func close() {
        connection = nil
    }

    /// The version of the SQLite library in use, as in `3.40.1`.
    package static var libraryVersion: String { SQLiteLibrary.version }
}
