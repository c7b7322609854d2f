import FeatureModel

/// A connection that comes up when it is needed, with its settings, and goes when it breaks. One caller at a time.
package struct PostgresSession: ~Copyable {
    let target: PostgresTarget
    let options: PostgresOptions
    let interrupt: PostgresInterrupt
    private var handle: PostgresHandle?
    /// Names of prepared statements by their text.
    private var prepared: [String: String] = [:]
    /// Counts connections, so that what was learnt on one is not trusted on the next.
    private(set) var generation = 0

    package init(_ target: PostgresTarget, options: PostgresOptions = .init(), interrupt: PostgresInterrupt = .init()) {
        self.target = target
        self.options = options
        self.interrupt = interrupt
    }

    /// The absolute deadline of a call that starts now.
    var callDeadline: ContinuousClock.Instant { .now + options.statementTimeout + .seconds(1) }

    /// Connects unless it is connected. Returns the server's version, as in `150004`.
    @discardableResult
    package mutating func connect(deadline: ContinuousClock.Instant) throws(PostgresFailure) -> Int {
        if let version = handle?.serverVersion { return version }
        let limit = min(deadline, .now + options.connectTimeout)
        let fresh = try PostgresHandle.connect(
            to: target, applicationName: options.applicationName, interrupt: interrupt, deadline: limit)
        let version = fresh.serverVersion
        handle = consume fresh
        prepared = [:]
        generation += 1
        try setUp(deadline: limit)
        return version
    }

    /// Drops a connection that the server has closed since it was used, so that the next statement makes another.
    mutating func dropIfClosed() {
        if let isAlive = handle?.isAlive, !isAlive { disconnect() }
    }

    /// Closes the connection.
    package mutating func disconnect() {
        handle = nil
        prepared = [:]
    }

    /// Runs one statement and hands over its rows.
    @discardableResult
    mutating func run(
        _ sql: String, _ parameters: [String?] = [], deadline: ContinuousClock.Instant,
        each: (borrowing PostgresResult) throws(PostgresFailure) -> Void = { (_) throws(PostgresFailure) in }
    ) throws(PostgresFailure) -> PostgresColumns {
        try connect(deadline: deadline)
        return try command(.statement(sql, parameters), deadline: deadline, each: each)
    }

    /// Runs one statement that is parsed and planned once a connection.
    mutating func runPrepared(
        _ sql: String, _ parameters: [String?], deadline: ContinuousClock.Instant,
        each: (borrowing PostgresResult) throws(PostgresFailure) -> Void
    ) throws(PostgresFailure) {
        try connect(deadline: deadline)
        let name: String
        if let known = prepared[sql] {
            name = known
        } else {
            name = "tidemark_\(prepared.count)"
            try command(.prepare(name: name, sql), deadline: deadline) { (_) throws(PostgresFailure) in }
            prepared[sql] = name
        }
        try command(.prepared(name: name, parameters), deadline: deadline, each: each)
    }

    /// Has the server parse a statement, which names unknown columns and operators, without running it.
    mutating func validate(_ sql: String, deadline: ContinuousClock.Instant) throws(PostgresFailure) {
        try connect(deadline: deadline)
        try command(.prepare(name: "", sql), deadline: deadline) { (_) throws(PostgresFailure) in }
    }

    /// Runs one statement and returns its rows as texts. For statements with few rows.
    package mutating func rows(
        _ sql: String, _ parameters: [String?] = [], deadline: ContinuousClock.Instant
    ) throws(PostgresFailure) -> [[String?]] {
        var rows: [[String?]] = []
        try run(sql, parameters, deadline: deadline) { (row) throws(PostgresFailure) in
            rows.append((0..<row.columnCount).map { row.text($0) })
        }
        return rows
    }

    /// Runs statements in one snapshot of the source, read only.
    mutating func inSnapshot<Result>(
        deadline: ContinuousClock.Instant,
        _ body: (inout PostgresSession) throws(PostgresFailure) -> Result
    ) throws(PostgresFailure) -> Result {
        try run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", deadline: deadline)
        do {
            let result = try body(&self)
            try run("COMMIT", deadline: deadline)
            return result
        } catch {
            rollBack()
            throw error
        }
    }

    /// Leaves no transaction behind: where a rollback is not answered at once, the connection goes.
    private mutating func rollBack() {
        guard handle != nil else { return }
        do {
            try command(.statement("ROLLBACK", []), deadline: .now + .seconds(1)) { (_) throws(PostgresFailure) in }
        } catch {
            disconnect()
        }
    }

    @discardableResult
    private mutating func command(
        _ command: PostgresCommand, deadline: ContinuousClock.Instant,
        each: (borrowing PostgresResult) throws(PostgresFailure) -> Void
    ) throws(PostgresFailure) -> PostgresColumns {
        let limit = options.maximumResultBytes
        do throws(PostgresFailure) {
            guard let end = try handle?.run(command, maximumBytes: limit, deadline: deadline, each: each) else {
                throw PostgresFailure.lost(.unavailable, "the connection to PostgreSQL broke")
            }
            return PostgresColumns(end)
        } catch {
            if error.dropsConnection { disconnect() }
            throw error
        }
    }

    /// Fixes what the texts of values look like and how long statements may take, whatever the server's defaults are.
    private mutating func setUp(deadline: ContinuousClock.Instant) throws(PostgresFailure) {
        let settings = [
            ("statement_timeout", "\(max(1, options.statementTimeout.wholeMilliseconds))"),
            ("lock_timeout", "\(max(1, options.lockTimeout.wholeMilliseconds))"),
            ("idle_in_transaction_session_timeout", "\(max(1, options.statementTimeout.wholeMilliseconds * 2))"),
            ("datestyle", "ISO, YMD"), ("timezone", "UTC"), ("bytea_output", "hex"), ("extra_float_digits", "1"),
            ("standard_conforming_strings", "on"),
        ]
        let calls = settings.indices.map { "set_config($\($0 * 2 + 1), $\($0 * 2 + 2), false)" }
        let parameters = settings.flatMap { [$0.0, $0.1] }
        do {
            try command(.statement("SELECT \(calls.joined(separator: ", "))", parameters), deadline: deadline) {
                (_) throws(PostgresFailure) in
            }
        } catch {
            disconnect()
            throw error
        }
    }
}

extension PostgresResult {
    /// A cell as text; `nil` for null and for what is no text.
    func text(_ column: Int) -> String? {
        if case .text(let text) = cell(column) { text } else { nil }
    }
}

/// The columns of a result: names and types, in order.
package struct PostgresColumns: Hashable, Sendable {
    let names: [String]
    /// Oids.
    let types: [UInt32]

    init(names: [String], types: [UInt32]) {
        self.names = names
        self.types = types
    }

    init(_ result: borrowing PostgresResult) {
        var names: [String] = []
        var types: [UInt32] = []
        for column in 0..<result.columnCount {
            names.append(result.name(column))
            types.append(result.type(column))
        }
        self.init(names: names, types: types)
    }

    /// The type of a column; `nil` where there is none of that name, or more than one.
    func type(of name: String) -> UInt32? {
        guard let first = names.firstIndex(of: name), names.lastIndex(of: name) == first else { return nil }
        return types[first]
    }
}
