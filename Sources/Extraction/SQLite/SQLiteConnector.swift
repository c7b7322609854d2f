package import FeatureModel
import Glibc
import LocalDatabase

/// A SQLite file as a source.
///
/// Readers open the file read-only, one connection each, and hold no transaction between calls. Only `install` and `prune`
/// write, on connections of their own that live no longer than the call.
package struct SQLiteConnector: SourceConnector {
    /// Margins and limits of a SQLite source.
    package struct Options: Sendable {
        /// How long one call may take.
        package var statementTimeout: Duration
        /// How long a locked database is waited for.
        package var busyTimeout: Duration
        /// How long tracked changes are kept at least, though every reader may have passed them.
        package var logRetention: Duration
        /// The source's clock: microseconds since 1970.
        package var now: @Sendable () -> Int64

        package init(
            statementTimeout: Duration = .seconds(30), busyTimeout: Duration = .seconds(5),
            logRetention: Duration = .seconds(3 * 86_400), now: @escaping @Sendable () -> Int64 = Self.systemClock
        ) {
            self.statementTimeout = statementTimeout
            self.busyTimeout = busyTimeout
            self.logRetention = logRetention
            self.now = now
        }

        /// The system's wall clock: microseconds since 1970.
        package static let systemClock: @Sendable () -> Int64 = {
            var time = timespec()
            unsafe clock_gettime(CLOCK_REALTIME, &time)
            return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1_000
        }
    }

    let path: String
    let options: Options

    /// The file need not exist yet; opening readers fails with `unavailable` until it does.
    package init(path: String, options: Options = Options()) {
        self.path = path
        self.options = options
    }

    /// Opens a reader of one view. Each reader has a connection of its own.
    package func open(_ view: FeatureView) async throws(ExtractionError) -> any ViewReader {
        try await reader(view)
    }

    private func reader(_ view: FeatureView) async throws(ExtractionError) -> SQLiteReader {
        try await SQLiteReader(view, path: path, options: options)
    }

    /// The statements that create the change log and the triggers of a `tracked` view; none for others.
    package func installStatements(for view: FeatureView) async throws(ExtractionError) -> [String] {
        guard case .tracked(let table) = view.source.watermark else { return [] }
        let tracking = try SQLiteTracking(table, view: view.name)
        return try await SQLiteFile.use(path, .readOnly, options) { connection in
            try tracking.installStatements(connection)
        }
    }

    /// Runs `installStatements` in one transaction.
    package func install(for view: FeatureView) async throws(ExtractionError) {
        guard case .tracked(let table) = view.source.watermark else { return }
        let tracking = try SQLiteTracking(table, view: view.name)
        try await SQLiteFile.use(path, .readWrite, options) { connection in
            try connection.transaction { connection in
                for statement in try tracking.installStatements(connection) { try connection.execute(statement) }
                try tracking.requireInstalled(connection)
            }
        }
    }

    /// Reachability, journal mode, library, and each view's tracking.
    package func diagnose(_ views: [FeatureView]) async -> [SourceFinding] {
        var findings: [SourceFinding] = []
        do {
            findings += try await SQLiteFile.use(path, .readOnly, options) { connection in
                try Self.examine(connection)
            }
        } catch {
            return [SourceFinding(check: "reachable", grade: .bad, text: error.description)]
        }
        for view in views {
            do {
                let reader = try await reader(view)
                findings += try await reader.findings()
                await reader.close()
            } catch {
                findings.append(SourceFinding(check: "view \(view.name)", grade: .bad, text: error.description))
            }
        }
        return findings
    }

    private static func examine(_ connection: SQLiteConnection) throws -> [SourceFinding] {
        let mode = try connection.rows("PRAGMA journal_mode").first?.first
        var findings = [
            SourceFinding(check: "reachable", grade: .good, text: "SQLite \(LocalDatabase.libraryVersion), read-only")
        ]
        if case .text(let name) = mode {
            let isLogged = name == "wal"
            findings.append(
                SourceFinding(
                    check: "journal", grade: isLogged ? .good : .warning,
                    text: isLogged
                        ? "WAL: readers and the writer do not wait for each other"
                        : "journal_mode is \(name): reads wait for writers; PRAGMA journal_mode=WAL avoids that"))
        }
        return findings
    }

    /// Nothing is held between calls.
    package func close() async {}
}
