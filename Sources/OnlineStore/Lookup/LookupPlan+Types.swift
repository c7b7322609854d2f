package import FeatureModel

extension LookupPlan {
    /// What each feature holds, in the order asked.
    package var types: [FeatureType] {
        columns.map { column in
            let part = parts[Int(column.part)]
            return part.view.features[part.features[Int(column.slot)]].type
        }
    }
}
