import FeatureModel
import OnlineStore

/// What a pipeline reads under one catalog.
final class PipelinePlan: Sendable {
    /// Features of one entity, in one read.
    struct Side: Sendable {
        let plan: LookupPlan
        /// Where each feature stands in a row.
        let columns: [FeatureReference: Int]
    }

    let userKeys: [Entity.Key]
    let itemKey: Entity.Key
    /// `nil` where nothing of the user is read.
    let user: Side?
    /// `nil` where nothing of items is read.
    let item: Side?
    /// The features that policy filters look at; `nil` where there are none.
    let policy: Side?

    init(_ config: PipelineConfig, _ catalog: any PipelineCatalog) throws(LookupError) {
        var wanted =
            try config.features.map { (name) throws(LookupError) in try catalog.features(ofService: name) } ?? []
        for source in config.sources { wanted += [source.seeds, source.segment].compactMap(\.self) }
        for filter in config.filters { wanted += [filter.reference].compactMap(\.self) }
        var (user, item): ([FeatureReference], [FeatureReference]) = ([], [])
        var (userKeys, itemKey): ([Entity.Key]?, Entity.Key?) = (nil, nil)
        for reference in wanted {
            let entity = try catalog.view(reference.view).entity
            if entity.name == config.user {
                userKeys = entity.keys
                if !user.contains(reference) { user.append(reference) }
            } else if entity.name == config.item, entity.keys.count == 1 {
                itemKey = entity.keys[0]
                if !item.contains(reference) { item.append(reference) }
            } else {
                throw LookupError("\(reference.view) is no view of \(config.user) or \(config.item)")
            }
        }
        self.user = try Self.side(user, catalog)
        self.item = try Self.side(item, catalog)
        policy = try Self.side(
            config.filters.filter(\.isPolicy).compactMap { filter in
                if case .feature(let reference, _) = filter.rule { reference } else { nil }
            }, catalog)
        self.userKeys = userKeys ?? []
        self.itemKey = itemKey ?? Entity.Key(name: "", type: .int64)
    }

    private static func side(
        _ features: [FeatureReference], _ catalog: any PipelineCatalog
    ) throws(LookupError) -> Side? {
        guard !features.isEmpty else { return nil }
        return Side(
            plan: try catalog.plan(features: features),
            columns: Dictionary(features.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first }))
    }

    /// Whether a key is one that items can have.
    func isItem(_ id: EntityKeyValue) -> Bool {
        item == nil || itemKey.accepts(id)
    }
}

extension Entity.Key {
    /// Whether a value is of the key's type.
    func accepts(_ value: EntityKeyValue) -> Bool {
        switch (type, value) {
        case (.int64, .integer), (.string, .text), (.bytes, .bytes), (.bytes, .text): true
        case (.int32, .integer(let number)): Int32(exactly: number) != nil
        default: false
        }
    }
}

extension FilterConfig {
    /// The feature it looks at, of the user or the item.
    var reference: FeatureReference? {
        switch rule {
        case .notIn(let reference), .feature(let reference, _), .atMost(let reference, _): reference
        case .file: nil
        }
    }
}
