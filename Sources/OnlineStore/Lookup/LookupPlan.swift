package import FeatureModel
import RowCodec

/// A list of features, resolved once against the versions that are read now.
package struct LookupPlan: Sendable {
    /// The features of one view.
    struct Part: Sendable {
        let view: FeatureView
        let space: KeySpace
        let decoder: RowDecoder
        /// Where in the answer, and which feature of the view.
        let columns: [(answer: Int, feature: Int)]
    }

    /// In the order asked.
    package let features: [FeatureReference]
    let parts: [Part]

    /// The version of each view that is read.
    package var versions: [String: Int] {
        Dictionary(parts.map { ($0.view.name, $0.space.version) }, uniquingKeysWith: { first, _ in first })
    }

    /// The key columns a request has to name: of all entities of the views, each once.
    package var keyColumns: [Entity.Key] {
        var columns: [Entity.Key] = []
        for part in parts {
            for key in part.view.entity.keys where !columns.contains(where: { $0.name == key.name }) {
                columns.append(key)
            }
        }
        return columns
    }

    /// Resolves features. `views` holds each view with the version that is read of it, by name. What is unknown is a
    /// `LookupError` with the nearest known.
    package init(
        project: String, features: [FeatureReference], views: [String: (view: FeatureView, version: Int)]
    ) throws(LookupError) {
        guard !features.isEmpty else { throw LookupError("no features are asked for") }
        var columns: [String: [(answer: Int, feature: Int)]] = [:]
        var order: [String] = []
        for (answer, reference) in features.enumerated() {
            guard let view = views[reference.view]?.view else {
                throw LookupError(
                    "there is no view \(reference.view)\(Nearest.hint(reference.view, among: Array(views.keys)))")
            }
            guard let feature = view.features.firstIndex(where: { $0.name == reference.feature }) else {
                let hint = Nearest.hint(reference.feature, among: view.features.map(\.name))
                throw LookupError("view \(view.name) has no feature \(reference.feature)\(hint)")
            }
            if columns[view.name] == nil { order.append(view.name) }
            columns[view.name, default: []].append((answer, feature))
        }
        self.features = features
        parts = order.compactMap { name in
            guard let (view, version) = views[name] else { return nil }
            return Part(
                view: view, space: KeySpace(project: project, viewKey: view.key, version: version),
                decoder: RowDecoder(view: view), columns: columns[name] ?? [])
        }
    }
}

/// A request that can't be answered as it is.
package struct LookupError: Error, Sendable, CustomStringConvertible {
    package let description: String

    package init(_ description: String) {
        self.description = description
    }
}
