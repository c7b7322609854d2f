package import FeatureModel

/// An item that a list recalls.
package struct ScoredItem: Sendable, Hashable {
    /// The value of the item's key column.
    package var id: EntityKeyValue
    /// Higher is better, at most 1; comparable within one answer of one list.
    package var score: Float

    package init(id: EntityKeyValue, score: Float) {
        self.id = id
        self.score = score
    }
}
