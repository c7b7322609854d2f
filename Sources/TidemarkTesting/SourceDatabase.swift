internal import LocalDatabase

/// A database that tests write and `tidemark` reads: the axis that makes one test a test of every kind of source.
package protocol SourceDatabase: Sendable {
    /// What stands in `sources.*.url` of a config.
    var url: String { get }

    /// The spelling of a type for a column that holds 64-bit integers, doubles or text.
    func columnType(_ type: SourceColumn) -> String

    /// Runs statements in one transaction.
    func commit(_ statements: [String]) async throws

    /// The rows of a query, each value as text; doubles in digits that read back exactly.
    func rows(_ sql: String) async throws -> [[String?]]

    /// Closes the connection.
    func close() async
}

/// What a column of a test's table holds.
package enum SourceColumn: Sendable {
    case integer
    case double
    case text
}

/// A SQLite file as a source, in WAL mode.
package final class SQLiteSource: SourceDatabase {
    package let url: String
    private let database: LocalDatabase

    /// Opens or makes the file.
    package init(path: String) async throws {
        url = "sqlite:\(path)"
        database = try await LocalDatabase(
            .init(path: path, busyTimeoutMilliseconds: 20_000, setup: "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF")
        )
    }

    package func columnType(_ type: SourceColumn) -> String {
        switch type {
        case .integer: "INTEGER"
        case .double: "REAL"
        case .text: "TEXT"
        }
    }

    package func commit(_ statements: [String]) async throws {
        try await database.run { connection in
            try connection.transaction { connection in
                for statement in statements { try connection.execute(statement) }
            }
        }
    }

    package func rows(_ sql: String) async throws -> [[String?]] {
        try await database.run { connection in
            try connection.rows(sql).map { row in
                row.map { value in
                    switch value {
                    case .null: nil
                    case .integer(let number): String(number)
                    case .real(let number): "\(number)"
                    case .text(let text): text
                    case .blob(let bytes): String(decoding: bytes, as: UTF8.self)
                    }
                }
            }
        }
    }

    package func close() async { await database.close() }
}
