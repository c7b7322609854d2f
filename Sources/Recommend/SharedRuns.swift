import FeatureModel
import Synchronization

/// The runs of one pipeline that are under way, so that requests that ask for the same at the same time share one.
///
/// A request joins a run only where it loses nothing by that: the run ends by the request's own deadline, and had as much time
/// as the request would give its own, or as the pipeline's timeout gives. The run belongs to the request that began it and goes on
/// when that one gives up. Bounded: there are no more runs than requests under way, and each is joined by at most `mostWaiting`.
final class SharedRuns: Sendable {
    typealias Outcome = Result<RecommendAnswer, RecommendError>

    /// All that shapes an answer but time.
    struct Key: Hashable, Sendable {
        let user: EntityKey
        let k: Int
        let candidates: [EntityKeyValue]?
        let exclude: [EntityKeyValue]

        /// `nil` for a request whose run is its own: one that is explained tells of its own stages, and one with context asks of
        /// one moment.
        init?(_ request: RecommendRequest, user: EntityKey, k: Int) {
            guard !request.explain, request.context.isEmpty else { return nil }
            self.user = user
            self.k = k
            candidates = request.candidates
            exclude = request.exclude
        }
    }

    /// The most requests that wait for a run of another; the next runs by itself.
    static let mostWaiting = 256

    private let runs = Mutex<[Key: Run]>([:])

    /// The outcome of a run: of one under way where there is one to join, or else of `work`. `enough` is the least time that a run
    /// must have had from its start.
    func outcome(
        _ key: Key, from start: ContinuousClock.Instant, to deadline: ContinuousClock.Instant, enough: Duration,
        _ work: () async -> Outcome
    ) async -> (outcome: Outcome, isShared: Bool) {
        let run = Run(time: deadline - start, deadline: deadline)
        let other = runs.withLock { runs -> Run? in
            if let other = runs[key] { return other }
            runs[key] = run
            return nil
        }
        guard let other else {
            let outcome = await work()
            runs.withLock { $0[key] = nil }
            run.ended(outcome)
            return (outcome, false)
        }
        if other.deadline <= deadline, other.time >= enough, let outcome = await other.outcome() {
            return (outcome, true)
        }
        return (await work(), false)
    }

    /// How many runs may be joined now.
    var count: Int { runs.withLock { $0.count } }

    /// How many requests wait for a run of another now.
    var waiting: Int { runs.withLock { Array($0.values) }.reduce(0) { $0 + $1.waitingCount } }

    /// One run, and who waits for it.
    private final class Run: Sendable {
        private struct State {
            var outcome: Outcome?
            var waiting: [CheckedContinuation<Outcome?, Never>] = []
        }

        let time: Duration
        let deadline: ContinuousClock.Instant
        private let state = Mutex(State())

        init(time: Duration, deadline: ContinuousClock.Instant) {
            self.time = time
            self.deadline = deadline
        }

        var waitingCount: Int { state.withLock { $0.waiting.count } }

        /// Waits for its end; `nil` at once where enough wait already.
        func outcome() async -> Outcome? {
            await withCheckedContinuation { waiting in
                let known = state.withLock { state -> Outcome?? in
                    if let outcome = state.outcome { return outcome }
                    guard state.waiting.count < SharedRuns.mostWaiting else { return .some(nil) }
                    state.waiting.append(waiting)
                    return .none
                }
                if let known { waiting.resume(returning: known) }
            }
        }

        func ended(_ outcome: Outcome) {
            let waiting = state.withLock { state in
                state.outcome = outcome
                defer { state.waiting = [] }
                return state.waiting
            }
            for one in waiting { one.resume(returning: outcome) }
        }
    }
}
