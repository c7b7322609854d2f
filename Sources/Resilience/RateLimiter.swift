/// How many requests may come within a time. All of them may come at once after a rest; then one each `window / count`.
package struct Quota: Sendable, Hashable {
    /// At least 1.
    package let count: Int
    /// At least a microsecond for each request.
    package let window: Duration

    /// Values without sense are moved to the nearest that has some.
    package init(_ count: Int, per window: Duration) {
        self.count = min(max(count, 1), 1_000_000_000)
        self.window = min(max(window, .microseconds(self.count)), .seconds(86_400 * 366))
    }

    /// How long one request takes to be forgotten.
    var interval: Duration { window / count }
}

/// Rate limits for many keys by the generic cell rate algorithm: one instant a key. Reads no clock, does no I/O; the owner
/// keeps it in a `Mutex`.
///
/// It holds at most `capacity` keys. Keys beyond them share one limit until others have rested long enough to be
/// forgotten: whoever floods it with keys gets less, and never makes a limited key pass.
package struct RateLimiter<Key: Hashable & Sendable>: ~Copyable {
    /// What becomes of a request.
    package enum Verdict: Sendable, Hashable {
        /// `remaining` more would pass now; after `reset` the whole quota is there again.
        case pass(remaining: Int, reset: Duration)
        /// A request after this long would pass, if no other comes first.
        case refuse(retryAfter: Duration)
    }

    /// How many keys have a limit of their own.
    package let capacity: Int
    /// When each key's quota will be whole again.
    private var wholeAt: [Key: ContinuousClock.Instant] = [:]
    private var sharedWholeAt: ContinuousClock.Instant?
    /// No key can be forgotten before. Instants only grow, so what the last sweep found is a lower bound.
    private var sweepsFrom: ContinuousClock.Instant?

    /// `capacity` is moved into `1...1_000_000`.
    package init(capacity: Int) {
        self.capacity = min(max(capacity, 1), 1_000_000)
    }

    /// How many keys are remembered.
    package var count: Int { wholeAt.count }

    /// A request came; one that is refused costs nothing.
    package mutating func take(_ key: Key, _ quota: Quota, at now: ContinuousClock.Instant) -> Verdict {
        let verdict = Self.verdict(known(key), quota, at: now)
        if case .pass(_, let reset) = verdict { remember(key, now.advanced(by: reset), at: now) }
        return verdict
    }

    /// What `take` would answer now. Changes nothing.
    package func peek(_ key: Key, _ quota: Quota, at now: ContinuousClock.Instant) -> Verdict {
        Self.verdict(known(key), quota, at: now)
    }

    private func known(_ key: Key) -> ContinuousClock.Instant? {
        wholeAt[key] ?? (wholeAt.count < capacity ? nil : sharedWholeAt)
    }

    private static func verdict(
        _ known: ContinuousClock.Instant?, _ quota: Quota, at now: ContinuousClock.Instant
    ) -> Verdict {
        // Under a quota that was lowered meanwhile nobody waits longer than its window.
        let start = min(max(known ?? now, now), now.advanced(by: quota.window))
        let reset = (start - now) + quota.interval
        guard reset <= quota.window else { return .refuse(retryAfter: reset - quota.window) }
        return .pass(remaining: Int(((quota.window - reset) / quota.interval).rounded(.down)), reset: reset)
    }

    private mutating func remember(_ key: Key, _ instant: ContinuousClock.Instant, at now: ContinuousClock.Instant) {
        if wholeAt[key] == nil, wholeAt.count >= capacity { forgetRested(at: now) }
        if wholeAt[key] != nil || wholeAt.count < capacity {
            wholeAt[key] = instant
        } else {
            sharedWholeAt = instant
        }
    }

    /// Forgets the keys whose quota is whole: they are as if they had never come.
    private mutating func forgetRested(at now: ContinuousClock.Instant) {
        if let sweepsFrom, now < sweepsFrom { return }
        wholeAt = wholeAt.filter { $0.value > now }
        sweepsFrom = wholeAt.values.min()
    }
}
