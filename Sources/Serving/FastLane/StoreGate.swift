import NIOCore
package import Resilience
import Synchronization

/// The breaker before the store, for every event loop.
package final class StoreGate: Sendable {
    private let breaker: Mutex<Breaker>

    package init(_ configuration: Breaker.Configuration = .init(), seed: UInt64 = .random(in: 0 ... .max)) {
        breaker = Mutex(Breaker(configuration, seed: seed, at: .now))
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
