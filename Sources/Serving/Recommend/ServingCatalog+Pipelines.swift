package import FeatureModel
package import OnlineStore
package import Recommend

extension ServingCatalog: PipelineCatalog {
    package func view(_ name: String) throws(LookupError) -> FeatureView {
        guard case .filled(let view, _) = views[name] else {
            // Says what is wrong with it.
            _ = try plan(features: [FeatureReference(view: name, feature: "")])
            throw LookupError("there is no view \(name)", code: .unknownFeature)
        }
        return view
    }
}

extension CatalogWatcher: PipelineCatalogs {
    package var catalog: (any PipelineCatalog)? { current }
}

/// A catalog that was read once.
package struct FixedCatalog: PipelineCatalogs {
    private let fixed: ServingCatalog

    package init(_ catalog: ServingCatalog) {
        fixed = catalog
    }

    package var generation: UInt64 { fixed.generation }
    package var catalog: (any PipelineCatalog)? { fixed }
}
