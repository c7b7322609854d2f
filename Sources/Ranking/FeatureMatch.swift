package import FeatureModel

/// How much an item's value is like a user's: as the category of an item and the categories that a user met lately.
package enum FeatureMatch {
    /// 1 where both are equal and 0 where not. Where the user's value is a list, newest first, the share of the list that is
    /// equal, the n-th element weighing 1/n. NaN where either is missing.
    package static func number(user: FeatureValue, item: FeatureValue) -> Float {
        guard !item.isNull else { return .nan }
        switch user {
        case .null: return .nan
        case .list(let elements):
            guard !elements.isEmpty else { return .nan }
            var (equal, all): (Float, Float) = (0, 0)
            for (place, element) in elements.enumerated() {
                let weight = 1 / Float(place + 1)
                all += weight
                if element == item { equal += weight }
            }
            return equal / all
        default: return user == item ? 1 : 0
        }
    }

    /// Whether values of these types can be equal.
    package static func accepts(user: FeatureType, item: FeatureType) -> Bool {
        guard case .scalar(let wanted) = item else { return false }
        return switch user {
        case .scalar(let found), .list(let found): found == wanted
        case .vector: false
        }
    }
}
