import CPostgres
import Dispatch
import Glibc
import Synchronization

/// One cell of a result.
enum PostgresCell: Equatable {
    case null
    case text(String)
    /// Bytes that are no UTF-8, which only a database of encoding `SQL_ASCII` sends.
    case undecodable
}

/// One `PGresult`: a row as it streams in, or the end of a statement with its columns.
@safe struct PostgresResult: ~Copyable {
    private let raw: OpaquePointer

    fileprivate init(_ raw: OpaquePointer) {
        unsafe self.raw = raw
    }

    deinit { unsafe PQclear(raw) }

    fileprivate var status: ExecStatusType { unsafe PQresultStatus(raw) }

    var columnCount: Int { Int(unsafe PQnfields(raw)) }

    func name(_ column: Int) -> String {
        guard let name = unsafe PQfname(raw, Int32(column)) else { return "" }
        return unsafe String(cString: name)
    }

    /// The column's type by its oid; a domain shows as its base type.
    func type(_ column: Int) -> UInt32 { unsafe PQftype(raw, Int32(column)) }

    /// A cell of the row. A column out of range reads as null.
    func cell(_ column: Int) -> PostgresCell {
        guard unsafe PQgetisnull(raw, 0, Int32(column)) == 0, let start = unsafe PQgetvalue(raw, 0, Int32(column))
        else { return .null }
        let length = Int(unsafe PQgetlength(raw, 0, Int32(column)))
        let bytes = unsafe UnsafeRawBufferPointer(start: start, count: length)
        return unsafe String(validating: bytes, as: UTF8.self).map(PostgresCell.text) ?? .undecodable
    }

    /// The bytes of all cells of the row.
    fileprivate var byteCount: Int {
        (0..<Int32(columnCount)).reduce(0) { $0 + Int(unsafe PQgetlength(raw, 0, $1)) }
    }

    fileprivate func field(_ code: UInt8) -> String {
        guard let text = unsafe PQresultErrorField(raw, Int32(code)) else { return "" }
        return unsafe String(cString: text)
    }

    fileprivate var message: String {
        guard let text = unsafe PQresultErrorMessage(raw) else { return "" }
        return unsafe String(cString: text)
    }
}

/// What is sent to the server.
enum PostgresCommand {
    /// One statement with its parameters, as text.
    case statement(String, [String?])
    case prepare(name: String, String)
    case prepared(name: String, [String?])
}

/// A libpq connection that never blocks past a deadline. One caller at a time; it may move between threads.
@safe struct PostgresHandle: ~Copyable {
    private let raw: OpaquePointer
    private let target: PostgresTarget
    private let interrupt: PostgresInterrupt

    deinit { unsafe PQfinish(raw) }

    /// Takes over a connection that was started.
    private init(_ raw: OpaquePointer, target: PostgresTarget, interrupt: PostgresInterrupt) {
        unsafe self.raw = raw
        self.target = target
        self.interrupt = interrupt
    }

    /// Connects. A host's name is resolved by the system's resolver, in its own time.
    static func connect(
        to target: PostgresTarget, applicationName: String, interrupt: PostgresInterrupt,
        deadline: ContinuousClock.Instant
    ) throws(PostgresFailure) -> PostgresHandle {
        let started = unsafe withCStrings(["dbname", "fallback_application_name", "client_encoding"]) { keywords in
            unsafe withCStrings([target.url, applicationName, "UTF8"]) { values in
                unsafe PQconnectStartParams(keywords, values, 1)
            }
        }
        guard let started = unsafe started else { throw .lost(.unavailable, "out of memory for a connection") }
        let handle = unsafe PostgresHandle(started, target: target, interrupt: interrupt)
        try handle.handshake(deadline: deadline)
        return handle
    }

    /// Whether an idle connection has not been closed by the server, as far as this side has heard.
    var isAlive: Bool {
        // The server's last words come before the end of the stream, notices may come any time.
        for _ in 0..<8 {
            var watched = pollfd(fd: unsafe PQsocket(raw), events: Int16(POLLIN), revents: 0)
            guard watched.fd >= 0 else { return false }
            guard unsafe poll(&watched, 1, 0) > 0 else { return true }
            guard unsafe PQconsumeInput(raw) == 1, unsafe PQstatus(raw) == CONNECTION_OK else { return false }
        }
        return false
    }

    /// As in `150004`.
    var serverVersion: Int { Int(unsafe PQserverVersion(raw)) }

    /// Runs a command to its end, row by row. What `each` throws drops the connection, as does a result larger than
    /// `maximumBytes` in all cells.
    ///
    /// - Returns: The end of the statement, with its columns and no row.
    func run(
        _ command: PostgresCommand, maximumBytes: Int, deadline: ContinuousClock.Instant,
        each: (borrowing PostgresResult) throws(PostgresFailure) -> Void
    ) throws(PostgresFailure) -> PostgresResult {
        guard send(command) == 1 else { throw lost() }
        _ = unsafe PQsetSingleRowMode(raw)
        do {
            try flush(deadline: deadline)
            return try collect(maximumBytes: maximumBytes, deadline: deadline, each: each)
        } catch {
            if error.dropsConnection { cancel() }
            throw error
        }
    }

    private func collect(
        maximumBytes: Int, deadline: ContinuousClock.Instant,
        each: (borrowing PostgresResult) throws(PostgresFailure) -> Void
    ) throws(PostgresFailure) -> PostgresResult {
        var end: PostgresResult?
        var failure: PostgresFailure?
        var bytes = 0
        while true {
            while unsafe PQisBusy(raw) == 1 {
                try wait(for: POLLIN, until: deadline)
                guard unsafe PQconsumeInput(raw) == 1 else { throw lost() }
            }
            guard let next = unsafe PQgetResult(raw) else { break }
            let result = unsafe PostgresResult(next)
            switch result.status {
            case PGRES_SINGLE_TUPLE:
                bytes += result.byteCount
                guard bytes <= maximumBytes else {
                    throw .lost(
                        .tooLarge, "the rows of one page are too large", detail: "\(maximumBytes) bytes allowed")
                }
                try dropping(each, result)
            case PGRES_TUPLES_OK, PGRES_COMMAND_OK: end = consume result
            case PGRES_FATAL_ERROR: failure = serverFailure(result)
            default: throw .lost(.misconfigured, "the statement is neither a query nor a plain command")
            }
        }
        if let failure { throw failure }
        guard let end else { throw lost() }
        return end
    }

    /// A caller that gives up half-way leaves rows in flight: the connection goes with it.
    private func dropping(
        _ each: (borrowing PostgresResult) throws(PostgresFailure) -> Void, _ result: borrowing PostgresResult
    ) throws(PostgresFailure) {
        do {
            try each(result)
        } catch {
            throw PostgresFailure(error.error, state: error.state, dropsConnection: true)
        }
    }

    private func send(_ command: PostgresCommand) -> Int32 {
        switch command {
        case .statement(let sql, let parameters):
            unsafe withCStrings(parameters) {
                unsafe PQsendQueryParams(raw, sql, Int32(parameters.count), nil, $0, nil, nil, 0)
            }
        case .prepare(let name, let sql): unsafe PQsendPrepare(raw, name, sql, 0, nil)
        case .prepared(let name, let parameters):
            unsafe withCStrings(parameters) {
                unsafe PQsendQueryPrepared(raw, name, Int32(parameters.count), $0, nil, nil, 0)
            }
        }
    }

    private func flush(deadline: ContinuousClock.Instant) throws(PostgresFailure) {
        while true {
            switch unsafe PQflush(raw) {
            case 0: return
            case 1:
                // The server may have to be read before it takes more.
                try wait(for: POLLIN | POLLOUT, until: deadline)
                guard unsafe PQconsumeInput(raw) == 1 else { throw lost() }
            default: throw lost()
            }
        }
    }

    private func handshake(deadline: ContinuousClock.Instant) throws(PostgresFailure) {
        guard unsafe PQstatus(raw) != CONNECTION_BAD else { throw connectFailure() }
        unsafe PQsetNoticeProcessor(raw, { _, _ in }, nil)
        // Only the verbose form of a refused connection carries the SQLSTATE; there is no call for it.
        _ = unsafe PQsetErrorVerbosity(raw, PQERRORS_VERBOSE)
        var wanted = PGRES_POLLING_WRITING
        while true {
            switch wanted {
            case PGRES_POLLING_OK:
                _ = unsafe PQsetErrorVerbosity(raw, PQERRORS_DEFAULT)
                guard unsafe PQsetnonblocking(raw, 1) == 0 else { throw connectFailure() }
                return
            case PGRES_POLLING_READING: try wait(for: POLLIN, until: deadline)
            case PGRES_POLLING_WRITING: try wait(for: POLLOUT, until: deadline)
            default: throw connectFailure()
            }
            wanted = unsafe PQconnectPoll(raw)
        }
    }

    private func wait(for events: Int32, until deadline: ContinuousClock.Instant) throws(PostgresFailure) {
        while true {
            guard !interrupt.isFired else { throw .lost(.unavailable, "the reader was closed") }
            let left = (deadline - .now).wholeMicrosecondsUp
            guard left > 0 else { throw .lost(.deadlineExceeded, "PostgreSQL did not answer in time") }
            var watched = [
                pollfd(fd: unsafe PQsocket(raw), events: Int16(events), revents: 0),
                pollfd(fd: interrupt.descriptor, events: Int16(POLLIN), revents: 0),
            ]
            guard watched[0].fd >= 0 else { throw lost() }
            let ready = unsafe poll(&watched, 2, Int32(clamping: (left + 999) / 1_000))
            if ready < 0, errno != EINTR { throw lost() }
            if ready > 0, watched[0].revents != 0 { return }
        }
    }
}

extension PostgresHandle {
    /// Asks the server to stop what it runs. The request goes over a connection of its own that libpq can only block on,
    /// so it is made on a queue beside this one; while the server does not answer at most `maximumCancels` wait there.
    private func cancel() {
        guard let request = unsafe PQgetCancel(raw) else { return }
        guard Self.pendingCancels.add(1, ordering: .relaxed).newValue <= Self.maximumCancels else {
            Self.pendingCancels.subtract(1, ordering: .relaxed)
            return unsafe PQfreeCancel(request)
        }
        // A PGcancel is a copy of address and key, made for use from another thread; this closure alone holds it.
        nonisolated(unsafe) let owned = unsafe request
        Self.cancelQueue.async {
            var text = [CChar](repeating: 0, count: 256)
            _ = unsafe PQcancel(owned, &text, Int32(text.count))
            unsafe PQfreeCancel(owned)
            Self.pendingCancels.subtract(1, ordering: .relaxed)
        }
    }

    private static let maximumCancels = 8
    private static let pendingCancels = Atomic<Int>(0)
    private static let cancelQueue = DispatchQueue(label: "tidemark.postgres.cancel")

    private var errorText: String {
        guard let text = unsafe PQerrorMessage(raw) else { return "" }
        return target.redact(unsafe String(cString: text))
    }

    private func lost() -> PostgresFailure {
        .lost(.unavailable, "the connection to PostgreSQL broke", detail: errorText)
    }

    private func serverFailure(_ result: borrowing PostgresResult) -> PostgresFailure {
        let state = result.field(UInt8(ascii: "C"))
        let primary = result.field(UInt8(ascii: "M"))
        let hint = result.field(UInt8(ascii: "H"))
        let text = primary.isEmpty ? result.message : hint.isEmpty ? primary : "\(primary); \(hint)"
        let failure = PostgresFailure.server(state: state, text: String(target.redact(text).prefix(400)))
        guard unsafe PQstatus(raw) == CONNECTION_BAD else { return failure }
        return PostgresFailure(failure.error, state: state, dropsConnection: true)
    }

    /// Tells a refusal, which an operator must mend, from a server that is away.
    private func connectFailure() -> PostgresFailure {
        let text = errorText
        let state = Self.state(inConnectError: text)
        let first = text.split(separator: ";").first.map(String.init) ?? ""
        let needsPassword = unsafe PQconnectionNeedsPassword(raw) == 1
        let isRefused = ["28", "3D", "42"].contains { state.hasPrefix($0) } || needsPassword
        return PostgresFailure(
            ExtractionError(
                isRefused ? .misconfigured : .unavailable,
                isRefused ? "PostgreSQL refuses the connection" : "PostgreSQL is not reachable", detail: first),
            state: state, dropsConnection: true)
    }

    /// Finds the `28P01` of `… failed: FATAL:  28P01: password authentication failed …`.
    private static func state(inConnectError text: String) -> String {
        for part in text.split(separator: ":") {
            let word = part.drop { $0 == " " }
            if word.utf8.count == 5, word.utf8.allSatisfy({ (48...57).contains($0) || (65...90).contains($0) }),
                word.utf8.contains(where: { (48...57).contains($0) })
            {
                return String(word)
            }
        }
        return ""
    }
}

extension Duration {
    /// Whole microseconds, rounded away from zero for what is left of a wait.
    fileprivate var wholeMicrosecondsUp: Int64 {
        let (seconds, attoseconds) = components
        return seconds * 1_000_000 + (attoseconds + 999_999_999_999) / 1_000_000_000_000
    }
}
