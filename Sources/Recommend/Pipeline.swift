import FeatureModel
import OnlineStore
import Resilience
import Synchronization

/// A pipeline in force: its config with what it remembers.
final class Pipeline: Sendable {
    struct Source: Sendable {
        let config: RecallSourceConfig
        let source: any CandidateSource
        let gate: DependencyGate
    }

    let config: PipelineConfig
    let sources: [Source]
    let store: DependencyGate
    /// Before the model; `nil` where nothing ranks.
    let ranker: DependencyGate?
    /// By filter, for filters with a file.
    let blocked: [(name: String, items: ItemTable)]
    let policy: PolicyMemory
    let lastGood: LastGood
    let meters: PipelineMeters
    /// For the reads of the user's row and of the candidates'; `nil` where none is sent twice.
    let userHedge: Hedge?
    let rowHedge: Hedge?
    let shared = SharedRuns()
    /// The plan, or why there is none, of the catalog of that generation.
    private let plans = Mutex<(generation: UInt64, plan: Result<PipelinePlan, LookupError>)?>(nil)

    init(
        _ config: PipelineConfig, sources: [Source], gates: GateBook, blocked: [String: Set<EntityKeyValue>],
        meters: PipelineMeters, replacing old: Pipeline?, at now: ContinuousClock.Instant
    ) {
        self.config = config
        self.sources = sources
        self.blocked = config.filters.compactMap { filter in blocked[filter.name].map { (filter.name, ItemTable($0)) } }
        self.meters = meters
        store = gates.gate(GateBook.store)
        ranker = config.model.map { gates.gate("ranker.\($0)") }
        let keepsPolicy =
            old.map {
                $0.config.filters == config.filters && $0.config.policy == config.policy
                    && $0.config.item == config.item
            } ?? false
        policy = keepsPolicy ? old?.policy ?? PolicyMemory(config.policy) : PolicyMemory(config.policy)
        let keepsHedges = old?.config.hedge == config.hedge
        userHedge = keepsHedges ? old?.userHedge : meters.hedge(config.hedge, "user", at: now)
        rowHedge = keepsHedges ? old?.rowHedge : meters.hedge(config.hedge, "rows", at: now)
        let keepsAnswers = old.map { $0.config.isLike(config) } ?? false
        lastGood = keepsAnswers ? old?.lastGood ?? LastGood(config.lastGood) : LastGood(config.lastGood)
    }

    /// What it reads under the catalog in force; `nil` before the first. Compiled once for each catalog.
    func plan(_ catalogs: any PipelineCatalogs) throws(LookupError) -> PipelinePlan? {
        let generation = catalogs.generation
        let known = plans.withLock { $0 }
        if let known, known.generation == generation { return try known.plan.get() }
        guard let catalog = catalogs.catalog else { return nil }
        let plan: Result<PipelinePlan, LookupError>
        do throws(LookupError) {
            plan = .success(try PipelinePlan(config, catalog))
        } catch {
            plan = .failure(error)
        }
        plans.withLock { $0 = (catalog.generation, plan) }
        return try plan.get()
    }

    /// Whether policy depends on what the store says of an item.
    var hasFeaturePolicy: Bool {
        config.filters.contains { filter in
            if case .feature = filter.rule { filter.isPolicy } else { false }
        }
    }
}

extension PipelineConfig {
    /// Whether answers of the one may be answers of the other.
    fileprivate func isLike(_ other: PipelineConfig) -> Bool {
        user == other.user && item == other.item && sources == other.sources && filters == other.filters
            && model == other.model && lastGood == other.lastGood
    }
}
