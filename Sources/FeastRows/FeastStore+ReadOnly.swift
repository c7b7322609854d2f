package import FeatureModel
package import OnlineStore

/// What a store of Feast's rows doesn't do: everything that writes.
extension FeastStore {
    private static let readOnly = StoreError(
        .misconfigured, "Feast's rows are only read here; write them with Feast")

    package func scan(
        _ space: KeySpace, from cursor: ScanCursor, limit: Int
    ) async throws(StoreError) -> ScanPage {
        throw StoreError(.misconfigured, "Feast's rows can't be listed view by view")
    }

    package func remove(_ keys: [EntityKey], in space: KeySpace) async throws(StoreError) -> Int {
        throw Self.readOnly
    }

    package func openSession(_ lease: Lease) async throws(StoreError) -> any StoreSession { throw Self.readOnly }

    package func acquireLease(
        _ name: String, owner: String, duration: Duration
    ) async throws(StoreError) -> Lease? {
        throw Self.readOnly
    }

    package func renewLease(_ lease: Lease, duration: Duration) async throws(StoreError) -> Bool {
        throw Self.readOnly
    }

    package func releaseLease(_ lease: Lease) async throws(StoreError) { throw Self.readOnly }

    package func leaseHolder(_ name: String) async throws(StoreError) -> Lease? { nil }

    package func replaceDocument(
        _ name: String, bytes: [UInt8], expecting revision: Int64
    ) async throws(StoreError) -> Bool {
        throw Self.readOnly
    }

    package func append(_ entry: [UInt8], to journal: String, limit: Int) async throws(StoreError) {
        throw Self.readOnly
    }

    package func entries(of journal: String, limit: Int) async throws(StoreError) -> [[UInt8]] { [] }

    package func put(_ fields: [String: [UInt8]], into collection: String, limit: Int) async throws(StoreError) -> Bool
    {
        throw Self.readOnly
    }

    package func values(of fields: [String], in collection: String) async throws(StoreError) -> [[UInt8]?] {
        fields.map { _ in nil }
    }

    package func fields(of collection: String) async throws(StoreError) -> [String: [UInt8]] { [:] }

    package func fieldCount(of collection: String) async throws(StoreError) -> Int { 0 }

    package func removeFields(_ fields: [String], from collection: String) async throws(StoreError) {
        throw Self.readOnly
    }

    package func usedBytes() async throws(StoreError) -> Int64? { nil }
}
