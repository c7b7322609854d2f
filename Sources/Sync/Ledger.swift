package import OnlineStore

/// What one pass over one version of a view did. Kept in the store's journal `ledger`.
package struct LedgerEntry: Codable, Hashable, Sendable {
    package var view: String
    package var version: Int
    /// What the pass worked on, in order of first use.
    package var work: [PassWork] = []
    /// The cursor before and after.
    package var from: String
    package var to: String
    /// Microseconds since 1970.
    package var startedAt: Int64
    package var durationSeconds: Double = 0
    /// Change records or entities read.
    package var read: Int64 = 0
    package var created: Int64 = 0
    package var replaced: Int64 = 0
    package var renewed: Int64 = 0
    /// Refused by the store: something newer was there.
    package var older: Int64 = 0
    package var conflict: Int64 = 0
    /// Tombstones that replaced a row.
    package var removed: Int64 = 0
    package var quarantined: Int64 = 0
    /// Left out because the entity was erased.
    package var erased: Int64 = 0
    /// Packed bytes sent to the store.
    package var bytes: Int64 = 0
    /// `done`, or why it ended early.
    package var outcome: String = "done"
    package var error: String?
    /// The service that did it.
    package var owner: String

    package init(view: String, version: Int, from: String, startedAt: Int64, owner: String) {
        self.view = view
        self.version = version
        self.from = from
        to = from
        self.startedAt = startedAt
        self.owner = owner
    }

    /// Rows whose content changed in the store.
    package var written: Int64 { created + replaced + removed }

    mutating func note(_ work: PassWork) {
        if !self.work.contains(work) { self.work.append(work) }
    }
}

/// The runs of all views, newest first, bounded.
package struct Ledger: Sendable {
    private let store: any OnlineStore
    /// How many runs the store remembers.
    package static let limit = 2_000
    private static let journal = "ledger"

    package init(_ store: any OnlineStore) {
        self.store = store
    }

    /// Adds a run.
    package func append(_ entry: LedgerEntry) async throws(StoreError) {
        try await store.append(try ControlDocument.encode(entry), to: Self.journal, limit: Self.limit)
    }

    /// The newest runs, newest first.
    package func entries(limit: Int) async throws(StoreError) -> [LedgerEntry] {
        var entries: [LedgerEntry] = []
        for bytes in try await store.entries(of: Self.journal, limit: limit) {
            entries.append(try ControlDocument.decode(LedgerEntry.self, from: bytes))
        }
        return entries
    }
}
