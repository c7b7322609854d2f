import Resilience
import Synchronization
import Telemetry

/// Sends reads of one kind a second time where they take long. Free to share.
final class Hedge: Sendable {
    /// What became of second reads.
    enum Event: String, CaseIterable, Sendable {
        case sent
        /// It was answered before the first.
        case won
        /// It made sense and was not sent: no budget, no room, or a breaker that isn't closed.
        case held
    }

    private let state: Mutex<Hedging>
    private let counters: [Event: Counter]

    /// `share` is how many second reads there may be for each first one.
    init(share: Double, pipeline: String, stage: String, _ registry: MetricRegistry, at now: ContinuousClock.Instant) {
        state = Mutex(Hedging(share: share, at: now))
        counters = Dictionary(
            uniqueKeysWithValues: Event.allCases.map {
                ($0, registry.counter(.recommendHedges, [pipeline, stage, $0.rawValue]))
            })
    }

    /// The second way of a call that begins now and may take until `until`; `nil` where none would make sense by then. `work` ends
    /// the place in the gate that it was given.
    func second<Value: Sendable>(
        _ gate: DependencyGate, at now: ContinuousClock.Instant, until: ContinuousClock.Instant,
        _ clock: RecommendClock, _ work: @escaping @Sendable () async throws -> Value
    ) -> CallRunner.Second<Value>? {
        guard let pause = state.withLock({ $0.began() }), pause < until - now else { return nil }
        return CallRunner.Second(
            at: now.advanced(by: pause),
            admit: { [self] in
                // The gate first: a place that isn't there costs no token.
                guard gate.admitSecond() else {
                    count(.held)
                    return false
                }
                guard state.withLock({ $0.maySend(at: clock.now()) }) else {
                    gate.ended()
                    count(.held)
                    return false
                }
                count(.sent)
                return true
            }, work: work, won: { [self] in count(.won) })
    }

    /// How long a call took, or when it was given up.
    func finished(after time: Duration) { state.withLock { $0.finished(after: time) } }

    private func count(_ event: Event) { counters[event]?.add() }
}
