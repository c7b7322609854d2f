package import FeatureModel

/// One loaded version of a list. Immutable: lookups take no lock and do no I/O, from any number of tasks.
package final class RecallList: Sendable {
    package let name: String
    package let version: UInt64
    package let manifest: RecallManifest
    private let artifact: RecallArtifact
    private let rows: [String: Int]
    /// What the scores of each row add up to; for lists of the best.
    private let totals: [Float]
    /// How many items the longest row has.
    package let longestRow: Int

    /// Seeds behind these are not looked at.
    package static let maximumSeeds = 64
    /// Segments behind these are not looked at.
    package static let maximumSegments = 64
    /// How much less each seed weighs than the one before it, which the user met later.
    static let seedDecay: Float = 0.9

    /// What it is made by.
    package var kind: RecallKind { artifact.kind }
    /// Microseconds since 1970.
    package var builtAt: Int64 { manifest.builtAt }
    /// When the newest event happened that it is made of; microseconds since 1970.
    package var newestEvent: Int64 { manifest.newestEvent }
    /// How many items it knows.
    package var itemCount: Int { artifact.ids.count }
    /// What it takes of the config's `max_bytes`.
    package var byteCount: Int { Int(manifest.bytes) }
    /// The names of its segments, in no order that means something.
    package var segments: [String] { artifact.segments }

    /// Takes an artifact that was checked.
    package init(_ artifact: RecallArtifact, _ manifest: RecallManifest) {
        self.artifact = artifact
        self.manifest = manifest
        name = manifest.list
        version = manifest.version
        var rows: [String: Int] = [:]
        for (index, segment) in artifact.segments.enumerated() { rows[segment] = index + 1 }
        self.rows = rows
        longestRow = (0..<artifact.rowCount).reduce(0) { max($0, artifact.row($1).count) }
        totals =
            artifact.kind.hasNeighbours
            ? [] : (0..<artifact.rowCount).map { artifact.row($0).reduce(0) { $0 + artifact.scores[$1] } }
    }

    /// The best items of the segments, best first; of the whole list where none is named. None for unknown segments, and none
    /// of a list that has neighbours.
    ///
    /// Of several segments the n-th weighs 1/n, as elements of a list do in `FeatureMatch`, and one that is named again adds up:
    /// a user's last categories, the newest first, are most of all what the user wants now. An item's score is the sum, over the
    /// segments, of weight and the item's share of what the segment's items score; those of the best `limit` of each segment
    /// are summed. Scores are divided by the best.
    package func top(
        segments: [String] = [], limit: Int, excluding: Set<EntityKeyValue> = []
    ) -> [ScoredItem] {
        guard !kind.hasNeighbours, limit > 0 else { return [] }
        let weights = weights(segments)
        if weights.count > 1 { return mixed(weights, limit, excluding) }
        guard let row = segments.isEmpty ? 0 : weights.first?.row else { return [] }
        var result: [ScoredItem] = []
        result.reserveCapacity(min(limit, artifact.row(row).count))
        for place in artifact.row(row) {
            let id = artifact.ids[Int(artifact.items[place])]
            guard !excluding.contains(id) else { continue }
            result.append(ScoredItem(id: id, score: artifact.scores[place]))
            if result.count == limit { break }
        }
        return result
    }

    /// The rows of the segments that the list knows, each once, with what they weigh.
    private func weights(_ segments: [String]) -> [(row: Int, weight: Float)] {
        var weights: [(row: Int, weight: Float)] = []
        for (place, segment) in segments.prefix(Self.maximumSegments).enumerated() {
            guard let row = rows[segment] else { continue }
            let weight = 1 / Float(place + 1)
            if let known = weights.firstIndex(where: { $0.row == row }) {
                weights[known].weight += weight
            } else {
                weights.append((row, weight))
            }
        }
        return weights
    }

    private func mixed(
        _ weights: [(row: Int, weight: Float)], _ limit: Int, _ excluding: Set<EntityKeyValue>
    ) -> [ScoredItem] {
        var sums = SumTable(capacity: weights.reduce(0) { $0 + min(limit, artifact.row($1.row).count) })
        for (row, weight) in weights where totals[row] > 0 {
            for place in artifact.row(row).prefix(limit) {
                sums.add(artifact.items[place], weight * artifact.scores[place] / totals[row])
            }
        }
        for id in excluding {
            if let item = artifact.ids.index(of: id) { sums.drop(UInt32(clamping: item)) }
        }
        var best = TopScores(limit: limit)
        sums.forEach { best.offer($0, $1) }
        let entries = best.sorted()
        let most = entries.first?.score ?? 1
        return entries.map { ScoredItem(id: artifact.ids[Int($0.item)], score: most > 0 ? $0.score / most : $0.score) }
    }

    /// What is near to the seeds, which come newest first, best first. Each seed weighs 0.9 of the one before; an item near to
    /// several adds up. The seeds themselves are left out. None of a list that has no neighbours.
    package func neighbours(
        of seeds: [EntityKeyValue], limit: Int, excluding: some Sequence<EntityKeyValue> = []
    ) -> [ScoredItem] {
        guard kind.hasNeighbours, limit > 0 else { return [] }
        var found: [(item: Int, weight: Float)] = []
        var weight: Float = 1
        for seed in seeds.prefix(Self.maximumSeeds) {
            if let item = artifact.ids.index(of: seed) { found.append((item, weight)) }
            weight *= Self.seedDecay
        }
        guard !found.isEmpty else { return [] }
        let left = found.map(\.item) + excluding.compactMap { artifact.ids.index(of: $0) }
        let best = near(to: found, limit: limit, leavingOut: left)
        return best.map { ScoredItem(id: artifact.ids[Int($0.item)], score: $0.score) }
    }

    private func near(
        to seeds: [(item: Int, weight: Float)], limit: Int, leavingOut left: [Int]
    ) -> [TopScores.Entry] {
        var sums = SumTable(capacity: seeds.reduce(0) { $0 + artifact.row($1.item).count })
        for seed in seeds {
            for place in artifact.row(seed.item) {
                sums.add(artifact.items[place], seed.weight * artifact.scores[place])
            }
        }
        for item in left { sums.drop(UInt32(clamping: item)) }
        let total = seeds.reduce(0) { $0 + $1.weight }
        var best = TopScores(limit: limit)
        sums.forEach { best.offer($0, $1 / total) }
        return best.sorted()
    }

    /// Whether the list knows an item.
    package func contains(_ id: EntityKeyValue) -> Bool { artifact.ids.index(of: id) != nil }
}
