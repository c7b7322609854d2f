package import FeatureModel
import Glibc
import Synchronization

/// A home of rows in this process's memory, for tests, trials and dry runs. Free to share.
///
/// It keeps every promise of `OnlineStore`, and can be made to break down like a real one: see `MemoryStore+Faults`.
/// Calls never wait; cancellation changes nothing. Everything is lost with the process.
package final class MemoryStore: OnlineStore {
    /// How much it holds. Beyond it writes throw `writesRefused`; expired rows make room first.
    package struct Limits: Sendable {
        /// Rows of all spaces together.
        package let rows: Int
        /// Keys, rows, markers, documents, journals and collections together, in bytes, about.
        package let bytes: Int

        package init(rows: Int = 1_000_000, bytes: Int = 512 << 20) {
            self.rows = rows
            self.bytes = bytes
        }
    }

    let state: Mutex<MemoryState>
    let faults = Mutex(MemoryFaults())
    private let now: @Sendable () -> ContinuousClock.Instant
    private let wallSeconds: @Sendable () -> Int64

    /// Makes an empty store.
    ///
    /// - Parameters:
    ///   - limits: How much it holds.
    ///   - now: The clock of expiry, which a test may hold in its hand.
    ///   - wallSeconds: The clock of lease tokens, in seconds since 1970.
    package init(
        limits: Limits = .init(), now: @escaping @Sendable () -> ContinuousClock.Instant = { .now },
        wallSeconds: @escaping @Sendable () -> Int64 = { Int64(time(nil)) }
    ) {
        state = Mutex(MemoryState(limits: limits))
        self.now = now
        self.wallSeconds = wallSeconds
    }

    /// Runs `body` on the state, between the two moments at which a fault may strike.
    func perform<Result: Sendable>(
        _ operation: Operation,
        _ body: (inout MemoryState, ContinuousClock.Instant) throws(StoreError) -> Result
    ) throws(StoreError) -> Result {
        try strike(operation, .before)
        let now = now()
        let result = try state.withLock { state throws(StoreError) in
            guard !state.isClosed else { throw StoreError(.unavailable, "the store is closed") }
            return try body(&state, now)
        }
        try strike(operation, .after)
        return result
    }

    package func close() async {
        state.withLock { $0.isClosed = true }
    }
}

extension MemoryStore {
    package func read(_ keys: [EntityKey], in space: KeySpace) async throws(StoreError) -> [[UInt8]?] {
        try perform(.read) { state, now in keys.map { state.row($0, space, at: now)?.bytes } }
    }

    package func inspect(_ key: EntityKey, in space: KeySpace) async throws(StoreError) -> StoredRow? {
        try perform(.inspect) { state, now in
            state.row(key, space, at: now).map { StoredRow(bytes: $0.bytes, remaining: $0.expiresAt - now) }
        }
    }

    package func scan(_ space: KeySpace, from cursor: ScanCursor, limit: Int) async throws(StoreError) -> ScanPage {
        try perform(.scan) { state, now throws(StoreError) in
            try state.scan(space, from: cursor, limit: limit, at: now)
        }
    }

    package func remove(_ keys: [EntityKey], in space: KeySpace) async throws(StoreError) -> Int {
        try perform(.remove) { state, now in state.remove(keys, space, at: now) }
    }

    package func openSession(_ lease: Lease) async throws(StoreError) -> any StoreSession {
        let generation = try perform(.openSession) { state, _ in state.generation }
        return MemorySession(store: self, lease: lease, generation: generation)
    }

    package func acquireLease(
        _ name: String, owner: String, duration: Duration
    ) async throws(StoreError) -> Lease? {
        let seconds = wallSeconds()
        return try perform(.acquireLease) { state, now throws(StoreError) in
            try state.acquireLease(name, owner: owner, duration: duration, wallSeconds: seconds, at: now)
        }
    }

    package func renewLease(_ lease: Lease, duration: Duration) async throws(StoreError) -> Bool {
        try perform(.renewLease) { state, now in state.renewLease(lease, duration: duration, at: now) }
    }

    package func releaseLease(_ lease: Lease) async throws(StoreError) {
        try perform(.releaseLease) { state, now in state.releaseLease(lease, at: now) }
    }

    package func leaseHolder(_ name: String) async throws(StoreError) -> Lease? {
        try perform(.leaseHolder) { state, now in state.leaseHolder(name, at: now) }
    }
}

extension MemoryStore {
    package func document(_ name: String) async throws(StoreError) -> Document? {
        try perform(.document) { state, _ in state.contents.documents[name] }
    }

    package func replaceDocument(
        _ name: String, bytes: [UInt8], expecting revision: Int64
    ) async throws(StoreError) -> Bool {
        try perform(.replaceDocument) { state, _ throws(StoreError) in
            try state.replaceDocument(name, bytes, expecting: revision)
        }
    }

    package func append(_ entry: [UInt8], to journal: String, limit: Int) async throws(StoreError) {
        try perform(.append) { state, _ throws(StoreError) in try state.append(entry, to: journal, limit: limit) }
    }

    package func entries(of journal: String, limit: Int) async throws(StoreError) -> [[UInt8]] {
        try perform(.entries) { state, _ in state.entries(of: journal, limit: limit) }
    }

    package func put(
        _ fields: [String: [UInt8]], into collection: String, limit: Int
    ) async throws(StoreError) -> Bool {
        try perform(.put) { state, _ throws(StoreError) in try state.put(fields, into: collection, limit: limit) }
    }

    package func values(of fields: [String], in collection: String) async throws(StoreError) -> [[UInt8]?] {
        try perform(.values) { state, _ in
            let stored = state.contents.collections[collection] ?? [:]
            return fields.map { stored[$0] }
        }
    }

    package func fields(of collection: String) async throws(StoreError) -> [String: [UInt8]] {
        try perform(.fields) { state, _ in state.contents.collections[collection] ?? [:] }
    }

    package func fieldCount(of collection: String) async throws(StoreError) -> Int {
        try perform(.fieldCount) { state, _ in state.contents.collections[collection]?.count ?? 0 }
    }

    package func removeFields(_ fields: [String], from collection: String) async throws(StoreError) {
        try perform(.removeFields) { state, _ in state.removeFields(fields, from: collection) }
    }

    package func diagnose() async throws(StoreError) -> [StoreFinding] {
        try perform(.diagnose) { state, _ in
            let rows = state.contents.rowCount
            return [
                StoreFinding(
                    check: "persistence", grade: .warning,
                    text: "Rows live in this process's memory and end with it; use SQLite or Redis to keep them."),
                StoreFinding(
                    check: "room", grade: rows < state.limits.rows ? .good : .bad,
                    text: "\(rows) of at most \(state.limits.rows) rows are taken."),
            ]
        }
    }

    package func usedBytes() async throws(StoreError) -> Int64? {
        try perform(.usedBytes) { state, _ in Int64(state.contents.usedBytes) }
    }
}
