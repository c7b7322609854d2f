import FeatureModel
import Synchronization
import Telemetry

/// The metrics of one pipeline, bound once.
final class PipelineMeters: Sendable {
    private let pipeline: String
    private let registry: MetricRegistry
    private let rungs: [PipelineConfig.Rung: Counter]
    private let shared: Counter
    private let stages = Mutex<[StageOutcome: Histogram]>([:])
    private let leftOut = Mutex<[StageOutcome: Counter]>([:])

    private struct StageOutcome: Hashable {
        let stage: String
        let outcome: String
    }

    init(_ pipeline: String, _ registry: MetricRegistry) {
        self.pipeline = pipeline
        self.registry = registry
        shared = registry.counter(.recommendShared, [pipeline])
        rungs = Dictionary(
            uniqueKeysWithValues: PipelineConfig.Rung.allCases.map {
                ($0, registry.counter(.recommendRungs, [pipeline, $0.rawValue]))
            })
    }

    func answered(_ rung: PipelineConfig.Rung) { rungs[rung]?.add() }

    /// A request was answered by another's run.
    func wasShared() { shared.add() }

    /// What sends that share of a stage's reads twice; `nil` for a share of none.
    func hedge(_ share: Double, _ stage: String, at now: ContinuousClock.Instant) -> Hedge? {
        share > 0 ? Hedge(share: share, pipeline: pipeline, stage: stage, registry, at: now) : nil
    }

    func stageEnded(_ stage: String, _ outcome: String, after taken: Duration) {
        let key = StageOutcome(stage: stage, outcome: outcome)
        let histogram = stages.withLock { $0[key] } ?? bind(key)
        histogram.observe(taken)
    }

    private func bind(_ key: StageOutcome) -> Histogram {
        let histogram = registry.histogram(.stageDurationSeconds, [pipeline, key.stage, key.outcome])
        stages.withLock { $0[key] = histogram }
        return histogram
    }

    func leftOut(_ part: String, _ reason: String) {
        let key = StageOutcome(stage: part, outcome: reason)
        let known = leftOut.withLock { $0[key] }
        if let known { return known.add() }
        let counter = registry.counter(.recommendLeftOut, [pipeline, part, reason])
        leftOut.withLock { $0[key] = counter }
        counter.add()
    }
}
