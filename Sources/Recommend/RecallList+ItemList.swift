import FeatureModel
package import Recall

extension RecallList: ItemList {
    package func top(segments: [String], limit: Int) -> [ScoredItem] {
        top(segments: segments, limit: limit, excluding: [])
    }
}
