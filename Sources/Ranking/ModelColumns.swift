package import FeatureModel

/// Whether a model's columns can be filled from a catalog.
package enum ModelColumns {
    /// Says the first column that can't be, and why; `nil` when each can.
    ///
    /// `service` are the features that are read for the model, `nil` where any of the catalog's may be; `type` tells the
    /// type of a feature of the catalog, `nil` for one that it does not have.
    package static func problem(
        _ columns: [RankerColumn], service: [FeatureReference]?, type: (FeatureReference) -> FeatureType?
    ) -> String? {
        for column in columns {
            if case .match(let user, let item) = column.input {
                guard let left = type(user), let right = type(item) else {
                    return "there is no such pair of features: \(column)"
                }
                guard FeatureMatch.accepts(user: left, item: right) else {
                    return "\(column): \(left.spelling) and \(right.spelling) are never equal"
                }
                if let service, !service.contains(user) || !service.contains(item) {
                    return "the service has not both of \(column)"
                }
            }
            guard case .feature(let reference) = column.input else { continue }
            guard let found = type(reference) else { return "there is no feature \(column)" }
            guard column.encoding.accepts(found) else {
                return "\(column) is \(found.spelling), and was another type when the model was made"
            }
            if let service, !service.contains(reference) { return "the service has no feature \(column)" }
        }
        return nil
    }

    /// The columns of a service's features as a model takes them when nobody says otherwise: lists, vectors and free texts are
    /// left out.
    package static func standard(_ features: [FeatureReference], in catalog: Catalog) -> [RankerColumn] {
        features.compactMap { reference in
            let feature = catalog.view(reference.view)?.features.first { $0.name == reference.feature }
            return feature.flatMap { standard($0) }.map { RankerColumn(.feature(reference), $0) }
        }
    }
}
