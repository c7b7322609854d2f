import FeatureModel

/// The candidates of a moment, as the pipeline would gather them.
struct CandidateGatherer {
    /// What recall says of one item.
    struct Candidate {
        let item: UInt32
        /// By the source's place; NaN where the source did not give it.
        var scores: [Float]
        /// The order of recall: each source's scores as shares of its best, weighted and added.
        var order: Float
    }

    let plan: TrainingPlan
    let sources: [any CandidateSource]

    /// At most the plan's number of candidates, those of the highest order first; none that the user met lately.
    ///
    /// `segments` tells what a user's feature named as it was.
    func gather(
        _ moment: Moment, _ items: inout KeyIndex, segments: (FeatureReference) -> [String]
    ) -> [Candidate] {
        let seeds = moment.recent.map { items.keys[Int($0)] }
        let known = Set(moment.recent)
        let excluding = Set(seeds)
        var found: [UInt32: Candidate] = [:]
        for (place, source) in sources.enumerated() {
            let quota = plan.sources[place].quota
            let given = source.candidates(
                seeds: seeds, segments: plan.sources[place].segment.map(segments) ?? [], limit: quota + known.count,
                excluding: excluding)
            let best = given.reduce(Float.leastNormalMagnitude) { max($0, $1.score) }
            var taken = 0
            for (id, score) in given where taken < quota {
                let item = items.insert(id)
                guard !known.contains(item) else { continue }
                taken += 1
                let empty = Candidate(item: item, scores: Array(repeating: .nan, count: sources.count), order: 0)
                var candidate = found[item] ?? empty
                candidate.scores[place] = score
                candidate.order += Float(plan.sources[place].weight) * max(0, score) / best
                found[item] = candidate
            }
        }
        let sorted = found.values.sorted { ($0.order, $1.item) > ($1.order, $0.item) }
        return Array(sorted.prefix(plan.candidates))
    }
}
