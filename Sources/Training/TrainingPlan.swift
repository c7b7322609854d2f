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
        /// The user's feature that names the segment, or several; `nil` for the whole list.
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
    /// How many items an answer has.
    package let k: Int
    /// The filters of the pipeline with which the test is made a second time: files, and those on features that have a history.
    package let filters: [FilterConfig]
    /// Filters of the pipeline that cannot be told of the past, for want of a history of their view.
    package let filtersLeftOut: [String]
    /// Items that no way may recommend: what the pipeline's files of items name.
    package let blocked: Set<EntityKeyValue>
    /// The views of the columns, the sources' segments and the filters.
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

    /// Puts a plan together. Of `filters`, `not_in` is what the config's `recent` stands for; `blocked` is what files of items say.
    ///
    /// - Throws: `misconfigured` with what can't be.
    package init(
        config: TrainingConfig, user: Entity, item: Entity, sources: [Source], candidates: Int,
        columns: [RankerColumn], recallShare: Double = 0, k: Int = 20,
        filters: [FilterConfig] = [], blocked: Set<EntityKeyValue> = [], catalog: Catalog
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
        self.k = k
        self.blocked = blocked
        var told: [FilterConfig] = []
        var leftOut: [String] = []
        for filter in filters {
            if case .file = filter.rule { told.append(filter) }
            guard let reference = filter.itemFeature else { continue }
            // A rule that nobody wrote down the past of is no reason not to train; it is said that the test does without.
            guard let view = catalog.view(reference.view), view.entity.name == item.name,
                config.history.contains(where: { $0.view == view.name })
            else {
                leftOut.append(filter.name)
                continue
            }
            told.append(filter)
            if !views.contains(where: { $0.name == view.name }) { views.append(view) }
        }
        self.filters = told
        filtersLeftOut = leftOut
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

extension FilterConfig {
    /// The feature of the item that it looks at; `nil` for what looks at none.
    var itemFeature: FeatureReference? {
        switch rule {
        case .feature(let reference, _), .atMost(let reference, _): reference
        case .notIn, .file: nil
        }
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
    /// The best candidates, best first, for a user who met `seeds`, the newest first, and is of those segments; the whole list counts
    /// where there are none. Those of `excluding` will not be taken.
    func candidates(
        seeds: [EntityKeyValue], segments: [String], limit: Int, excluding: Set<EntityKeyValue>
    ) -> [(id: EntityKeyValue, score: Float)]
}
