import Crypto
package import FeatureModel

/// Entities that were erased and must stay so. Kept as SHA-256 of the key, so that the list itself tells nothing.
package struct Erasures: Sendable {
    private let store: any OnlineStore
    private let project: String
    /// The most erased entities a kind of entity may have.
    package static let limit = 1_000_000

    package init(_ store: any OnlineStore, project: String) {
        self.store = store
        self.project = project
    }

    private static func collection(_ entity: String) -> String { "erased:\(entity)" }

    /// What stands for an entity in the list: 64 lower-case hex digits.
    package func digest(_ key: EntityKey, entity: String) -> String {
        let hash = SHA256.hash(data: Array("\(project)\n\(entity)\n\(key.text)".utf8))
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: hash.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }

    /// Puts entities (by their digests) on the list. Rows have to be removed after this, so that none slips in between.
    package func add(_ digests: [String], entity: String, at now: Int64) async throws(StoreError) {
        guard !digests.isEmpty else { return }
        let stamp = Array(Timestamps.format(now).utf8)
        let fields = Dictionary(digests.map { ($0, stamp) }, uniquingKeysWith: { first, _ in first })
        guard try await store.put(fields, into: Self.collection(entity), limit: Self.limit) else {
            throw StoreError(.tooLarge, "the list of erased entities is full", detail: "\(Self.limit) of \(entity)")
        }
    }

    /// Takes an entity off the list: it may come back with the next change or sweep.
    package func remove(_ digest: String, entity: String) async throws(StoreError) {
        try await store.removeFields([digest], from: Self.collection(entity))
    }

    /// How many entities are on the list.
    package func count(entity: String) async throws(StoreError) -> Int {
        try await store.fieldCount(of: Self.collection(entity))
    }

    /// Which of some entities (by their digests) are on the list.
    package func listed(_ digests: [String], entity: String) async throws(StoreError) -> Set<String> {
        let stamps = try await store.values(of: digests, in: Self.collection(entity))
        return Set(zip(digests, stamps).lazy.filter { $0.1 != nil }.map(\.0))
    }

    /// The digests on the list.
    package func digests(entity: String) async throws(StoreError) -> Set<String> {
        if try await count(entity: entity) == 0 { return [] }
        return Set(try await store.fields(of: Self.collection(entity)).keys)
    }
}
