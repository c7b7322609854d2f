import FeatureModel

/// The pipeline's filters on items, with the values that the items' features had at a moment.
///
/// They hold for popularity, recall and model alike.
struct PastFilters {
    /// Where a feature's values as they were are found.
    private struct Place {
        let history: Int
        let feature: Int
    }

    private let tests: [(place: Place, test: FilterTest, isPolicy: Bool)]
    private let limits: [(place: Place, most: Int)]
    private let blocked: Set<EntityKeyValue>
    private let k: Int

    /// Takes the filters of a plan whose views have one of the histories.
    init(_ plan: TrainingPlan, _ histories: [FeatureHistory]) {
        func place(_ reference: FeatureReference) -> Place? {
            for (index, history) in histories.enumerated() {
                if let feature = history.kept(reference) { return Place(history: index, feature: feature) }
            }
            return nil
        }
        var tests: [(place: Place, test: FilterTest, isPolicy: Bool)] = []
        var limits: [(place: Place, most: Int)] = []
        for filter in plan.filters {
            switch filter.rule {
            case .feature(let reference, let test):
                if let place = place(reference) { tests.append((place, test, filter.isPolicy)) }
            case .atMost(let reference, let most):
                if let place = place(reference) { limits.append((place, most)) }
            case .notIn, .file: break
            }
        }
        self.tests = tests
        self.limits = limits
        blocked = plan.blocked
        k = plan.k
    }

    /// Whether nothing can leave by them.
    var isEmpty: Bool { tests.isEmpty && limits.isEmpty && blocked.isEmpty }

    /// Whether an item passes at a time: of a policy, what is not there does not pass; of another filter, it does.
    func passes(_ item: UInt32, _ id: EntityKeyValue, at time: Int64, _ histories: [FeatureHistory]) -> Bool {
        guard blocked.isEmpty || !blocked.contains(id) else { return false }
        return tests.allSatisfy { place, test, isPolicy in
            let value = histories[place.history].value(kept: place.feature, key: item, at: time)
            return value.isNull ? !isPolicy : test.accepts(value)
        }
    }

    /// What an item is of, for each filter that limits how many of a kind an answer has.
    func kinds(_ item: UInt32, at time: Int64, _ histories: [FeatureHistory]) -> [FeatureValue] {
        limits.map { place, _ in histories[place.history].value(kept: place.feature, key: item, at: time) }
    }

    /// The places of a ranking as answers of `k` items have them, one answer behind the other: what is too many of its kind
    /// for one answer waits for the next. From the depth on at which nothing is measured, the ranking's own order.
    func answers(_ ranking: [Int], kinds: [[FeatureValue]]) -> [Int] {
        guard !limits.isEmpty else { return ranking }
        var answered: [Int] = []
        var rest = ranking
        while answered.count < MomentScore.deep, !rest.isEmpty {
            let (answer, left) = self.answer(rest, kinds)
            answered += answer
            rest = left
        }
        return answered + rest
    }

    private func answer(_ ranking: [Int], _ kinds: [[FeatureValue]]) -> (answer: [Int], left: [Int]) {
        var counts = [[FeatureValue: Int]](repeating: [:], count: limits.count)
        var (answer, left): ([Int], [Int]) = ([], [])
        for (index, place) in ranking.enumerated() {
            guard answer.count < k else { return (answer, left + ranking[index...]) }
            let known = limits.indices.filter { !kinds[place][$0].isNull }
            guard known.allSatisfy({ counts[$0][kinds[place][$0], default: 0] < limits[$0].most }) else {
                left.append(place)
                continue
            }
            for rule in known { counts[rule][kinds[place][rule], default: 0] += 1 }
            answer.append(place)
        }
        return (answer, left)
    }
}
