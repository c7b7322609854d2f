/// Decides whether a retry may be sent, so that retries never multiply the load on what is failing already.
///
/// A bucket of tokens: every first attempt puts a fraction of one in, time puts some in, a retry takes one out. Reads no
/// clock and does no I/O; the owner keeps it in a `Mutex`.
package struct RetryBudget: ~Copyable {
    /// How fast tokens come and how many are kept. Negative values count as zero.
    package struct Configuration: Sendable, Hashable {
        /// Retries allowed for each first attempt, as a share.
        package let ratio: Double
        /// Retries allowed each second whatever the traffic, so that little traffic may retry too.
        package let minimumPerSecond: Double
        /// Tokens kept at most: the longest burst of retries.
        package let capacity: Double

        package init(ratio: Double = 0.1, minimumPerSecond: Double = 1, capacity: Double = 10) {
            self.ratio = max(ratio, 0)
            self.minimumPerSecond = max(minimumPerSecond, 0)
            self.capacity = max(capacity, 0)
        }
    }

    /// How fast tokens come and how many are kept.
    package let configuration: Configuration
    /// Never negative, never above the capacity.
    package private(set) var tokens: Double
    private var filledAt: ContinuousClock.Instant

    /// Starts full.
    package init(_ configuration: Configuration = .init(), at now: ContinuousClock.Instant) {
        self.configuration = configuration
        tokens = configuration.capacity
        filledAt = now
    }

    /// A first attempt, not a retry, was sent.
    package mutating func attemptBegan() {
        add(configuration.ratio)
    }

    /// Takes a token for one retry. `false`: don't retry, report the failure.
    package mutating func mayRetry(at now: ContinuousClock.Instant) -> Bool {
        if now > filledAt {
            add((now - filledAt) / .seconds(1) * configuration.minimumPerSecond)
            filledAt = now
        }
        guard tokens >= 1 else { return false }
        tokens -= 1
        return true
    }

    private mutating func add(_ more: Double) {
        tokens = min(tokens + more, configuration.capacity)
    }
}
