import Testing
import TidemarkTesting

/// The kinds of databases that process tests read from.
enum SourceKind: String, CaseIterable, Sendable, CustomTestStringConvertible {
    case sqlite

    var testDescription: String { rawValue }

    /// The kinds that can run here.
    static var available: [SourceKind] { allCases }

    /// Makes an empty database.
    func make(in workdir: Workdir) async throws -> any SourceDatabase {
        switch self {
        case .sqlite: try await SQLiteSource(path: workdir.file("bank.db"))
        }
    }

    /// Whether a fault can happen to it.
    func knows(_ fault: Fault) -> Bool {
        switch (self, fault) {
        // A file has no server, and one writer at a time: nobody overtakes a transaction.
        case (.sqlite, .restartSource), (.sqlite, .lateCommit): false
        default: true
        }
    }

    /// Commits a transaction that others have overtaken.
    func commitLate(_ source: any SourceDatabase, seconds: Double, seed: UInt64) async throws {}

    /// Ends the source as a crash would, and starts it again.
    func restart(_ source: any SourceDatabase) async throws {}
}
