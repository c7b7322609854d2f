import FeatureModel

/// Gathers how an answer came about, for who asked to have it explained.
struct Trace: Sendable {
    private let names: [String]
    private var order: [EntityKeyValue] = []
    private var candidates: [EntityKeyValue: Explanation.Candidate] = [:]
    var stages: [Explanation.Stage] = []
    var user: [(FeatureReference, FeatureValue)] = []

    init(_ config: PipelineConfig) {
        names = config.sources.map(\.name)
    }

    private mutating func change(_ id: EntityKeyValue, _ body: (inout Explanation.Candidate) -> Void) {
        if candidates[id] == nil {
            order.append(id)
            candidates[id] = Explanation.Candidate(
                id: id, sources: [], recall: 0, rank: nil, score: nil, position: nil, left: nil, features: [])
        }
        if var candidate = candidates[id] {
            body(&candidate)
            candidates[id] = candidate
        }
    }

    private func origin(_ origin: Candidate.Origin) -> (name: String, score: Float, place: Int) {
        (origin.source < 0 ? "request" : names[origin.source], origin.score, origin.place)
    }

    mutating func came(_ all: [Candidate]) {
        for candidate in all {
            let sources = candidate.origins.map { origin($0) }
            change(candidate.id) {
                $0.sources = sources
                $0.recall = candidate.recall
            }
        }
    }

    mutating func left(_ id: EntityKeyValue, _ origin: Candidate.Origin, _ reason: String) {
        let source = self.origin(origin)
        change(id) {
            $0.sources.append(source)
            $0.left = $0.left ?? reason
        }
    }

    mutating func left(_ id: EntityKeyValue, _ reason: String) {
        change(id) { $0.left = $0.left ?? reason }
    }

    mutating func features(_ id: EntityKeyValue, _ features: [(FeatureReference, FeatureValue)]) {
        change(id) { $0.features = features }
    }

    mutating func scored(_ id: EntityKeyValue, rank: Float?, score: Double) {
        change(id) {
            $0.rank = rank
            $0.score = score
        }
    }

    func explanation(of answer: RecommendAnswer) -> Explanation {
        var all = candidates
        for (index, item) in answer.items.enumerated() {
            all[item.id]?.position = index + 1
            all[item.id]?.left = nil
        }
        var explanation = Explanation()
        explanation.stages = stages
        explanation.user = user
        explanation.candidates = order.compactMap { all[$0] }.sorted { left, right in
            (left.position ?? .max, -(left.score ?? left.recall)) < (
                right.position ?? .max, -(right.score ?? right.recall)
            )
        }
        return explanation
    }
}
