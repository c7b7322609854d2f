import NIOCore
package import Resilience
import Synchronization

/// The breaker before the store, for every event loop.
package final class StoreGate: Sendable {
    private let breaker: Mutex<OverridableBreaker>

    package init(_ configuration: Breaker.Configuration = .init(), seed: UInt64 = .random(in: 0 ... .max)) {
        breaker = Mutex(OverridableBreaker(configuration, seed: seed, at: .now))
    }

    /// `nil` when the store is not to be called now.
    package func admit() -> Breaker.Permit? {
        let now = ContinuousClock.now
        guard case .pass(let permit) = breaker.withLock({ $0.admit(at: now) }) else { return nil }
        return permit
    }

    /// What became of an admitted call.
    package func finished(_ permit: Breaker.Permit, _ outcome: Breaker.Outcome) {
        let now = ContinuousClock.now
        breaker.withLock { $0.finished(permit, outcome, at: now) }
    }

    /// The value of `tidemark_breaker_state`.
    var metric: Double {
        breaker.withLock { breaker in
            switch (breaker.override, breaker.state) {
            case (.open, _): 3
            case (.closed, _), (nil, .closed): 0
            case (nil, .halfOpen): 1
            case (nil, .open): 2
            }
        }
    }

    /// Forces it, or with `nil` lets it begin anew. Returns how it looked before and after.
    package func force(_ override: OverridableBreaker.Override?) -> (before: BreakerReading, after: BreakerReading) {
        let now = ContinuousClock.now
        return breaker.withLock { breaker in
            let before = Self.reading(breaker)
            breaker.force(override, at: now)
            return (before, Self.reading(breaker))
        }
    }

    /// How it looks.
    package var reading: BreakerReading { breaker.withLock { Self.reading($0) } }

    private static func reading(_ breaker: borrowing OverridableBreaker) -> BreakerReading {
        let state = breaker.override.map { "forced_\($0.rawValue)" } ?? breaker.state.rawValue
        return BreakerReading(name: "store", state: state, trips: breaker.trips)
    }

    /// Changes the breaker's rules; what it counted stays.
    package func configure(_ configuration: Breaker.Configuration) {
        let now = ContinuousClock.now
        breaker.withLock { $0.configure(configuration, at: now) }
    }

    /// What it does with calls now.
    package var state: Breaker.State { breaker.withLock { $0.state } }
    /// How often it opened.
    package var trips: Int { breaker.withLock { $0.trips } }
}
