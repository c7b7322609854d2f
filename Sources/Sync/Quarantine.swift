package import Extraction
import FeatureModel
package import OnlineStore

/// A row that did not reach the store, and why.
package struct QuarantineEntry: Codable, Hashable, Sendable {
    package let view: String
    package let version: Int
    /// The entity's canonical spelling; `nil` where the key itself is bad.
    package let entity: String?
    package let column: String
    package let rule: String
    package let reason: String
    /// Where in the source.
    package let position: String
    /// Microseconds since 1970.
    package let firstSeen: Int64
    package let lastSeen: Int64

    /// What names the entry within its view.
    package var id: String { Self.id(entity: entity, column: column, position: position) }

    static func id(entity: String?, column: String, position: String) -> String {
        entity ?? "?\(column)@\(position)"
    }
}

/// The rows of all views that broke a rule, one entry an entity, bounded a view.
package struct Quarantine: Sendable {
    private let store: any OnlineStore
    /// The most entries a view may have; beyond it the view stops.
    package let limit: Int

    package init(_ store: any OnlineStore, limit: Int) {
        self.store = store
        self.limit = limit
    }

    private static func collection(_ view: String) -> String { "quarantine:\(view)" }

    /// Puts faults in; an entity already there keeps its `firstSeen`.
    ///
    /// - Throws: `SyncError.quarantineFull` when they don't all fit; none is put then.
    package func put(_ faults: [RowFault], view: String, version: Int, at now: Int64) async throws {
        guard !faults.isEmpty else { return }
        let ids = faults.map { QuarantineEntry.id(entity: $0.key?.text, column: $0.column, position: $0.position) }
        let known = try await store.values(of: ids, in: Self.collection(view))
        var fields: [String: [UInt8]] = [:]
        for (index, fault) in faults.enumerated() {
            let first = try known[index].map { try ControlDocument.decode(QuarantineEntry.self, from: $0).firstSeen }
            let entry = QuarantineEntry(
                view: view, version: version, entity: fault.key?.text, column: fault.column, rule: fault.rule,
                reason: fault.reason, position: fault.position, firstSeen: first ?? now, lastSeen: now)
            fields[ids[index]] = try ControlDocument.encode(entry)
        }
        guard try await store.put(fields, into: Self.collection(view), limit: limit) else {
            throw SyncError.quarantineFull(view: view, limit: limit)
        }
    }

    /// The entries of a view, the most recently seen first.
    package func entries(of view: String) async throws(StoreError) -> [QuarantineEntry] {
        var entries: [QuarantineEntry] = []
        for bytes in try await store.fields(of: Self.collection(view)).values {
            entries.append(try ControlDocument.decode(QuarantineEntry.self, from: bytes))
        }
        return entries.sorted { ($0.lastSeen, $0.id) > ($1.lastSeen, $1.id) }
    }

    /// The ids of a view's entries.
    package func ids(of view: String) async throws(StoreError) -> Set<String> {
        if try await count(of: view) == 0 { return [] }
        return Set(try await store.fields(of: Self.collection(view)).keys)
    }

    /// How many entries a view has.
    package func count(of view: String) async throws(StoreError) -> Int {
        try await store.fieldCount(of: Self.collection(view))
    }

    /// Takes entries out: their rows were written, or an operator dropped them.
    package func remove(_ ids: [String], from view: String) async throws(StoreError) {
        guard !ids.isEmpty else { return }
        try await store.removeFields(ids, from: Self.collection(view))
    }
}
