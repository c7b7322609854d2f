internal import Extraction

/// A database of its own in a real PostgreSQL, as a source.
package final class PostgresSource: SourceDatabase {
    package let url: String
    /// The server, for tests that have one of their own and may stop it.
    package let server: PostgresServer
    private let ownsServer: Bool
    private let client: PostgresClient
    private let connection: String

    /// Makes a database: on the server that tests share, or on one of its own.
    package init(ownServer: Bool) async throws {
        ownsServer = ownServer
        server = ownServer ? try await PostgresServer.start() : try await PostgresServer.shared()
        connection = try await server.makeDatabase()
        client = try PostgresClient(url: connection)
        let name = try await client.run("SELECT current_database()")[0][0] ?? ""
        url = "postgresql:///\(name)?host=\(server.directory)&user=postgres"
    }

    package func columnType(_ type: SourceColumn) -> String {
        switch type {
        case .integer: "bigint"
        case .double: "double precision"
        case .text: "text"
        }
    }

    package func commit(_ statements: [String]) async throws {
        let transaction: String
        do {
            try await client.run(all: ["BEGIN"] + statements)
            transaction = try await client.run("SELECT pg_current_xact_id()")[0][0] ?? ""
            try await client.run("COMMIT")
        } catch {
            // Harmless where the connection went with the transaction.
            _ = try? await client.run("ROLLBACK")
            throw error
        }
        if !ownsServer { try await waitForHorizon(behind: transaction) }
    }

    /// On a shared server the transactions of other tests, whatever their database, keep the horizon of a snapshot down for
    /// a moment, and one run of a sync would rightly leave this transaction to the next.
    private func waitForHorizon(behind transaction: String) async throws {
        let query = "SELECT pg_snapshot_xmin(pg_current_snapshot()) > '\(transaction)'::xid8, pg_sleep(0.002)"
        for _ in 0..<10_000 where try await client.run(query)[0][0] == "t" { return }
        throw ExtractionError(.deadlineExceeded, "another transaction holds the horizon")
    }

    package func rows(_ sql: String) async throws -> [[String?]] { try await client.run(sql) }

    /// Another session on the same database.
    package func makeClient() throws -> PostgresClient { try PostgresClient(url: connection) }

    package func close() async {
        await client.close()
        if ownsServer { await server.discard() }
    }
}
