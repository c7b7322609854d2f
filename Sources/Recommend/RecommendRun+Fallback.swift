import FeatureModel
import Recall

/// The rungs that need nobody: memory of this process, no call, no wait.
extension RecommendRun {
    /// What the user got last, without what may not come by now. What is missing from `k` comes from the fallback list, and says so.
    mutating func lastGood() -> RecommendAnswer? {
        // A caller's own candidates are another question.
        guard request.candidates == nil else { return nil }
        var left = Set(request.exclude)
        let kept = pipeline.lastGood.items(of: userKey, at: clock.now())
        var items = Array(kept.filter { !left.contains($0.id) && isAllowed($0.id) }.prefix(k))
        guard !items.isEmpty else { return nil }
        left.formUnion(items.lazy.map(\.id))
        if items.count < k { items += listed(k - items.count, leavingOut: left) ?? [] }
        return RecommendAnswer(items: items, rung: .lastGood, model: nil, version: nil, degraded: [], explain: nil)
    }

    /// The fallback list.
    ///
    /// - Throws: `unavailable` when it was never loaded.
    mutating func popular() throws(RecommendError) -> RecommendAnswer {
        guard let items = listed(k, leavingOut: Set(request.exclude)) else {
            throw RecommendError(.unavailable, "the list \(config.fallback) is not loaded, and nothing else can answer")
        }
        return RecommendAnswer(items: items, rung: .popularity, model: nil, version: nil, degraded: [], explain: nil)
    }

    /// The best of the fallback list that may come; `nil` when it was never loaded.
    private func listed(_ count: Int, leavingOut excluded: Set<EntityKeyValue>) -> [RecommendAnswer.Item]? {
        guard let list = environment.list(config.fallback) else { return nil }
        let wanted = count + excluded.count + Self.spare
        var items = list.top(segments: [], limit: request.candidates == nil ? wanted : Recommender.maximumItems)
        if let candidates = request.candidates { items = reordered(candidates, by: items) }
        let best = items.reduce(Float(0)) { $1.score.isFinite ? max($0, $1.score) : $0 }
        var known: Set<EntityKeyValue> = []
        var answered: [RecommendAnswer.Item] = []
        for item in items where answered.count < count {
            guard !excluded.contains(item.id), known.insert(item.id).inserted, isAllowed(item.id) else { continue }
            let score = best > 0 && item.score.isFinite ? Double(max(0, item.score) / best) : 0
            answered.append(RecommendAnswer.Item(id: item.id, score: score, source: config.fallback))
        }
        return answered
    }

    /// How many items of the fallback list may leave by policy before an answer gets short; also how many are looked at
    /// in good time.
    static var spare: Int { 1_000 }

    /// The caller's items in the order of the list, those that aren't in it behind.
    private func reordered(_ candidates: [EntityKeyValue], by list: [ScoredItem]) -> [ScoredItem] {
        let own = Set(candidates)
        let listed = list.filter { own.contains($0.id) }
        let known = Set(listed.map(\.id))
        return listed + candidates.filter { !known.contains($0) }.map { ScoredItem(id: $0, score: 0) }
    }

    /// Whether policy lets an item pass, by what is in memory: what isn't known does not pass.
    private func isAllowed(_ id: EntityKeyValue) -> Bool {
        for (_, items) in pipeline.blocked where items.contains(id) { return false }
        guard pipeline.hasFeaturePolicy else { return true }
        return pipeline.policy.passes(id, at: clock.now()) ?? false
    }
}
