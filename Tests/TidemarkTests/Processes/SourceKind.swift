import Testing
import TidemarkTesting

/// The kinds of databases that process tests read from.
enum SourceKind: String, CaseIterable, Sendable, CustomTestStringConvertible {
    case sqlite
    case postgresql

    var testDescription: String { rawValue }

    /// The kinds that can run here.
    static let available = allCases.filter { $0 != .postgresql || PostgresServer.isAvailable }

    /// Makes an empty database; `ownServer` where a test stops its server.
    func make(in workdir: Workdir, ownServer: Bool) async throws -> any SourceDatabase {
        switch self {
        case .sqlite: try await SQLiteSource(path: workdir.file("bank.db"))
        case .postgresql: try await PostgresSource(ownServer: ownServer)
        }
    }

    /// Whether a fault can happen to it.
    func knows(_ fault: Fault) -> Bool {
        switch fault {
        // A file has no server, and one writer at a time: nobody overtakes a transaction.
        case .restartSource, .lateCommit: self == .postgresql
        default: true
        }
    }
}

/// What can happen to a PostgreSQL alone.
struct PostgresTrouble: Sendable {
    let source: PostgresSource

    /// Dies as in a crash, and comes back.
    func restart() async throws {
        try await source.server.stop(immediately: true)
        try await source.server.restart()
    }

    /// A transaction that takes its number first and ends after many others have; one in three is rolled back.
    ///
    /// Its accounts are its own (`number` from 1 000 000 000 on), so that it waits for nobody's locks.
    func commitLate(number: Int, seconds: Double, rollsBack: Bool) async throws {
        let client = try source.makeClient()
        let id = 1_000_000_000 + number * 10
        do {
            try await client.run(all: [
                "BEGIN",
                "INSERT INTO account VALUES (\(id), 'late', 1, 1, 0, 0), (\(id + 1), 'late', 1, 1, 0, 0)",
                "INSERT INTO entry VALUES (\(id), \(id), 5), (\(id + 1), \(id), 7)",
            ])
            try await Task.sleep(for: .seconds(seconds))
            try await client.run(all: [
                "UPDATE account SET balance = 2 WHERE id = \(id)",
                "UPDATE account SET id = \(id + 2) WHERE id = \(id + 1)",
                "DELETE FROM account WHERE id IN (\(id - 10), \(id - 8))",
                "UPDATE entry SET amount = 6, account_id = account_id + 1 WHERE id = \(id)",
                rollsBack ? "ROLLBACK" : "COMMIT",
            ])
        } catch {
            await client.close()
            throw error
        }
        await client.close()
    }
}
