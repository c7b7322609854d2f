package import Resilience
import Synchronization

/// The gates of all dependencies of recommendations, by name. They outlive reloads of the config, so what they learned does too.
package final class GateBook: Sendable {
    /// The gate before the store, for reads of recommendations.
    package static let store = "recommend.store"

    private struct State {
        var gates: [String: DependencyGate] = [:]
        var rules: Breaker.Configuration
    }

    private let state: Mutex<State>
    private let clock: RecommendClock
    private let limit: Int

    /// `limit` is the most calls out at once, a dependency.
    package init(_ rules: Breaker.Configuration = .init(), limit: Int = 64, clock: RecommendClock = .real) {
        state = Mutex(State(rules: rules))
        self.limit = limit
        self.clock = clock
    }

    /// The gate of that name, made where there is none.
    func gate(_ name: String) -> DependencyGate {
        let now = clock.now()
        return state.withLock { state in
            if let gate = state.gates[name] { return gate }
            let gate = DependencyGate(name, state.rules, limit: limit, at: now)
            state.gates[name] = gate
            return gate
        }
    }

    /// Changes the rules of all; what was counted stays.
    package func configure(_ rules: Breaker.Configuration) {
        let gates = state.withLock { state in
            state.rules = rules
            return Array(state.gates.values)
        }
        let now = clock.now()
        for gate in gates { gate.configure(rules, limit: limit, at: now) }
    }

    /// All gates, by name.
    package var all: [DependencyGate] {
        state.withLock { Array($0.gates.values) }.sorted { $0.name < $1.name }
    }

    /// Forces the breaker of a gate, or with `nil` lets it begin anew; `nil` where there is no such gate.
    package func force(
        _ name: String, _ override: OverridableBreaker.Override?
    ) -> (before: DependencyGate.Reading, after: DependencyGate.Reading)? {
        let now = clock.now()
        return state.withLock { $0.gates[name] }?.force(override, at: now)
    }
}
