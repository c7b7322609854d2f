/// How long to wait before the next attempt: exponential, with full jitter, so that many who failed together don't come
/// back together. Sleeps nowhere; chance is an argument.
package struct Backoff: Sendable {
    /// The range of waits. Values without sense are moved to the nearest that has some.
    package struct Policy: Sendable, Hashable {
        /// The longest first wait; above zero.
        package let initial: Duration
        /// The longest wait of all; at least `initial`.
        package let maximum: Duration
        /// By what the longest wait grows from attempt to attempt; `1...16`.
        package let multiplier: Double

        package init(initial: Duration, maximum: Duration, multiplier: Double = 2) {
            self.initial = max(initial, .microseconds(1))
            self.maximum = min(max(maximum, self.initial), .seconds(86_400 * 365))
            self.multiplier = multiplier.isNaN ? 2 : min(max(multiplier, 1), 16)
        }
    }

    /// The range of waits.
    package let policy: Policy
    /// How many waits were given since the last success.
    package private(set) var attempts = 0
    private var ceiling: Duration

    /// Starts with a first wait ahead.
    package init(_ policy: Policy) {
        self.policy = policy
        ceiling = min(policy.initial, policy.maximum)
    }

    /// The wait before the next attempt: `random`, in `0..<1`, of a ceiling that grows with each call.
    package mutating func next(random: Double) -> Duration {
        // The product is rounded, at a whole ceiling possibly upwards.
        let wait = min(ceiling, ceiling * min(max(random, 0), 1))
        ceiling = min(ceiling * policy.multiplier, policy.maximum)
        attempts += 1
        return wait
    }

    /// The wait before the next attempt, with chance from a generator.
    package mutating func next(using generator: inout some RandomNumberGenerator) -> Duration {
        next(random: Double.random(in: 0..<1, using: &generator))
    }

    /// An attempt succeeded: the next wait is a first one again.
    package mutating func succeeded() {
        attempts = 0
        ceiling = min(policy.initial, policy.maximum)
    }
}
