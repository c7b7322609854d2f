import Resilience
import Synchronization

/// What keeps the engine from hammering what is down: a breaker for each source and for the store, one retry budget for all.
///
/// A breaker guards the short first calls of a pass (is it there, is it still the same?), not the long pass itself.
package final class SyncGuards: Sendable {
    private final class Guard: Sendable {
        let breaker: Mutex<Breaker>
        /// What the dependency said when it failed last.
        let lastFailure = Mutex("unknown")

        init(_ breaker: consuming Breaker) {
            self.breaker = Mutex(breaker)
        }
    }

    private let guards = Mutex<[String: Guard]>([:])
    private let budget: Mutex<RetryBudget>
    private let configuration: Breaker.Configuration
    private let time: SyncTime
    private let observer: any SyncObserver

    init(settings: SyncSettings, time: SyncTime, observer: any SyncObserver) {
        var configuration = Breaker.Configuration()
        configuration.consecutiveFailures = settings.breakerFailures
        configuration.openInitial = settings.breakerOpen
        // One pass at a time begins anyway, and minutes may lie between two.
        configuration.probes = 1
        configuration.answersPerStep = 1
        configuration.probeLease = .seconds(60)
        self.configuration = configuration
        self.time = time
        self.observer = observer
        budget = Mutex(
            RetryBudget(
                .init(ratio: settings.retryBudget, minimumPerSecond: 0.5, capacity: 20), at: time.now()))
    }

    /// Calls a dependency unless its breaker is open (`SyncError.breakerOpen`). `isFault` tells whether an error says that the
    /// dependency is down.
    func call<Result>(
        _ name: String, isFault: (any Error) -> Bool, _ body: () async throws -> Result
    ) async throws -> Result {
        let entry = entry(name)
        let permit: Breaker.Permit
        switch entry.breaker.withLock({ $0.admit(at: time.now()) }) {
        case .pass(let granted): permit = granted
        case .refuse(let wait):
            let cause = entry.lastFailure.withLock { $0 }
            throw SyncError.breakerOpen(name: name, retryAfter: wait, cause: cause)
        }
        do {
            let result = try await body()
            finish(entry, name, permit, .success)
            return result
        } catch {
            if isFault(error) { entry.lastFailure.withLock { $0 = "\(error)" } }
            finish(entry, name, permit, isFault(error) ? .failure : .ignored)
            throw error
        }
    }

    /// Notes a first attempt, of which the budget allows a share of retries.
    func attemptBegan() {
        budget.withLock { $0.attemptBegan() }
    }

    /// Whether one more retry is within the budget.
    func mayRetry() -> Bool {
        budget.withLock { $0.mayRetry(at: time.now()) }
    }

    private func entry(_ name: String) -> Guard {
        guards.withLock { guards in
            if let known = guards[name] { return known }
            let seed = UInt64(time.random() * Double(UInt32.max))
            let made = Guard(Breaker(configuration, seed: seed, at: time.now()))
            guards[name] = made
            return made
        }
    }

    private func finish(_ entry: Guard, _ name: String, _ permit: Breaker.Permit, _ outcome: Breaker.Outcome) {
        let state = entry.breaker.withLock { breaker in
            breaker.finished(permit, outcome, at: time.now())
            return breaker.state
        }
        observer.observe(.breaker(name: name, state: state))
    }
}
