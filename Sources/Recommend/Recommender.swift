package import FeatureModel
package import Logging
package import Ranking
import Recall
import Resilience
import Synchronization
package import Telemetry

/// Recommends: runs requests through their pipelines. Free to share.
///
/// Every request gets exactly one answer, at its deadline at the latest: what it needs of others is asked through a `CallRunner`
/// and gates, and what does not come is left out, down to a list in memory that needs nobody.
package final class Recommender: Sendable {
    /// What recommendations are made with.
    package struct Environment: Sendable {
        package var clock = RecommendClock.real
        package let runner: CallRunner
        package let catalogs: any PipelineCatalogs
        package let rows: any RowSource
        /// The list of that name, as loaded now.
        package let list: @Sendable (String) -> (any ItemList)?
        /// The model of that name, as loaded now.
        package let ranker: @Sendable (String) -> (any Ranker)?
        package let gates: GateBook
        package let registry: MetricRegistry
        package let logger: Logger
        /// Makes the source of a pipeline; `nil` for the list that it names.
        package var source: @Sendable (RecallSourceConfig) -> (any CandidateSource)? = { _ in nil }
        /// Told of each answer; must not wait. `nil` where they are not logged.
        package var expose: (@Sendable (Exposure) -> Void)?

        package init(
            clock: RecommendClock = .real, runner: CallRunner, catalogs: any PipelineCatalogs, rows: any RowSource,
            list: @escaping @Sendable (String) -> (any ItemList)?,
            ranker: @escaping @Sendable (String) -> (any Ranker)?, gates: GateBook, registry: MetricRegistry,
            logger: Logger
        ) {
            self.clock = clock
            self.runner = runner
            self.catalogs = catalogs
            self.rows = rows
            self.list = list
            self.ranker = ranker
            self.gates = gates
            self.registry = registry
            self.logger = logger
        }
    }

    /// The most items that a request may exclude, or bring as candidates.
    package static let maximumItems = 10_000

    let environment: Environment
    private let pipelines = Mutex<[String: Pipeline]>([:])

    package init(_ environment: Environment) {
        self.environment = environment
        let registry = environment.registry
        registry.addCollector { [weak self] in self?.collect(into: registry) }
    }

    /// Puts other pipelines in force, whole: requests under way end by the old ones. `blocked` holds the items of each filter's
    /// file, by its path as the config has it.
    package func apply(_ configs: [PipelineConfig], blocked: [String: Set<EntityKeyValue>]) {
        let old = pipelines.withLock { $0 }
        var new: [String: Pipeline] = [:]
        for config in configs { new[config.name] = make(config, blocked, replacing: old[config.name]) }
        let next = new
        pipelines.withLock { $0 = next }
    }

    private func make(
        _ config: PipelineConfig, _ files: [String: Set<EntityKeyValue>], replacing old: Pipeline?
    ) -> Pipeline {
        let sources = config.sources.map { source in
            Pipeline.Source(
                config: source,
                source: environment.source(source) ?? ListSource(source.list, in: environment.list),
                gate: environment.gates.gate("recall.\(source.list)"))
        }
        var blocked: [String: Set<EntityKeyValue>] = [:]
        for filter in config.filters {
            guard case .file(let path) = filter.rule else { continue }
            blocked[filter.name] = files[path] ?? []
        }
        return Pipeline(
            config, sources: sources, gates: environment.gates, blocked: blocked,
            meters: PipelineMeters(config.name, environment.registry), replacing: old, at: environment.clock.now())
    }

    /// The names of all pipelines.
    package var names: [String] { pipelines.withLock { Array($0.keys) }.sorted() }

    var all: [Pipeline] { pipelines.withLock { Array($0.values) } }

    /// How long a request has that brings no deadline; `nil` where there is no such pipeline.
    package func timeout(of pipeline: String) -> Duration? {
        pipelines.withLock { $0[pipeline] }?.config.timeout
    }

    /// Recommends by `deadline`. `start` is when the request came.
    package func recommend(
        _ request: RecommendRequest, start: ContinuousClock.Instant, deadline: ContinuousClock.Instant
    ) async throws(RecommendError) -> RecommendAnswer {
        do throws(RecommendError) {
            guard let pipeline = pipelines.withLock({ $0[request.pipeline] }) else {
                throw RecommendError(
                    .unknownPipeline,
                    "there is no pipeline \(request.pipeline)\(Nearest.hint(request.pipeline, among: names))",
                    at: ["pipeline"])
            }
            let run = try RecommendRun(pipeline, environment, request, start: start, deadline: deadline)
            let answer = try await Self.answer(run, from: start, to: deadline)
            pipeline.meters.ended(answer.rung.rawValue, after: environment.clock.now() - start)
            pipeline.meters.answered(answer.rung)
            environment.expose?(Exposure(request, answer, at: environment.clock.wall()))
            return answer
        } catch {
            let meters = pipelines.withLock { $0[request.pipeline] }?.meters
            meters?.ended("error", after: environment.clock.now() - start)
            environment.registry.counter(.recommendRefused, [error.code.label]).add()
            throw error
        }
    }

    /// Whether a run takes so little of a core, fractions of a millisecond, that it may be made where requests are read. `false` for
    /// pipelines of many candidates.
    package func isBrief(_ request: RecommendRequest) -> Bool {
        guard let config = pipelines.withLock({ $0[request.pipeline] })?.config else { return true }
        let asked = (request.candidates?.count ?? 0) + request.exclude.count
        let recalled = config.sources.reduce(config.candidates) { work, source in
            work + Self.work(of: source, longestRow: environment.list(source.list)?.longestRow ?? 0)
        }
        return !request.explain && max(asked, recalled) <= Self.briefItems
    }

    /// What a source has to do, in items: its own, and the scores that it adds up for them, of which some go to one item's time.
    private static func work(of source: RecallSourceConfig, longestRow: Int) -> Int {
        let sums =
            if source.seeds != nil {
                RecallList.maximumSeeds * longestRow
            } else if source.segment != nil {
                RecallList.maximumSegments * min(longestRow, source.quota)
            } else {
                0
            }
        return source.quota + sums / sumsAnItem
    }

    /// The most items, counted once a stage, of a brief run.
    private static let briefItems = 1_000
    /// How many scores are added up, roughly, in the time that an item takes from recall to answer.
    private static let sumsAnItem = 32

    /// The answer of a run, or of the same request's run that is under way.
    private static func answer(
        _ run: RecommendRun, from start: ContinuousClock.Instant, to deadline: ContinuousClock.Instant
    ) async throws(RecommendError) -> RecommendAnswer {
        var own = run
        guard let key = SharedRuns.Key(run.request, user: run.userKey, k: run.k) else { return try await own.answer() }
        let enough = min(deadline - start, run.config.timeout)
        let (outcome, isShared) = await run.pipeline.shared.outcome(key, from: start, to: deadline, enough: enough) {
            do throws(RecommendError) {
                return .success(try await own.answer())
            } catch {
                return .failure(error)
            }
        }
        if isShared { run.pipeline.meters.wasShared() }
        return try outcome.get()
    }

    private func collect(into registry: MetricRegistry) {
        for gate in environment.gates.all {
            let reading = gate.reading
            registry.gauge(.breakerState, [gate.name]).set(reading.metric)
            registry.gauge(.dependencyCalls, [gate.name]).set(Double(reading.inFlight))
        }
        for pipeline in all {
            registry.gauge(.recommendRemembered, [pipeline.config.name, "policy"]).set(Double(pipeline.policy.count))
            registry.gauge(.recommendRemembered, [pipeline.config.name, "last_good"]).set(
                Double(pipeline.lastGood.count))
        }
    }
}

extension DependencyGate.Reading {
    /// The value of `tidemark_breaker_state`.
    fileprivate var metric: Double {
        switch (override, state) {
        case (.open, _): 3
        case (.closed, _), (nil, .closed): 0
        case (nil, .halfOpen): 1
        case (nil, .open): 2
        }
    }
}

extension RecommendError.Code {
    fileprivate var label: String {
        switch self {
        case .unknownPipeline: "unknown_pipeline"
        case .wrongRequest: "wrong_request"
        case .tooLarge: "too_large"
        case .unavailable: "unavailable"
        }
    }
}
