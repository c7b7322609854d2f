package import FeatureModel

/// What a list is made of, as arrays: the contents of `data.bin`.
///
/// Rows of scored items lie one behind the other in `items` and `scores`, best first. A list of the best has a row for the
/// whole and one for each segment; a list of neighbours has a row for each item.
package struct RecallArtifact: Sendable, Hashable {
    package var kind: RecallKind
    package var ids: ItemIDs
    /// The names of the rows behind the first, ascending; empty for neighbours.
    package var segments: [String] = []
    /// Where each row starts, and where the last one ends.
    package var starts: [UInt32] = [0]
    /// Indexes into `ids`.
    package var items: [UInt32] = []
    package var scores: [Float] = []

    package init(kind: RecallKind, ids: ItemIDs) {
        self.kind = kind
        self.ids = ids
    }

    /// How many rows there are.
    package var rowCount: Int { starts.count - 1 }

    /// Where the row's scored items lie.
    package func row(_ index: Int) -> Range<Int> { Int(starts[index])..<Int(starts[index + 1]) }

    /// What contradicts itself in it, if anything. All indexes that lookups use are checked here.
    var fault: String? {
        if let fault = ids.fault { return fault }
        let expectedRows = kind.hasNeighbours ? ids.count : 1 + segments.count
        guard rowCount == expectedRows else { return "\(rowCount) rows where \(expectedRows) are expected" }
        guard starts[0] == 0, Int(starts[rowCount]) == items.count, scores.count == items.count else {
            return "rows have no ends"
        }
        for index in starts.indices.dropFirst() where starts[index - 1] > starts[index] { return "rows have no ends" }
        for item in items where Int(item) >= ids.count { return "an item is out of range" }
        for score in scores where !score.isFinite { return "a score is not finite" }
        guard !kind.hasNeighbours || segments.isEmpty else { return "segments where none belong" }
        guard Set(segments).count == segments.count else { return "a segment is there twice" }
        return nil
    }
}
