import FeatureModel
import Foundation
import TidemarkTesting

/// How a view of the bank finds its changes.
enum Following: String, CaseIterable, Sendable {
    /// Accounts, by the exact log of the table.
    case tracked
    /// Accounts, by a sequence that each change raises, with a column that marks the deleted ones.
    case column
    /// Sums of each account's entries, by the exact log of the entries.
    case totals
    /// The same by the entries' growing number: only additions are found.
    case changes

    /// The table it reads: each way of following has its own.
    var table: String {
        switch self {
        case .tracked: "account"
        case .column: "client"
        case .totals: "entry"
        case .changes: "visit"
        }
    }

    var readsAccounts: Bool { self == .tracked || self == .column }
    /// Whether every entity is walked before changes are followed.
    var loadsByRange: Bool { self != .column }
}

/// A view of the bank: its definition, and the same rows by SQL of the test's own.
struct BankView: Sendable {
    let following: Following
    /// One feature more, which makes it another version.
    var isWidened = false
    var every = "1s"
    var ttl = "1h"
    var sweep = "20m"
    var keepPrevious = "1d"
    /// A negative balance breaks the contract.
    private static let minimum = "contract: {min: 0}"

    var name: String { following.rawValue }

    var definitions: String { Self.definitions([self]) }

    /// A file of definitions with several views.
    static func definitions(_ views: [BankView]) -> String {
        """
        entities:
          account: {keys: {id: int64}}
        views:
        \(views.map(\.view).joined(separator: "\n"))
        """
    }

    private var view: String {
        let features =
            following.readsAccounts
            ? """
                  name: string
                  balance: {type: int64, \(Self.minimum)}
                  score: float64
                  stamp: int64
            """
            : """
                  entries: int64
                  total: {type: int64, \(Self.minimum)}
                  last: int64
            """
        let more = isWidened ? "\n      \(following.readsAccounts ? "twice" : "mean_total"): int64" : ""
        return """
              \(name):
                entity: account
                source:
                  from: bank
            \(source.split(separator: "\n").map { "      \($0)" }.joined(separator: "\n"))
                every: \(every)
                ttl: \(ttl)
                sweep: \(sweep)
                keep_previous: \(keepPrevious)
                contract: {max_quarantine_rate: 1, on_breach: warn}
                features:
            \(features)\(more)
            """
    }

    private var source: String {
        let twice = isWidened ? ", balance * 2 AS twice" : ""
        let mean = isWidened ? ", CAST(sum(amount) AS bigint) / count(*) AS mean_total" : ""
        let totals = """
            query: >-
              SELECT account_id AS id, count(*) AS entries, CAST(sum(amount) AS bigint) AS total, max(id) AS last\(mean)
              FROM \(following.table) WHERE account_id IN (:keys) GROUP BY account_id
            """
        return switch following {
        case .tracked:
            """
            query: SELECT id, name, balance, score, stamp\(twice) FROM \(following.table)
            watermark: {track: \(following.table), key: [id]}
            """
        case .column:
            """
            query: SELECT id, name, balance, score, stamp, gone\(twice) FROM \(following.table)
            watermark: {column: stamp, tie_breaker: [id], lookback: 0}
            deleted: gone
            """
        case .totals:
            """
            \(totals)
            watermark: {track: \(following.table), key: [account_id]}
            """
        case .changes:
            """
            changes: SELECT account_id AS id, id AS number FROM \(following.table)
            \(totals)
            watermark: {column: number, tie_breaker: [id], lookback: 0}
            """
        }
    }

    /// What the view's rows must be: key, features, and whether the contract is broken.
    var truth: String {
        if following.readsAccounts {
            return """
                SELECT id, name, balance, score, stamp\(isWidened ? ", balance * 2" : ""),
                CASE WHEN balance < 0 THEN 1 ELSE 0 END FROM \(following.table) WHERE gone = 0
                """
        }
        return """
            SELECT account_id, count(*), CAST(sum(amount) AS bigint), max(id)\(isWidened ? ", CAST(sum(amount) AS bigint) / count(*)" : ""),
            CASE WHEN sum(amount) < 0 THEN 1 ELSE 0 END FROM \(following.table) GROUP BY account_id
            """
    }

    /// The compiled view.
    func compiled(project: String) throws -> FeatureView {
        let catalog = try Catalog.compile(
            project: project, files: [("bank.yaml", Array(definitions.utf8))], sources: ["bank"])
        guard let view = catalog.view(name) else { throw BankError("no view \(name)") }
        return view
    }

    /// The source's rows as the store must have them, and the entities that must be in quarantine.
    func expected(
        from source: any SourceDatabase, features: [Feature]
    ) async throws -> (rows: [String: [FeatureValue]], bad: Set<String>) {
        var rows: [String: [FeatureValue]] = [:]
        var bad: Set<String> = []
        for row in try await source.rows(truth) {
            guard let key = row[0] else { throw BankError("a key is null") }
            if row[row.count - 1] == "1" {
                bad.insert(key)
                continue
            }
            rows[key] = try zip(row[1...], features).map { try SourceText.value($0, $1.type) }
        }
        return (rows, bad)
    }
}

/// Something is wrong with the test itself.
struct BankError: Error {
    let text: String

    init(_ text: String) {
        self.text = text
    }
}

/// Values as a source writes them, read without the code under test.
enum SourceText {
    static func value(_ text: String?, _ type: FeatureType) throws -> FeatureValue {
        guard let text else { return .null }
        switch type {
        case .scalar(.int64):
            if let number = Int64(text) { return .int64(number) }
        case .scalar(.float64):
            if let number = Double(text) { return .float64(number) }
        case .scalar(.string): return .string(text)
        case .list(.int64):
            if let numbers = try? JSONDecoder().decode([Int64].self, from: Data(text.utf8)) {
                return .list(numbers.map { .int64($0) })
            }
        case .list(.string):
            if let texts = try? JSONDecoder().decode([String].self, from: Data(text.utf8)) {
                return .list(texts.map { .string($0) })
            }
        default: break
        }
        throw BankError("\(text) is no \(type.spelling)")
    }
}
