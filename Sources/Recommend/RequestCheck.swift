import FeatureModel
import OnlineStore

/// Holds a request against its pipeline.
enum RequestCheck {
    static func k(_ request: RecommendRequest, _ config: PipelineConfig) throws(RecommendError) -> Int {
        let k = request.k ?? config.k
        guard k >= 1 else { throw RecommendError(.wrongRequest, "k is \(k); at least 1 is right", at: ["k"]) }
        guard k <= config.maximumK else {
            throw RecommendError(.tooLarge, "k is \(k); at most \(config.maximumK) may be asked for", at: ["k"])
        }
        return k
    }

    /// The user's key. Without definitions nothing is known of its columns, and any will do.
    static func user(_ request: RecommendRequest, _ plan: PipelinePlan?) throws(RecommendError) -> EntityKey {
        let given = request.entity.keys.sorted()
        var names = given
        if let plan, !plan.userKeys.isEmpty {
            for key in plan.userKeys {
                guard let value = request.entity[key.name] else {
                    let others = given.filter { name in !plan.userKeys.contains { $0.name == name } }
                    throw RecommendError(
                        .wrongRequest, Nearest.missing(key.name, of: "the entity", among: others),
                        at: ["entity", key.name])
                }
                guard key.accepts(value) else {
                    throw RecommendError(
                        .wrongRequest, "the key \(key.name) is \(key.type.rawValue), this is not",
                        at: ["entity", key.name])
                }
            }
            if let other = names.first(where: { name in !plan.userKeys.contains { $0.name == name } }) {
                let known = plan.userKeys.map(\.name)
                throw RecommendError(
                    .wrongRequest, "there is no key \(other)\(Nearest.hint(other, among: known))",
                    at: ["entity", other])
            }
            names = plan.userKeys.map(\.name)
        }
        guard let key = EntityKey(names.compactMap { request.entity[$0] }) else {
            throw RecommendError(.wrongRequest, "the entity has no key, or too long a one", at: ["entity"])
        }
        return key
    }

    static func items(_ request: RecommendRequest, _ plan: PipelinePlan?) throws(RecommendError) {
        try items(request.candidates ?? [], "candidates", plan)
        try items(request.exclude, "exclude", plan)
        if request.candidates?.isEmpty ?? false {
            throw RecommendError(
                .wrongRequest, "candidates is empty; leave it out to have them recalled", at: ["candidates"])
        }
    }

    private static func items(
        _ items: [EntityKeyValue], _ field: String, _ plan: PipelinePlan?
    ) throws(RecommendError) {
        guard items.count <= Recommender.maximumItems else {
            throw RecommendError(.tooLarge, "over \(Recommender.maximumItems) items", at: [field])
        }
        guard let plan, let index = items.firstIndex(where: { !plan.isItem($0) }) else { return }
        throw RecommendError(
            .wrongRequest, "the key \(plan.itemKey.name) is \(plan.itemKey.type.rawValue), this is not",
            at: [field, "\(index)"])
    }
}
