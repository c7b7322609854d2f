import FeatureModel
import OnlineStore
import Synchronization
import TidemarkTesting

/// A store whose writes take unequal time, so that chunks in flight are acknowledged out of order.
struct UnevenStore: OnlineStore {
    let base: MemoryStore
    private let delays: Delays

    /// Random waits, from a seed.
    final class Delays: Sendable {
        private let random: Mutex<SeededGenerator>

        init(seed: UInt64) {
            random = Mutex(SeededGenerator(seed: seed))
        }

        func wait() async {
            for _ in 0..<random.withLock({ $0.below(8) }) { await Task.yield() }
        }
    }

    init(_ base: MemoryStore, seed: UInt64) {
        self.base = base
        delays = Delays(seed: seed)
    }

    func openSession(_ lease: Lease) async throws(StoreError) -> any StoreSession {
        UnevenSession(base: try await base.openSession(lease), delays: delays)
    }

    func read(_ keys: [EntityKey], in space: KeySpace) async throws(StoreError) -> [[UInt8]?] {
        try await base.read(keys, in: space)
    }

    func inspect(_ key: EntityKey, in space: KeySpace) async throws(StoreError) -> StoredRow? {
        try await base.inspect(key, in: space)
    }

    func scan(_ space: KeySpace, from cursor: ScanCursor, limit: Int) async throws(StoreError) -> ScanPage {
        try await base.scan(space, from: cursor, limit: limit)
    }

    func remove(_ keys: [EntityKey], in space: KeySpace) async throws(StoreError) -> Int {
        try await base.remove(keys, in: space)
    }

    func acquireLease(_ name: String, owner: String, duration: Duration) async throws(StoreError) -> Lease? {
        try await base.acquireLease(name, owner: owner, duration: duration)
    }

    func renewLease(_ lease: Lease, duration: Duration) async throws(StoreError) -> Bool {
        try await base.renewLease(lease, duration: duration)
    }

    func releaseLease(_ lease: Lease) async throws(StoreError) { try await base.releaseLease(lease) }

    func leaseHolder(_ name: String) async throws(StoreError) -> Lease? { try await base.leaseHolder(name) }

    func document(_ name: String) async throws(StoreError) -> Document? { try await base.document(name) }

    func replaceDocument(_ name: String, bytes: [UInt8], expecting revision: Int64) async throws(StoreError) -> Bool {
        try await base.replaceDocument(name, bytes: bytes, expecting: revision)
    }

    func append(_ entry: [UInt8], to journal: String, limit: Int) async throws(StoreError) {
        try await base.append(entry, to: journal, limit: limit)
    }

    func entries(of journal: String, limit: Int) async throws(StoreError) -> [[UInt8]] {
        try await base.entries(of: journal, limit: limit)
    }

    func put(_ fields: [String: [UInt8]], into collection: String, limit: Int) async throws(StoreError) -> Bool {
        try await base.put(fields, into: collection, limit: limit)
    }

    func values(of fields: [String], in collection: String) async throws(StoreError) -> [[UInt8]?] {
        try await base.values(of: fields, in: collection)
    }

    func fields(of collection: String) async throws(StoreError) -> [String: [UInt8]] {
        try await base.fields(of: collection)
    }

    func fieldCount(of collection: String) async throws(StoreError) -> Int {
        try await base.fieldCount(of: collection)
    }

    func removeFields(_ fields: [String], from collection: String) async throws(StoreError) {
        try await base.removeFields(fields, from: collection)
    }

    func diagnose() async throws(StoreError) -> [StoreFinding] { try await base.diagnose() }

    func usedBytes() async throws(StoreError) -> Int64? { try await base.usedBytes() }

    func close() async { await base.close() }
}

/// A session of an `UnevenStore`.
private struct UnevenSession: StoreSession {
    let base: any StoreSession
    let delays: UnevenStore.Delays

    var lease: Lease { base.lease }

    func write(_ batch: RowBatch, in space: KeySpace, mode: WriteMode) async throws(StoreError) -> [WriteOutcome] {
        await delays.wait()
        let outcomes = try await base.write(batch, in: space, mode: mode)
        await delays.wait()
        return outcomes
    }

    func marker(_ space: KeySpace) async throws(StoreError) -> Marker? { try await base.marker(space) }

    func advance(_ space: KeySpace, to marker: Marker) async throws(StoreError) {
        try await base.advance(space, to: marker)
    }

    func close() async { await base.close() }
}
