import FeatureModel
import Glibc
import LocalDatabase

/// A home of rows in one SQLite file: the embedded store. Free to share; several processes may open the same file.
///
/// One connection writes, one reads; each call is one transaction within the deadline of the options. A file that is taken
/// away or replaced under the store ends all sessions, and the next call opens what is at the path then.
package actor SQLiteStore: OnlineStore {
    /// Margins and limits.
    package struct Options: Sendable {
        /// How long one call may take, waiting for locks included.
        package var timeout: Duration
        /// How large the file may grow, in bytes; `nil` for no limit but the disk's. Beyond it writes throw `writesRefused`.
        package var maximumBytes: Int64?
        /// The clock of expiry, leases and tokens: milliseconds since 1970.
        package var now: @Sendable () -> Int64

        package init(
            timeout: Duration = .seconds(5), maximumBytes: Int64? = nil,
            now: @escaping @Sendable () -> Int64 = Self.systemClock
        ) {
            self.timeout = timeout
            self.maximumBytes = maximumBytes
            self.now = now
        }

        /// The system's wall clock: milliseconds since 1970.
        package static let systemClock: @Sendable () -> Int64 = {
            var time = timespec()
            unsafe clock_gettime(CLOCK_REALTIME, &time)
            return Int64(time.tv_sec) * 1_000 + Int64(time.tv_nsec) / 1_000_000
        }
    }

    private struct Connections {
        let writer: LocalDatabase
        let reader: LocalDatabase
        let file: FileIdentity
        let generation: Int
    }

    let path: String
    /// Scopes leases, documents, journals and collections.
    let project: String
    let options: Options
    private var connections: Connections?
    private var lastGeneration = 0
    private var isClosed = false

    /// Opens the file, which is made if it is missing.
    ///
    /// - Throws: `misconfigured` when the file can't be opened or is not a store of this version.
    package init(path: String, project: String, options: Options = Options()) async throws(StoreError) {
        self.path = path
        self.project = project
        self.options = options
        _ = try await current()
    }

    package func close() async {
        isClosed = true
        let closing = connections
        connections = nil
        await closing?.reader.close()
        await closing?.writer.close()
    }

    /// Ends all sessions and opens the file anew, as a replaced file would.
    package func loseSessions() async {
        let losing = connections
        connections = nil
        await losing?.reader.close()
        await losing?.writer.close()
    }

    /// Changes when the file was opened anew: sessions of an earlier one are over.
    var generation: Int { connections?.generation ?? -1 }

    // MARK: Connections

    private func current() async throws(StoreError) -> Connections {
        let closed = StoreError(.unavailable, "the store is closed", detail: path)
        guard !isClosed else { throw closed }
        if let open = connections {
            if FileIdentity(path) == open.file { return open }
            connections = nil
            await open.reader.close()
            await open.writer.close()
            if let other = connections { return other }
        }
        let opened = try await open()
        // Another call may have opened the file, or closed the store, while this one waited.
        if isClosed || connections != nil {
            await opened.reader.close()
            await opened.writer.close()
        }
        guard !isClosed else { throw closed }
        if let other = connections { return other }
        connections = opened
        return opened
    }

    private func open() async throws(StoreError) -> Connections {
        let writer: LocalDatabase
        do {
            writer = try await connect(.create)
        } catch {
            throw StoreError(.misconfigured, "the store's file can't be opened", detail: "\(path): \(error)")
        }
        do {
            let options = options
            try await writer.run(deadline: .now + options.timeout) { connection in
                try SQLiteStoreSchema.prepare(connection, maximumBytes: options.maximumBytes)
            }
            let reader = try await connect(.readOnly)
            guard let file = FileIdentity(path) else {
                throw StoreError(.unavailable, "the store's file has gone", detail: path)
            }
            lastGeneration += 1
            return Connections(writer: writer, reader: reader, file: file, generation: lastGeneration)
        } catch {
            await writer.close()
            throw StoreError(any: error, writing: true, path)
        }
    }

    private func connect(_ access: LocalDatabase.Configuration.Access) async throws(SQLiteError) -> LocalDatabase {
        try await LocalDatabase(
            .init(path: path, access: access, busyTimeoutMilliseconds: Int(options.timeout.wholeMilliseconds)))
    }

    /// Runs `body` in one read transaction.
    func read<Result: Sendable>(
        _ body: @Sendable (SQLiteStoreTables) throws -> Result
    ) async throws(StoreError) -> Result {
        let reader = try await current().reader
        let (project, now) = (project, options.now())
        do {
            return try await reader.run(deadline: .now + options.timeout) { connection in
                try connection.transaction(.deferred) { connection in
                    try body(SQLiteStoreTables(connection: connection, project: project, now: now))
                }
            }
        } catch {
            throw StoreError(any: error, writing: false, path)
        }
    }

    /// Runs `body` in one write transaction. `generation`: that of the session it belongs to, if any.
    func write<Result: Sendable>(
        generation: Int? = nil, _ body: @Sendable (SQLiteStoreTables) throws -> Result
    ) async throws(StoreError) -> Result {
        let open = try await current()
        if let generation, generation != open.generation {
            throw StoreError(.sessionLost, "the session is over", detail: "the store's file was opened anew")
        }
        let (project, now) = (project, options.now())
        do {
            return try await open.writer.run(deadline: .now + options.timeout) { connection in
                try connection.transaction { connection in
                    try body(SQLiteStoreTables(connection: connection, project: project, now: now))
                }
            }
        } catch {
            throw StoreError(any: error, writing: true, path)
        }
    }

    /// Runs `body` in one write transaction; when it throws a `Refusal`, takes everything back and returns `false`.
    func write<Refusal: Error>(
        orFalse refusal: Refusal.Type, _ body: @Sendable (SQLiteStoreTables) throws -> Void
    ) async throws(StoreError) -> Bool {
        let open = try await current()
        let (project, now) = (project, options.now())
        do {
            try await open.writer.run(deadline: .now + options.timeout) { connection in
                try connection.transaction { connection in
                    try body(SQLiteStoreTables(connection: connection, project: project, now: now))
                }
            }
            return true
        } catch is Refusal {
            return false
        } catch {
            throw StoreError(any: error, writing: true, path)
        }
    }

    /// Runs `body` on the writing connection outside of a transaction.
    func inspect<Result: Sendable>(
        timeout: Duration, _ body: @Sendable (SQLiteConnection) throws -> Result
    ) async throws(StoreError) -> Result {
        let writer = try await current().writer
        do {
            return try await writer.run(deadline: .now + timeout, body)
        } catch {
            throw StoreError(any: error, writing: false, path)
        }
    }
}

/// Which file is at a path.
struct FileIdentity: Hashable, Sendable {
    private let device: UInt64
    private let inode: UInt64

    /// `nil` when there is none.
    init?(_ path: String) {
        var status = stat()
        guard unsafe stat(path, &status) == 0 else { return nil }
        device = UInt64(status.st_dev)
        inode = UInt64(status.st_ino)
    }
}

extension StoreError {
    /// What SQLite's refusal means for the caller.
    init(_ error: SQLiteError, writing: Bool, _ path: String) {
        let detail = "\(path): \(error)"
        switch error.code {
        case .busy: self.init(.unavailable, "the store's file stayed locked", detail: detail)
        case .full: self.init(.writesRefused, "the store's disk is full", detail: detail)
        case .readOnly: self.init(.writesRefused, "the store's file can't be written", detail: detail)
        case .inputOutput:
            self.init(writing ? .writesRefused : .unavailable, "the store's disk has trouble", detail: detail)
        case .cannotOpen, .other: self.init(.unavailable, "the store's file can't be used", detail: detail)
        case .corrupt: self.init(.corrupt, "the store's file is damaged or not a database", detail: detail)
        case .interrupted: self.init(.deadlineExceeded, "the store did not answer in time", detail: detail)
        case .tooBig: self.init(.tooLarge, "a value exceeds SQLite's limits", detail: detail)
        case .constraint, .statement:
            self.init(.corrupt, "the store's file lacks what it should have", detail: detail)
        }
    }

    /// What anything thrown inside a transaction means for the caller.
    init(any error: any Error, writing: Bool, _ path: String) {
        if let known = error as? StoreError {
            self = known
        } else if let refusal = error as? SQLiteError {
            self.init(refusal, writing: writing, path)
        } else {
            self.init(.unavailable, "the store's file can't be used", detail: "\(path): \(error)")
        }
    }
}
