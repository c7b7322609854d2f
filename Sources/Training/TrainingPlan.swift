package import FeatureModel
package import Ranking

/// What is trained, and from what.
package struct TrainingPlan: Sendable {
    /// A recall source of the pipeline, as training needs to know it.
    package struct Source: Sendable, Hashable {
        package let name: String
        /// The most candidates it gives.
        package let quota: Int
        /// What its scores count in the order of recall.
        package let weight: Double
        /// The user's feature that names the segment; `nil` for the whole list.
        package let segment: FeatureReference?

        package init(name: String, quota: Int, weight: Double = 1, segment: FeatureReference? = nil) {
            self.name = name
            self.quota = quota
            self.weight = weight
            self.segment = segment
        }
    }

    package let config: TrainingConfig
    package let user: Entity
    package let item: Entity
    package let sources: [Source]
    /// The most candidates of a moment.
    package let candidates: Int
    package let columns: [RankerColumn]
    /// The views of the columns and of the sources' segments.
    package let views: [FeatureView]
    /// The share of the recall score in the final one, `0...1`, with which the pipeline is tested.
    package let recallShare: Double
    /// Events from this time on are as if they were not there yet, in microseconds since 1970; `nil` for all.
    package var until: Int64?
    package var seed: UInt64 = 1
    package var booster = BoosterParameters()
    /// How much newer than its moment a value may be. Anything but zero is a leak: the future tells the answer, and the
    /// model is good at nothing else. Here so that a test can show that zero makes the difference.
    package var lookahead = Duration.zero

    /// Puts a plan together.
    ///
    /// - Throws: `misconfigured` with what can't be.
    package init(
        config: TrainingConfig, user: Entity, item: Entity, sources: [Source], candidates: Int,
        columns: [RankerColumn], recallShare: Double = 0, catalog: Catalog
    ) throws(TrainingError) {
        self.config = config
        self.user = user
        self.item = item
        self.sources = sources
        self.candidates = candidates
        self.columns = columns
        self.recallShare = recallShare
        guard user.keys.count == 1, item.keys.count == 1 else {
            throw TrainingError(.misconfigured, "users and items must have one key column each")
        }
        guard user.name != item.name, user.keys[0].name != item.keys[0].name else {
            throw TrainingError(.misconfigured, "user and item must be two entities with two key columns")
        }
        var views: [FeatureView] = []
        for column in columns {
            switch column.input {
            case .recall(let name):
                guard sources.contains(where: { $0.name == name }) else {
                    throw TrainingError(.misconfigured, "the pipeline has no recall source \(name)")
                }
            case .feature(let reference):
                let problem = ModelColumns.problem([column], service: nil, type: catalog.type(of:))
                if let problem { throw TrainingError(.misconfigured, problem) }
                let view = try Self.view(of: reference, "\(column)", catalog, config, [user.name, item.name])
                if !views.contains(where: { $0.name == view.name }) { views.append(view) }
            case .match(let left, let right):
                let problem = ModelColumns.problem([column], service: nil, type: catalog.type(of:))
                if let problem { throw TrainingError(.misconfigured, problem) }
                for (reference, entity) in [(left, user.name), (right, item.name)] {
                    let view = try Self.view(of: reference, "\(column)", catalog, config, [entity])
                    if !views.contains(where: { $0.name == view.name }) { views.append(view) }
                }
            }
        }
        for source in sources {
            guard let segment = source.segment else { continue }
            let view = try Self.view(
                of: segment, "the segment of recall source \(source.name)", catalog, config, [user.name])
            if !views.contains(where: { $0.name == view.name }) { views.append(view) }
        }
        self.views = views
        booster.seed = seed
    }

    private static func view(
        of reference: FeatureReference, _ what: String, _ catalog: Catalog, _ config: TrainingConfig,
        _ entities: [String]
    ) throws(TrainingError) -> FeatureView {
        guard let view = catalog.view(reference.view), entities.contains(view.entity.name),
            view.features.contains(where: { $0.name == reference.feature })
        else { throw TrainingError(.misconfigured, "\(what) is no feature of \(entities.joined(separator: " or "))") }
        guard config.history.contains(where: { $0.view == view.name }) else {
            throw TrainingError(
                .misconfigured,
                "\(what): training needs to know how \(view.name) was in the past; give history.\(view.name) a query, "
                    + "or do without it")
        }
        return view
    }
}

extension Catalog {
    /// The type of a feature; `nil` where there is no such feature.
    package func type(of reference: FeatureReference) -> FeatureType? {
        view(reference.view)?.features.first { $0.name == reference.feature }?.type
    }
}

/// Where candidates of past moments come from: one recall source, built of what was known at some time.
package protocol CandidateSource: Sendable {
    /// The best candidates, best first, for a user who met `seeds`, the newest first, and is of that segment; the whole list counts
    /// where there is none. Those of `excluding` will not be taken.
    func candidates(
        seeds: [EntityKeyValue], segment: String?, limit: Int, excluding: Set<EntityKeyValue>
    ) -> [(id: EntityKeyValue, score: Float)]
}
