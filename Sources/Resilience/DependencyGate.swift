import Synchronization

/// What stands before one dependency: a breaker, and a bulkhead that holds how many calls are out at once. Free to share.
///
/// Breaker and bulkhead end at different times: the breaker when the caller knows what became of its call, which is at its
/// deadline at the latest; the bulkhead when the call has really ended. So a dependency that never answers holds
/// no more than the bulkhead has, and whoever comes then is refused at once.
package final class DependencyGate: Sendable {
    /// Why a call may not go out.
    package enum Refusal: String, Error, Sendable, CaseIterable {
        case breakerOpen = "breaker_open"
        case full
    }

    /// How it looks.
    package struct Reading: Sendable, Hashable {
        package let state: Breaker.State
        package let override: OverridableBreaker.Override?
        package let trips: Int
        /// Results that came too late to count.
        package let lateResults: Int
        package let inFlight: Int
        package let limit: Int
    }

    private struct State: ~Copyable {
        var breaker: OverridableBreaker
        var inFlight = 0
        var limit: Int
    }

    package let name: String
    private let state: Mutex<State>

    /// `limit` is the most calls out at once, at least 1.
    package init(
        _ name: String, _ configuration: Breaker.Configuration = .init(), limit: Int = 64,
        seed: UInt64 = .random(in: 0 ... .max), at now: ContinuousClock.Instant
    ) {
        self.name = name
        state = Mutex(
            State(breaker: OverridableBreaker(configuration, seed: seed, at: now), limit: max(1, limit)))
    }

    /// A call wants out. Follow it with `finished` and `ended`, once each.
    package func admit(at now: ContinuousClock.Instant) throws(Refusal) -> Breaker.Permit {
        let outcome = state.withLock { state -> Result<Breaker.Permit, Refusal> in
            guard state.inFlight < state.limit else { return .failure(.full) }
            guard case .pass(let permit) = state.breaker.admit(at: now) else { return .failure(.breakerOpen) }
            state.inFlight += 1
            return .success(permit)
        }
        return try outcome.get()
    }

    /// A second call under a permit that is out. Where this is `true`, follow it with `ended`; only the first call's outcome
    /// counts. Never beyond the bulkhead, and only while the breaker is closed: second calls finish off what is half down.
    package func admitSecond() -> Bool {
        state.withLock { state in
            let isClosed = state.breaker.override == nil && state.breaker.state == .closed
            guard isClosed, state.inFlight < state.limit else { return false }
            state.inFlight += 1
            return true
        }
    }

    /// What became of a call, as far as its caller waited.
    package func finished(_ permit: Breaker.Permit, _ outcome: Breaker.Outcome, at now: ContinuousClock.Instant) {
        state.withLock { $0.breaker.finished(permit, outcome, at: now) }
    }

    /// A call has really ended.
    package func ended() {
        state.withLock { state in
            assert(state.inFlight > 0, "a call ended that was not admitted")
            state.inFlight = max(0, state.inFlight - 1)
        }
    }

    /// Changes the rules; what was counted stays, and so do calls that are out.
    package func configure(_ configuration: Breaker.Configuration, limit: Int, at now: ContinuousClock.Instant) {
        state.withLock { state in
            state.breaker.configure(configuration, at: now)
            state.limit = max(1, limit)
        }
    }

    /// Forces the breaker, or with `nil` lets it begin anew. Returns how it looked before and after.
    package func force(
        _ override: OverridableBreaker.Override?, at now: ContinuousClock.Instant
    ) -> (before: Reading, after: Reading) {
        state.withLock { state in
            let before = Self.reading(state)
            state.breaker.force(override, at: now)
            return (before, Self.reading(state))
        }
    }

    /// How it looks now.
    package var reading: Reading { state.withLock { Self.reading($0) } }

    private static func reading(_ state: borrowing State) -> Reading {
        Reading(
            state: state.breaker.state, override: state.breaker.override, trips: state.breaker.trips,
            lateResults: state.breaker.lateResults, inFlight: state.inFlight, limit: state.limit)
    }
}
