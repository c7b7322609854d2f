/// What `apply` published: which views and services there are, under the hash of all definitions.
package struct CatalogRecord: Codable, Hashable, Sendable {
    package let project: String
    /// Of all definitions, 16 hex digits.
    package let hash: String
    /// In the order of the definitions.
    package let views: [String]
    /// Service name → `view:feature` references in order.
    package let services: [String: [String]]
    /// Microseconds since 1970.
    package let appliedAt: Int64
    /// What is defined and not served, with the reason: a view, or one feature as `view:feature`. Only where definitions
    /// come from elsewhere.
    package let refused: [String: String]?
    /// Services that are defined and not served, with the reason.
    package let refusedServices: [String: String]?

    package init(
        project: String, hash: String, views: [String], services: [String: [String]], appliedAt: Int64,
        refused: [String: String]? = nil, refusedServices: [String: String]? = nil
    ) {
        self.project = project
        self.hash = hash
        self.views = views
        self.services = services
        self.appliedAt = appliedAt
        self.refused = refused
        self.refusedServices = refusedServices
    }
}

/// The control documents of a project in its online store, typed.
package struct CatalogStore: Sendable {
    package let store: any OnlineStore

    package init(_ store: any OnlineStore) {
        self.store = store
    }

    /// The control document that holds the catalog.
    package static let catalogName = "catalog"

    /// The control document that holds the versions of a view.
    package static func versionsName(_ view: String) -> String { "view:\(view)" }

    /// How often a compare-and-swap is tried before giving up.
    private static let attempts = 16

    /// What was applied last, with its revision; `nil` in a store that nothing was applied to.
    package func catalog() async throws(StoreError) -> (record: CatalogRecord, revision: Int64)? {
        guard let document = try await store.document(Self.catalogName) else { return nil }
        return (try ControlDocument.decode(CatalogRecord.self, from: document.bytes), document.revision)
    }

    /// Publishes a catalog over whatever is there.
    package func publish(_ record: CatalogRecord) async throws(StoreError) {
        let bytes = try ControlDocument.encode(record)
        for _ in 0..<Self.attempts {
            let revision = try await store.document(Self.catalogName)?.revision ?? 0
            if try await store.replaceDocument(Self.catalogName, bytes: bytes, expecting: revision) { return }
        }
        throw StoreError(.unavailable, "the catalog changed under every attempt to replace it")
    }

    /// The versions of a view; `nil` when it was never applied.
    package func versions(of view: String) async throws(StoreError) -> ViewVersions? {
        guard let document = try await store.document(Self.versionsName(view)) else { return nil }
        return try ControlDocument.decode(ViewVersions.self, from: document.bytes)
    }

    /// Changes the versions of a view in one step. `change` may run several times; what it returns `false` for is not written.
    ///
    /// - Returns: The versions as they are afterwards.
    package func updateVersions(
        of view: String, _ change: (inout ViewVersions) -> Bool
    ) async throws(StoreError) -> ViewVersions {
        for _ in 0..<Self.attempts {
            let document = try await store.document(Self.versionsName(view))
            var versions: ViewVersions
            if let document {
                versions = try ControlDocument.decode(ViewVersions.self, from: document.bytes)
            } else {
                versions = ViewVersions(view: view)
            }
            guard change(&versions) else { return versions }
            let bytes = try ControlDocument.encode(versions)
            if try await store.replaceDocument(
                Self.versionsName(view), bytes: bytes, expecting: document?.revision ?? 0)
            {
                return versions
            }
        }
        throw StoreError(.unavailable, "the versions changed under every attempt to replace them", detail: view)
    }
}
