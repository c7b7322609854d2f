package import FeatureModel
package import OnlineStore

/// The definitions as they are read now. Immutable.
package protocol PipelineCatalog: Sendable {
    /// Another one for each catalog.
    var generation: UInt64 { get }
    /// A view that has a version to read.
    func view(_ name: String) throws(LookupError) -> FeatureView
    /// The features of a service, in its order.
    func features(ofService name: String) throws(LookupError) -> [FeatureReference]
    /// Resolves features against the versions that are read.
    func plan(features: [FeatureReference]) throws(LookupError) -> LookupPlan
}

/// What keeps the catalog in step with the store.
package protocol PipelineCatalogs: Sendable {
    /// Of `catalog`, or 0: what a cache compares first.
    var generation: UInt64 { get }
    /// The catalog in force; `nil` before the first.
    var catalog: (any PipelineCatalog)? { get }
}
