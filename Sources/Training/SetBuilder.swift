import Extraction
import FeatureModel
import Ranking

/// The candidates of a moment of the test, with all that is needed to rank them in several ways.
struct HeldMoment: Sendable {
    let items: [UInt32]
    let matrix: FeatureMatrix
    let labels: [Float]
    /// The order of recall.
    let order: [Float]
    /// Which items pass the pipeline's filters.
    var passes: [Bool] = []
    /// What each item is of, for limits of a kind.
    var kinds: [[FeatureValue]] = []
    /// How good popularity is at the moment, without filters and with them.
    var popularity: (plain: MomentScore, filtered: MomentScore)?

    /// The model's scores with a share of the recall score, as the pipeline blends them.
    func blended(_ scores: [Float], recallShare share: Double) -> [Float] {
        guard share > 0, let low = scores.min(), let high = scores.max() else { return scores }
        return zip(scores, order).map { score, recall in
            let normal = high > low ? (Double(score) - Double(low)) / (Double(high) - Double(low)) : 0
            return Float((1 - share) * normal + share * Double(recall))
        }
    }

    /// How good the ranking by these scores is; with filters, what answers have of it.
    func score(_ scores: [Float], _ moment: Moment, _ filters: PastFilters? = nil) -> MomentScore {
        var ranking = items.indices.sorted { (scores[$0], $1) > (scores[$1], $0) }
        if let filters { ranking = filters.answers(ranking.filter { passes[$0] }, kinds: kinds) }
        var score = MomentScore(ranking: ranking.map { items[$0] }, relevant: moment.relevant)
        let known = filters == nil ? Array(items.indices) : items.indices.filter { passes[$0] }
        score.auc = MomentScore.auc(known.map { scores[$0] }, known.map { labels[$0] })
        return score
    }
}

/// Turns moments, by time, into rows: one forward pass over the histories of all views.
struct SetBuilder {
    private let plan: TrainingPlan
    private var histories: [FeatureHistory]
    private var users: KeyIndex
    private var items: KeyIndex
    private(set) var training: RankingSet
    private(set) var validation: RankingSet
    private(set) var held: [HeldMoment] = []
    let filters: PastFilters

    /// The share of the moments to learn from, the last by time, that tells when to stop.
    private static let validationShare = 0.15

    init(_ plan: TrainingPlan, _ log: EventLog, _ sources: RankerTraining.Sources) async throws {
        self.plan = plan
        users = log.users
        items = log.items
        training = RankingSet(columns: plan.columns.count)
        validation = RankingSet(columns: plan.columns.count)
        var histories: [FeatureHistory] = []
        do {
            for view in plan.views {
                guard let history = plan.config.history.first(where: { $0.view == view.name }) else { continue }
                histories.append(try await FeatureHistory(view, plan, history, source: sources(history.from)))
            }
        } catch {
            for history in histories { await history.close() }
            throw error
        }
        self.histories = histories
        filters = PastFilters(plan, histories)
    }

    func close() async {
        for history in histories { await history.close() }
    }

    var historyRows: Int { histories.reduce(0) { $0 + $1.rows } }
    var skippedHistoryRows: Int { histories.reduce(0) { $0 + $1.skipped } }

    /// Adds moments to learn from. Those for which recall finds nothing of what came next teach nothing and are left out.
    mutating func learn(
        _ moments: [Moment], _ gatherer: CandidateGatherer, _ progress: RankerTraining.Progress
    ) async throws {
        let stop = Int(Double(moments.count) * (1 - Self.validationShare))
        for (index, moment) in moments.enumerated() {
            if index % 1_000 == 0 { progress("moments to learn from: \(index) of \(moments.count)") }
            let candidates = sample(try await gathered(moment, gatherer), moment, UInt64(index))
            let labels = candidates.map { moment.relevant[$0.item] ?? 0 }
            guard labels.contains(where: { $0 > 0 }), labels.contains(0) else { continue }
            let matrix = matrix(candidates, moment)
            if index < stop {
                training.append(matrix, labels: labels)
            } else {
                validation.append(matrix, labels: labels)
            }
        }
    }

    /// Adds moments to test with, one entry each, with all candidates, and what popularity would have answered.
    mutating func hold(
        _ moments: [Moment], _ gatherer: CandidateGatherer, _ popular: PopularItems, _ progress: RankerTraining.Progress
    ) async throws {
        for (index, moment) in moments.enumerated() {
            if index % 1_000 == 0 { progress("moments to test with: \(index) of \(moments.count)") }
            let candidates = try await gathered(moment, gatherer)
            var entry = HeldMoment(
                items: candidates.map(\.item), matrix: matrix(candidates, moment),
                labels: candidates.map { moment.relevant[$0.item] ?? 0 }, order: candidates.map(\.order))
            // As the pipeline does: what leaves by its row has taken a place among the candidates before.
            entry.passes = candidates.map { passes($0.item, moment) }
            entry.kinds = candidates.map { filters.kinds($0.item, at: moment.time, histories) }
            entry.popularity = popularity(popular, moment, entry)
            held.append(entry)
        }
    }

    private func passes(_ item: UInt32, _ moment: Moment) -> Bool {
        filters.passes(item, items.keys[Int(item)], at: moment.time, histories)
    }

    private func popularity(
        _ popular: PopularItems, _ moment: Moment, _ held: HeldMoment
    ) -> (plain: MomentScore, filtered: MomentScore) {
        let ranking = popular.ranking(moment)
        var plain = MomentScore(ranking: ranking, relevant: moment.relevant)
        let counts = held.items.map(popular.count)
        plain.auc = MomentScore.auc(counts, held.labels)
        guard !filters.isEmpty else { return (plain, plain) }
        let passing = ranking.filter { passes($0, moment) }
        let kinds = passing.map { filters.kinds($0, at: moment.time, histories) }
        let answers = filters.answers(Array(passing.indices), kinds: kinds).map { passing[$0] }
        var filtered = MomentScore(ranking: answers, relevant: moment.relevant)
        let known = held.items.indices.filter { held.passes[$0] }
        filtered.auc = MomentScore.auc(known.map { counts[$0] }, known.map { held.labels[$0] })
        return (plain, filtered)
    }

    /// The candidates of a moment, after taking in what was known by then.
    private mutating func gathered(
        _ moment: Moment, _ gatherer: CandidateGatherer
    ) async throws -> [CandidateGatherer.Candidate] {
        try Task.checkCancellation()
        for index in histories.indices {
            if histories[index].isOfUser {
                try await histories[index].advance(to: moment.time, &users)
            } else {
                try await histories[index].advance(to: moment.time, &items)
            }
        }
        let histories = histories
        return gatherer.gather(moment, &items) { reference in
            histories.lazy.compactMap { $0.value(reference, key: moment.user, at: moment.time) }.first?.segments ?? []
        }
    }

    private func fillMatches(
        _ matrix: inout FeatureMatrix, _ candidates: [CandidateGatherer.Candidate], _ moment: Moment
    ) {
        for (place, column) in plan.columns.enumerated() {
            guard case .match(let user, let item) = column.input,
                let wanted = histories.lazy.compactMap({ $0.value(user, key: moment.user, at: moment.time) }).first,
                let history = histories.first(where: { $0.value(item, key: 0, at: moment.time) != nil })
            else { continue }
            let match = FeatureMatch(user: wanted)
            for (row, candidate) in candidates.enumerated() {
                matrix[row, place] = match.number(
                    item: history.value(item, key: candidate.item, at: moment.time) ?? .null)
            }
        }
    }

    /// All relevant candidates and some of the others, in an order that tells nothing.
    private func sample(
        _ candidates: [CandidateGatherer.Candidate], _ moment: Moment, _ number: UInt64
    ) -> [CandidateGatherer.Candidate] {
        let drawn = candidates.map { candidate in
            let draw = MomentPicker.fraction(number << 32 | UInt64(candidate.item), plan.seed)
            return (candidate: candidate, draw: draw, isRelevant: moment.relevant[candidate.item] != nil)
        }
        let kept = drawn.filter { !$0.isRelevant }.sorted { $0.draw < $1.draw }.prefix(plan.config.negatives)
        return (drawn.filter(\.isRelevant) + kept).sorted { $0.draw < $1.draw }.map(\.candidate)
    }

    private func matrix(_ candidates: [CandidateGatherer.Candidate], _ moment: Moment) -> FeatureMatrix {
        var matrix = FeatureMatrix(rows: candidates.count, columns: plan.columns.count)
        let recall = plan.columns.enumerated().compactMap { place, column -> (place: Int, source: Int)? in
            guard case .recall(let name) = column.input else { return nil }
            return plan.sources.firstIndex { $0.name == name }.map { (place, $0) }
        }
        fillMatches(&matrix, candidates, moment)
        for (row, candidate) in candidates.enumerated() {
            for (place, source) in recall { matrix[row, place] = candidate.scores[source] }
            for history in histories {
                history.fill(
                    &matrix, row: row, key: history.isOfUser ? moment.user : candidate.item, at: moment.time)
            }
        }
        return matrix
    }
}
