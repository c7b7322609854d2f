package import FeatureModel
package import OnlineStore

/// What lookups may ask for: each view under the version that is read now, and the services. Immutable, free to share.
package final class ServingCatalog: Sendable {
    /// What is known of one view.
    package enum ViewState: Sendable {
        /// Readers get this version, defined like this.
        case filled(FeatureView, version: Int)
        /// No version was ever filled.
        case unfilled
        /// What the store says about it makes no sense, and never did since this process looked.
        case unreadable(reason: String)
    }

    /// Grows by one with each catalog that takes the place of another; the first has 1.
    package let generation: UInt64
    package let project: String
    /// Of the definitions as they were applied, 16 hex digits.
    package let hash: String
    /// When they were applied, in microseconds since 1970.
    package let appliedAt: Int64
    /// In the order of the definitions.
    package let viewNames: [String]
    /// By view name; every name of `viewNames` and no other.
    package let views: [String: ViewState]
    /// Service name → its features in order.
    package let services: [String: [FeatureReference]]
    /// What is defined and not served, with the reason: a view, or one feature as `view:feature`.
    private let refused: [String: String]
    private let refusedServices: [String: String]
    private let filled: [String: (view: FeatureView, version: Int)]

    package init(
        generation: UInt64, project: String, hash: String, appliedAt: Int64, viewNames: [String],
        views: [String: ViewState], services: [String: [FeatureReference]], refused: [String: String] = [:],
        refusedServices: [String: String] = [:]
    ) {
        self.generation = generation
        self.project = project
        self.hash = hash
        self.appliedAt = appliedAt
        self.viewNames = viewNames
        self.views = views
        self.services = services
        self.refused = refused
        self.refusedServices = refusedServices
        filled = views.compactMapValues { state in
            guard case .filled(let view, let version) = state else { return nil }
            return (view, version)
        }
    }

    /// The version that is read of each view that has one.
    package var versions: [String: Int] { filled.mapValues(\.version) }

    /// Resolves features against the versions that are read.
    ///
    /// - Throws: For a view or feature that isn't there, with the nearest that is, for a view without a filled version, and for
    ///   what is defined and not served.
    package func plan(features: [FeatureReference]) throws(LookupError) -> LookupPlan {
        if let reason = features.lazy.compactMap({ self.refusal($0) }).first { throw LookupError("\(reason)") }
        for reference in features where filled[reference.view] == nil { try explain(reference.view) }
        return try LookupPlan(project: project, features: features, views: filled)
    }

    /// Why a feature that is defined isn't served; `nil` for all others.
    package func refusal(_ reference: FeatureReference) -> String? {
        guard !refused.isEmpty else { return nil }
        if let reason = refused[reference.view] { return "view \(reference.view) is not served: \(reason)" }
        let name = "\(reference.view):\(reference.feature)"
        return refused[name].map { "feature \(name) is not served: \($0)" }
    }

    /// Why a service that is defined isn't served; `nil` for all others.
    package func refusal(ofService name: String) -> String? {
        refusedServices[name].map { "service \(name) is not served: \($0)" }
    }

    /// The features of a service.
    ///
    /// - Throws: For a service that isn't there, with the nearest that is, and for one that is defined and not served.
    package func features(ofService name: String) throws(LookupError) -> [FeatureReference] {
        if let features = services[name] { return features }
        if let reason = refusal(ofService: name) { throw LookupError("\(reason)") }
        throw LookupError(
            "there is no service \(name)\(Nearest.hint(name, among: Array(services.keys)))",
            code: .unknownFeature)
    }

    /// Says why a view has no version to read.
    private func explain(_ name: String) throws(LookupError) {
        switch views[name] {
        case .filled: return
        case .unfilled:
            throw LookupError(
                "view \(name) has no filled version yet; `tidemark sync --once \(name)` fills one",
                code: .unknownFeature)
        case .unreadable(let reason):
            throw LookupError("view \(name) can't be read: \(reason)")
        case nil:
            throw LookupError(
                "there is no view \(name)\(Nearest.hint(name, among: viewNames))", code: .unknownFeature)
        }
    }
}

extension FeatureReference {
    /// Parses `view:feature`.
    ///
    /// - Throws: For anything else.
    package static func parse(_ name: some StringProtocol) throws(LookupError) -> FeatureReference {
        let parts = name.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[0].isEmpty, !parts[1].isEmpty else {
            throw LookupError("\"\(name)\" is no feature; write view:feature")
        }
        return FeatureReference(view: String(parts[0]), feature: String(parts[1]))
    }
}

extension ServingCatalog {
    /// Reads what is applied to a store, once; `nil` where nothing is.
    ///
    /// - Throws: What the store throws, and `corrupt` for a catalog that makes no sense.
    package static func read(
        from store: some OnlineStore, project: String
    ) async throws(StoreError) -> ServingCatalog? {
        var assembler = CatalogAssembler(project: project)
        let documents = try await assembler.read(from: store)
        guard documents[CatalogStore.catalogName] != nil else { return nil }
        assembler.assemble(documents)
        guard let catalog = assembler.current else {
            throw StoreError(.corrupt, "the catalog can't be read", detail: assembler.problems.joined(separator: "; "))
        }
        return catalog
    }
}
