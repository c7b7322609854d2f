import FeatureModel
package import Recall

extension RecallList: ItemList {
    package func top(segment: String?, limit: Int) -> [ScoredItem] {
        top(segment: segment, limit: limit, excluding: [])
    }
}
