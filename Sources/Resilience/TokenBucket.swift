/// Limits a rate, such as rows a second. Says how long to wait and never sleeps; the owner keeps it in a `Mutex`.
///
/// Kept as one instant, when the bucket will be full again (the generic cell rate algorithm), in exact arithmetic: there
/// is no drift, and no number of tokens that could fall below zero.
package struct TokenBucket: ~Copyable {
    /// How long one token takes to come.
    private var interval: Duration
    /// How many tokens the bucket holds; at least 1.
    package let burst: Int
    private var fullAt: ContinuousClock.Instant

    /// Starts full.
    ///
    /// - Parameters:
    ///   - perSecond: Tokens a second; moved into `0.001...1e9`.
    ///   - burst: Tokens that may be taken at once after a rest; moved into `1...1e9`.
    ///   - now: When it starts.
    package init(perSecond: Double, burst: Int, at now: ContinuousClock.Instant) {
        interval = Self.interval(perSecond)
        self.burst = min(max(burst, 1), 1_000_000_000)
        fullAt = now
    }

    /// How many whole tokens are there now.
    package func tokens(at now: ContinuousClock.Instant) -> Int {
        guard fullAt > now else { return burst }
        return max(0, Int(Double(burst) - ((fullAt - now) / interval).rounded(.up)))
    }

    /// Takes `count` tokens if they are there. More than the bucket holds are taken from a full one, and the excess is
    /// waited for afterwards, so that any count gets through and the rate still holds.
    ///
    /// - Returns: `nil` when they were taken; otherwise how long until they will be there, if nobody else takes them.
    package mutating func take(_ count: Int, at now: ContinuousClock.Instant) -> Duration? {
        let count = min(max(count, 0), 1_000_000_000)
        let start = max(fullAt, now)
        let wait = (start - now) + interval * min(count, burst) - interval * burst
        guard wait <= .zero else { return wait }
        fullAt = start.advanced(by: interval * count)
        return nil
    }

    /// Changes the rate from now on.
    package mutating func setRate(perSecond: Double, at now: ContinuousClock.Instant) {
        let missing = fullAt > now ? (fullAt - now) / interval : 0
        interval = Self.interval(perSecond)
        fullAt = now.advanced(by: interval * missing)
    }

    private static func interval(_ perSecond: Double) -> Duration {
        .seconds(1) / (perSecond.isNaN ? 1 : min(max(perSecond, 0.001), 1e9))
    }
}
