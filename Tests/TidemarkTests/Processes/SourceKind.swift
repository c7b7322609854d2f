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
}
