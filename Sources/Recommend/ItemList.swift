package import FeatureModel
package import Recall

/// One version of a list in the memory of this process. Looking up takes no lock and no I/O.
package protocol ItemList: Sendable {
    /// How many items its longest row has, of all, of a segment or of neighbours: what a lookup may have to add up.
    var longestRow: Int { get }
    /// The best items of the segments, the n-th of which weighs 1/n, best first; of all where there are none.
    func top(segments: [String], limit: Int) -> [ScoredItem]
    /// What goes with the seeds, the latest first; best first.
    func neighbours(of seeds: [EntityKeyValue], limit: Int, excluding: [EntityKeyValue]) -> [ScoredItem]
}
