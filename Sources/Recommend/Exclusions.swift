import FeatureModel

/// Items that may not come, as far as their rows aren't needed to tell.
struct Exclusions: Sendable {
    private let asked: ItemTable
    private let seen: [(name: String, items: ItemTable)]
    private let blocked: [(name: String, items: ItemTable)]
    /// By the request, and those that the user has met: what a source need not give. Some may stand there twice.
    let known: [EntityKeyValue]

    init(_ request: RecommendRequest, _ pipeline: Pipeline, _ user: UserFacts) {
        asked = ItemTable(request.exclude)
        let lists = pipeline.config.filters.compactMap { filter -> (name: String, items: [EntityKeyValue])? in
            guard case .notIn(let list) = filter.rule else { return nil }
            return (filter.name, user.items(list))
        }
        seen = lists.map { ($0.name, ItemTable($0.items)) }
        blocked = pipeline.blocked
        known = lists.reduce(request.exclude) { $0 + $1.items }
    }

    /// The filter by which an item leaves; `nil` when it stays.
    func reason(_ id: EntityKeyValue) -> String? {
        if asked.contains(id) { return "exclude" }
        for (name, items) in seen where items.contains(id) { return name }
        for (name, items) in blocked where items.contains(id) { return name }
        return nil
    }
}
