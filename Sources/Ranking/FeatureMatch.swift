package import FeatureModel

/// How much items' values are like a user's: as the category of an item and the categories that a user met lately.
package struct FeatureMatch {
    private let user: FeatureValue
    /// Of a list: what each of its values weighs, and all of them.
    private let weights: [FeatureValue: Float]
    private let total: Float

    /// Where the user's value is a list, it is newest first.
    package init(user: FeatureValue) {
        self.user = user
        var (weights, total): ([FeatureValue: Float], Float) = ([:], 0)
        if case .list(let elements) = user {
            for (place, element) in elements.enumerated() {
                let weight = 1 / Float(place + 1)
                total += weight
                weights[element, default: 0] += weight
            }
        }
        (self.weights, self.total) = (weights, total)
    }

    /// 1 where both are equal and 0 where not. Where the user's value is a list, the share of the list that is equal, the n-th element
    /// weighing 1/n. NaN where either is missing.
    package func number(item: FeatureValue) -> Float {
        guard !item.isNull else { return .nan }
        return switch user {
        case .null: .nan
        case .list(let elements): elements.isEmpty ? .nan : weights[item, default: 0] / total
        default: user == item ? 1 : 0
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
