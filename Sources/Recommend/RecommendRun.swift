import FeatureModel
import OnlineStore
import Resilience
import Telemetry

/// One request on its way down the ladder. Of one task.
struct RecommendRun {
    /// The stages that take time of others, in their order.
    enum Stage: Int, CaseIterable {
        case user, recall, rows, rank

        var plan: StageBudget.Stage {
            switch self {
            case .user: .init(weight: 2, least: .microseconds(300))
            case .recall: .init(weight: 2)
            case .rows: .init(weight: 4, least: .microseconds(500))
            case .rank: .init(weight: 4, least: .microseconds(300))
            }
        }
    }

    let pipeline: Pipeline
    let environment: Recommender.Environment
    let request: RecommendRequest
    /// `nil` where the definitions can't be used.
    let plan: PipelinePlan?
    let k: Int
    let userKey: EntityKey
    var budget: StageBudget
    /// What each stage gets of a request with the pipeline's own time.
    let usual: [Duration]
    var degraded: [RecommendAnswer.Degradation] = []
    var trace: Trace?
    /// Of what the request says, and then of what is known of the user, too.
    var exclusions: Exclusions

    var config: PipelineConfig { pipeline.config }
    var clock: RecommendClock { environment.clock }
    var callout: Callout { Callout(clock: environment.clock, runner: environment.runner, slow: config.slowCall) }

    init(
        _ pipeline: Pipeline, _ environment: Recommender.Environment, _ request: RecommendRequest,
        start: ContinuousClock.Instant, deadline: ContinuousClock.Instant
    ) throws(RecommendError) {
        self.pipeline = pipeline
        self.environment = environment
        self.request = request
        let problem: String?
        do throws(LookupError) {
            plan = try pipeline.plan(environment.catalogs)
            problem = plan == nil ? "no_catalog" : nil
        } catch {
            plan = nil
            problem = "definitions"
        }
        k = try RequestCheck.k(request, pipeline.config)
        userKey = try RequestCheck.user(request, plan)
        try RequestCheck.items(request, plan)
        exclusions = Exclusions(request, pipeline, UserFacts(nil, nil, context: request.context))
        let stages = Stage.allCases.map(\.plan)
        budget = StageBudget(stages, from: start, to: deadline, reserve: Self.reserve(deadline - start))
        let weights = stages.reduce(0) { $0 + $1.weight }
        let timeout = pipeline.config.timeout
        usual = stages.map { (timeout - Self.reserve(timeout)) * ($0.weight / weights) }
        if request.explain { trace = Trace(pipeline.config) }
        if let problem { leave("catalog", problem) }
    }

    /// What is kept for the fallback and for writing the answer.
    private static func reserve(_ time: Duration) -> Duration {
        min(max(time / 10, .milliseconds(1)), .milliseconds(10))
    }

    /// Goes down the ladder until there is an answer.
    mutating func answer() async throws(RecommendError) -> RecommendAnswer {
        let ladder = config.ladder
        var answer: RecommendAnswer?
        if ladder.contains(.ranking) || ladder.contains(.recall), let prepared = await prepare() {
            if ladder.contains(.ranking), let ranked = await ranked(prepared) {
                answer = ranked
            } else if ladder.contains(.recall) {
                answer = recalled(prepared)
            }
        }
        if answer == nil, ladder.contains(.lastGood) { answer = lastGood() }
        if let answer { return finish(answer) }
        return finish(try popular())
    }

    private func finish(_ answer: RecommendAnswer) -> RecommendAnswer {
        var final = answer
        final.degraded = degraded
        final.explain = trace?.explanation(of: final)
        return final
    }

    /// Says that a part did not do its work.
    mutating func leave(_ part: String, _ reason: String) {
        guard !degraded.contains(where: { $0.part == part }) else { return }
        degraded.append(RecommendAnswer.Degradation(part: part, reason: reason))
        pipeline.meters.leftOut(part, reason)
    }

    // MARK: Stages

    /// Begins a stage; `nil` when there is too little time for it.
    mutating func begin(_ stage: Stage) -> ContinuousClock.Instant? {
        guard case .until(let instant) = budget.begin(stage.rawValue, at: clock.now()) else {
            end("\(stage)", "skipped", since: clock.now(), until: nil)
            return nil
        }
        return instant
    }

    /// Whether a stage that may take until then has the time that it may be expected to need.
    func isFull(_ stage: Stage, until: ContinuousClock.Instant) -> Bool {
        until - clock.now() >= usual[stage.rawValue] / 2
    }

    mutating func end(
        _ stage: String, _ outcome: String, since began: ContinuousClock.Instant, until: ContinuousClock.Instant?
    ) {
        let taken = clock.now() - began
        pipeline.meters.stageEnded(stage, outcome, after: taken)
        record(stage, outcome, taken)
        trace?.stages.append(
            Explanation.Stage(name: stage, outcome: outcome, taken: taken, allotted: until.map { $0 - began }))
    }

    /// A stage as a span, where the request is recorded.
    private func record(_ stage: String, _ outcome: String, _ taken: Duration) {
        guard let parent = request.span else { return }
        let (now, time) = (MonotonicTime.now(), max(.zero, taken) / .nanoseconds(1))
        var span = parent.child(stage, at: now &- min(UInt64(time), now))
        span.set(.pipeline, request.pipeline)
        span.set(.outcome, outcome)
        span.end(at: now)
    }

    // MARK: Answers

    /// The first of candidates in their final order, as many of one kind as may be: `k`, and what the pipeline's own `k` has
    /// more, for who asks for more the next time.
    mutating func pick(_ candidates: [Candidate], _ rows: ItemRows?) -> [RecommendAnswer.Item] {
        var limits = Variety(config.filters, rows)
        let most = max(k, config.k)
        var items: [RecommendAnswer.Item] = []
        for candidate in candidates {
            if items.count >= k {
                trace?.left(candidate.id, "k")
                if items.count >= most { continue }
            }
            if let filter = limits.refuses(candidate.row) {
                trace?.left(candidate.id, filter)
                continue
            }
            items.append(
                RecommendAnswer.Item(id: candidate.id, score: candidate.score, source: sourceName(candidate.best)))
        }
        return items
    }

    func sourceName(_ source: Int) -> String {
        source < 0 ? "request" : config.sources[source].name
    }
}

/// Counts how many items of one kind an answer has.
private struct Variety {
    private let rules: [(name: String, column: Int?, most: Int)]
    private let rows: ItemRows?
    private var counts: [[FeatureValue: Int]]

    init(_ filters: [FilterConfig], _ rows: ItemRows?) {
        rules = filters.compactMap { filter in
            guard case .atMost(let feature, let most) = filter.rule else { return nil }
            return (filter.name, rows?.column(feature), most)
        }
        self.rows = rows
        counts = Array(repeating: [:], count: rules.count)
    }

    /// The filter by which an item may not come; `nil` when it may, and it is counted then.
    mutating func refuses(_ row: Int) -> String? {
        guard let rows, !rules.isEmpty else { return nil }
        let values = rules.map { $0.column.flatMap { rows.value($0, at: row) } }
        for (index, rule) in rules.enumerated() {
            guard let value = values[index] else { continue }
            if counts[index][value, default: 0] >= rule.most { return rule.name }
        }
        for (index, value) in values.enumerated() {
            if let value { counts[index][value, default: 0] += 1 }
        }
        return nil
    }
}
