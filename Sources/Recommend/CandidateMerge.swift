import FeatureModel
import Recall

/// What one source gave.
struct SourceResult: Sendable {
    /// Its place in the pipeline.
    let source: Int
    let items: [ScoredItem]
}

/// An item on its way through the pipeline.
struct Candidate: Sendable {
    struct Origin: Sendable {
        let source: Int
        let score: Float
        /// From 1.
        let place: Int
    }

    let id: EntityKeyValue
    /// Its place among the rows that were read.
    var row = 0
    private let first: Origin
    /// Of the sources behind the first; few items have several.
    private var others: [Origin] = []
    /// The fused score of recall, comparable within the request.
    var recall: Double
    /// The source that gave most of it.
    var best: Int
    var bestPart: Double
    var rank: Float?
    var score = 0.0

    init(id: EntityKeyValue, from origin: Origin, recall: Double, best: Int, bestPart: Double = 0) {
        self.id = id
        first = origin
        self.recall = recall
        self.best = best
        self.bestPart = bestPart
    }

    /// Where it came from, in the order of the pipeline.
    var origins: [Origin] { [first] + others }
    /// Its place with the first source that gave it.
    var place: Int { first.place }

    /// What that source said of it.
    func origin(_ source: Int) -> Origin? {
        first.source == source ? first : others.first { $0.source == source }
    }

    /// Adds a source; `nil` where it is the latest already.
    fileprivate mutating func add(_ origin: Origin, _ part: Double) -> Bool {
        guard (others.last ?? first).source != origin.source else { return false }
        others.append(origin)
        recall += part
        guard part > bestPart else { return true }
        bestPart = part
        best = origin.source
        return true
    }
}

/// Makes one list of what the sources gave. Pure, and the same whatever the order in which sources answered.
enum CandidateMerge {
    /// Each source gives at most its quota of items that `leaves` has no reason against. Scores are brought into `0...1` by
    /// each source's best and summed by weight; of equal sums, the earlier source, its place and then the id decide.
    ///
    /// `leaves` is asked of each item that is none yet; with a reason, the item goes to `left`.
    static func merge(
        _ results: [SourceResult], _ sources: [(quota: Int, weight: Double)],
        leaves: (EntityKeyValue) -> String?, left: (EntityKeyValue, Candidate.Origin, String) -> Void
    ) -> [Candidate] {
        var candidates: [Candidate] = []
        let most = results.reduce(0) { $0 + min($1.items.count, sources[$1.source].quota) }
        var places = ItemTable(capacity: most)
        candidates.reserveCapacity(most)
        for result in results.sorted(by: { $0.source < $1.source }) {
            let best = result.items.reduce(Float(0)) { $1.score.isFinite ? max($0, $1.score) : $0 }
            let (quota, weight) = sources[result.source]
            var taken = 0
            for (index, item) in result.items.enumerated() {
                guard taken < quota else { break }
                let origin = Candidate.Origin(source: result.source, score: item.score, place: index + 1)
                let part = weight * normal(item.score, best, index)
                if let place = places[item.id] {
                    // A source that names an item twice names it once.
                    if candidates[place].add(origin, part) { taken += 1 }
                    continue
                }
                if let reason = leaves(item.id) {
                    left(item.id, origin, reason)
                    continue
                }
                places.insert(item.id, candidates.count)
                candidates.append(
                    Candidate(id: item.id, from: origin, recall: part, best: result.source, bestPart: part))
                taken += 1
            }
        }
        return ordered(candidates, by: \.recall)
    }

    /// Candidates by a score, the highest first; of equal ones, the better of recall. Places are sorted and each candidate is moved
    /// once, which is what takes time.
    static func ordered(_ candidates: [Candidate], by score: (Candidate) -> Double) -> [Candidate] {
        let keys = candidates.enumerated().map { (score: score($1), place: $0) }.sorted { left, right in
            left.score == right.score
                ? isBefore(candidates[left.place], candidates[right.place]) : left.score > right.score
        }
        return keys.map { candidates[$0.place] }
    }

    private static func normal(_ score: Float, _ best: Float, _ index: Int) -> Double {
        // A list without scores that tell has its order.
        guard best > 0, score.isFinite else { return 1 / Double(index + 1) }
        return Double(max(0, score) / best)
    }

    private static func isBefore(_ left: Candidate, _ right: Candidate) -> Bool {
        if left.recall != right.recall { return left.recall > right.recall }
        if left.best != right.best { return left.best < right.best }
        if left.place != right.place { return left.place < right.place }
        return left.id.precedes(right.id)
    }
}

extension EntityKeyValue {
    /// An order of keys: integers by value, then texts, then bytes.
    func precedes(_ other: EntityKeyValue) -> Bool {
        switch (self, other) {
        case (.integer(let left), .integer(let right)): left < right
        case (.text(let left), .text(let right)): left < right
        case (.bytes(let left), .bytes(let right)): left.lexicographicallyPrecedes(right)
        case (.integer, _), (.text, .bytes): true
        default: false
        }
    }
}
