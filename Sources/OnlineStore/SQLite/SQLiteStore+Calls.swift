package import FeatureModel
import LocalDatabase

// The calls of `OnlineStore`: one transaction each.
extension SQLiteStore {
    package func read(_ keys: [EntityKey], in space: KeySpace) async throws(StoreError) -> [[UInt8]?] {
        try await read { tables in try tables.read(keys, space) }
    }

    package func inspect(_ key: EntityKey, in space: KeySpace) async throws(StoreError) -> StoredRow? {
        try await read { tables in try tables.inspect(key, space) }
    }

    package func scan(_ space: KeySpace, from cursor: ScanCursor, limit: Int) async throws(StoreError) -> ScanPage {
        try await read { tables in try tables.scan(space, from: cursor, limit: limit) }
    }

    package func remove(_ keys: [EntityKey], in space: KeySpace) async throws(StoreError) -> Int {
        try await write { tables in try tables.remove(keys, space) }
    }

    package func openSession(_ lease: Lease) async throws(StoreError) -> any StoreSession {
        // A call that reaches the file, so that the session belongs to what is there now.
        try await read { _ in }
        return SQLiteSession(store: self, lease: lease, generation: generation)
    }

    package func acquireLease(
        _ name: String, owner: String, duration: Duration
    ) async throws(StoreError) -> Lease? {
        try await write { tables in try tables.acquireLease(name, owner: owner, duration: duration) }
    }

    package func renewLease(_ lease: Lease, duration: Duration) async throws(StoreError) -> Bool {
        try await write { tables in try tables.renewLease(lease, duration: duration) }
    }

    package func releaseLease(_ lease: Lease) async throws(StoreError) {
        try await write { tables in try tables.releaseLease(lease) }
    }

    package func leaseHolder(_ name: String) async throws(StoreError) -> Lease? {
        try await read { tables in try tables.leaseHolder(name) }
    }

    package func document(_ name: String) async throws(StoreError) -> Document? {
        try await read { tables in try tables.document(name) }
    }

    package func replaceDocument(
        _ name: String, bytes: [UInt8], expecting revision: Int64
    ) async throws(StoreError) -> Bool {
        try await write { tables in try tables.replaceDocument(name, bytes, expecting: revision) }
    }

    package func append(_ entry: [UInt8], to journal: String, limit: Int) async throws(StoreError) {
        try await write { tables in try tables.append(entry, to: journal, limit: limit) }
    }

    package func entries(of journal: String, limit: Int) async throws(StoreError) -> [[UInt8]] {
        try await read { tables in try tables.entries(of: journal, limit: limit) }
    }

    package func put(
        _ fields: [String: [UInt8]], into collection: String, limit: Int
    ) async throws(StoreError) -> Bool {
        try await write(orFalse: SQLiteStoreTables.CollectionFull.self) { tables in
            try tables.put(fields, into: collection, limit: limit)
        }
    }

    package func values(of fields: [String], in collection: String) async throws(StoreError) -> [[UInt8]?] {
        try await read { tables in try tables.values(of: fields, in: collection) }
    }

    package func fields(of collection: String) async throws(StoreError) -> [String: [UInt8]] {
        try await read { tables in try tables.fields(of: collection) }
    }

    package func fieldCount(of collection: String) async throws(StoreError) -> Int {
        try await read { tables in try tables.fieldCount(of: collection) }
    }

    package func removeFields(_ fields: [String], from collection: String) async throws(StoreError) {
        try await write { tables in try tables.removeFields(fields, from: collection) }
    }
}
