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

        package init(name: String, quota: Int, weight: Double = 1) {
            self.name = name
            self.quota = quota
            self.weight = weight
        }
    }

    package let config: TrainingConfig
    package let user: Entity
    package let item: Entity
    package let sources: [Source]
    /// The most candidates of a moment.
    package let candidates: Int
    package let columns: [RankerColumn]
    /// The views of the columns.
    package let views: [FeatureView]
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
        columns: [RankerColumn], catalog: Catalog
    ) throws(TrainingError) {
        self.config = config
        self.user = user
        self.item = item
        self.sources = sources
        self.candidates = candidates
        self.columns = columns
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
                let view = try Self.view(of: reference, column, catalog, config, [user.name, item.name])
                if !views.contains(where: { $0.name == view.name }) { views.append(view) }
            case .match(let left, let right):
                for (reference, entity) in [(left, user.name), (right, item.name)] {
                    let view = try Self.view(of: reference, column, catalog, config, [entity])
                    if !views.contains(where: { $0.name == view.name }) { views.append(view) }
                }
            }
        }
        self.views = views
        booster.seed = seed
    }

    private static func view(
        of reference: FeatureReference, _ column: RankerColumn, _ catalog: Catalog, _ config: TrainingConfig,
        _ entities: [String]
    ) throws(TrainingError) -> FeatureView {
        if let problem = ModelColumns.problem([column], service: nil, type: catalog.type(of:)) {
            throw TrainingError(.misconfigured, problem)
        }
        guard let view = catalog.view(reference.view), entities.contains(view.entity.name) else {
            throw TrainingError(.misconfigured, "\(column) is not of \(entities.joined(separator: " or "))")
        }
        guard config.history.contains(where: { $0.view == view.name }) else {
            throw TrainingError(
                .misconfigured,
                "training needs to know how \(view.name) was in the past: give history.\(view.name) a query, "
                    + "or name the columns without it")
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
    /// The best candidates for a user who met these items, the newest first; best first.
    func candidates(seeds: [EntityKeyValue], limit: Int) -> [(id: EntityKeyValue, score: Float)]
}
