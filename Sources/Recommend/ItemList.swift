package import FeatureModel
package import Recall

/// One version of a list in the memory of this process. Looking up takes no lock and no I/O.
package protocol ItemList: Sendable {
    /// The best items, best first.
    func top(segment: String?, limit: Int) -> [ScoredItem]
    /// What goes with the seeds, the latest first; best first.
    func neighbours(of seeds: [EntityKeyValue], limit: Int, excluding: [EntityKeyValue]) -> [ScoredItem]
}
