package import FeatureModel

/// One loaded version of a list. Immutable: lookups take no lock and do no I/O, from any number of tasks.
package final class RecallList: Sendable {
    package let name: String
    package let version: UInt64
    package let manifest: RecallManifest
    private let artifact: RecallArtifact
    private let rows: [String: Int]

    /// Seeds behind these are not looked at.
    package static let maximumSeeds = 64
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
    }

    /// The best items of a segment, or of the whole, best first. None for an unknown segment, and none of a list that has
    /// neighbours.
    package func top(
        segment: String? = nil, limit: Int, excluding: Set<EntityKeyValue> = []
    ) -> [ScoredItem] {
        guard !kind.hasNeighbours, limit > 0, let row = segment.map({ rows[$0] }) ?? 0 else { return [] }
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
