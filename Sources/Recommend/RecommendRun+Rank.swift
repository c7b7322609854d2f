import FeatureModel
import OnlineStore
import Ranking
import Resilience

extension RecommendRun {
    /// The answer of the first rung; `nil` when there is no model, or it gave no scores.
    mutating func ranked(_ prepared: Prepared) async -> RecommendAnswer? {
        guard let name = config.model, let gate = pipeline.ranker else { return nil }
        guard prepared.isWhole else {
            leave("ranker", "no_features")
            return nil
        }
        guard let ranker = environment.ranker(name) else {
            leave("ranker", "no_model")
            return nil
        }
        guard let matrix = matrix(ranker, prepared) else {
            leave("ranker", "mismatch")
            return nil
        }
        guard let scores = await score(ranker, matrix, gate) else { return nil }
        let candidates = blend(prepared.candidates, scores)
        let items = pick(candidates, prepared.rows)
        guard !items.isEmpty else { return nil }
        keepAnswer(items)
        return RecommendAnswer(
            items: Array(items.prefix(k)), rung: .ranking, model: ranker.name, version: ranker.version, degraded: [],
            explain: nil)
    }

    private mutating func score(
        _ ranker: any Ranker, _ matrix: FeatureMatrix, _ gate: DependencyGate
    ) async -> [Float]? {
        let began = clock.now()
        guard let until = begin(.rank) else {
            leave("ranker", "no_time")
            return nil
        }
        let work = { @Sendable () async throws -> [Float] in
            let scores = try await ranker.score(matrix, deadline: until)
            guard scores.count == matrix.rows else { throw RankerError(.mismatch, "as many scores as rows are right") }
            return scores
        }
        let full = isFull(.rank, until: until)
        let result =
            ranker.isImmediate(rows: matrix.rows)
            ? await callout.ask(gate, isFull: full, work)
            : await callout.call(gate, until: until, isFull: full, work)
        switch result {
        case .value(let scores):
            end("rank", "ok", since: began, until: until)
            return scores
        case .left(let reason):
            end("rank", reason, since: began, until: until)
            leave("ranker", reason)
            return nil
        }
    }

    /// The numbers that the model wants; `nil` when it wants some that the pipeline doesn't read.
    private func matrix(_ ranker: any Ranker, _ prepared: Prepared) -> FeatureMatrix? {
        let now = clock.wall()
        var matrix = FeatureMatrix(rows: prepared.candidates.count, columns: ranker.columns.count)
        for (column, wanted) in ranker.columns.enumerated() {
            switch wanted.input {
            case .recall(let name):
                guard let source = config.sources.firstIndex(where: { $0.name == name }) else { return nil }
                matrix.setColumn(column) { prepared.candidates[$0].origin(source)?.score }
            case .match(let user, let item):
                guard match(&matrix, column, user, item, prepared) else { return nil }
            case .feature(let reference):
                guard fill(&matrix, column, reference, wanted.encoding, prepared, now: now) else { return nil }
            }
        }
        return matrix
    }

    private func match(
        _ matrix: inout FeatureMatrix, _ column: Int, _ user: FeatureReference, _ item: FeatureReference,
        _ prepared: Prepared
    ) -> Bool {
        guard plan?.user?.columns[user] != nil || request.context[user] != nil, let rows = prepared.rows,
            let place = rows.column(item)
        else { return false }
        guard let wanted = prepared.user.value(user) else { return true }
        let match = FeatureMatch(user: wanted)
        matrix.setColumn(column) { row in
            rows.value(place, at: prepared.candidates[row].row).map { match.number(item: $0) }
        }
        return true
    }

    private func fill(
        _ matrix: inout FeatureMatrix, _ column: Int, _ reference: FeatureReference, _ encoding: FeatureEncoding,
        _ prepared: Prepared, now: Int64
    ) -> Bool {
        if plan?.user?.columns[reference] != nil || request.context[reference] != nil {
            guard let value = prepared.user.value(reference) else { return true }
            let number = encoding.encode(value, now: now)
            matrix.setColumn(column) { _ in number }
            return true
        }
        guard let rows = prepared.rows, let place = rows.column(reference) else { return false }
        let candidates = prepared.candidates
        if encoding == .number {
            let isNumber = rows.withNumbers(place) { numbers in
                matrix.setColumn(column) { numbers.number(at: candidates[$0].row).map { Float($0) } }
            }
            if isNumber { return true }
        }
        matrix.setColumn(column) { row in
            rows.value(place, at: candidates[row].row).map { encoding.encode($0, now: now) }
        }
        return true
    }

    /// Candidates by their final score.
    private mutating func blend(_ candidates: [Candidate], _ scores: [Float]) -> [Candidate] {
        let (low, high) = (scores.min() ?? 0, scores.max() ?? 0)
        let share = config.recallShare
        var blended = candidates
        for (index, score) in scores.enumerated() {
            blended[index].rank = score
            // With a share of recall both must be on one scale.
            let normal = high > low ? (Double(score) - Double(low)) / (Double(high) - Double(low)) : 0
            blended[index].score =
                share == 0 ? Double(score) : (1 - share) * normal + share * candidates[index].recall
            trace?.scored(candidates[index].id, rank: score, score: blended[index].score)
        }
        return CandidateMerge.ordered(blended, by: \.score)
    }

    // MARK: The rung below

    /// Candidates by their score of recall; `nil` when none is left.
    mutating func recalled(_ prepared: Prepared) -> RecommendAnswer? {
        var candidates = prepared.candidates
        for index in candidates.indices {
            candidates[index].score = candidates[index].recall
            trace?.scored(candidates[index].id, rank: nil, score: candidates[index].recall)
        }
        let items = pick(candidates, prepared.rows)
        guard !items.isEmpty else { return nil }
        if config.model == nil || !config.ladder.contains(.ranking) { keepAnswer(items) }
        return RecommendAnswer(
            items: Array(items.prefix(k)), rung: .recall, model: nil, version: nil, degraded: [], explain: nil)
    }

    /// Keeps a full answer for the day when there is none.
    private func keepAnswer(_ items: [RecommendAnswer.Item]) {
        guard degraded.isEmpty, request.candidates == nil, request.context.isEmpty, config.ladder.contains(.lastGood)
        else { return }
        pipeline.lastGood.keep(items, of: userKey, at: clock.now())
    }
}
