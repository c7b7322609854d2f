/// Decides when a read that takes long is sent a second time, and whether it may be. Reads no clock; the owner keeps it in a
/// `Mutex`.
///
/// What is long is learned: more than 95 % of the last reads took ("The Tail at Scale", Dean and Barroso, 2013). How
/// many may be sent is a budget that first reads fill, so a store that gets slow as a whole is not asked twice for everything.
package struct Hedging: ~Copyable {
    /// How many reads tell what is long.
    static let kept = 256
    /// With fewer nothing is known.
    static let least = 32
    /// What is shorter is never long: a second read costs as much as is won.
    static let shortest = Duration.milliseconds(1)
    /// After so many reads they are looked at again.
    private static let renewal = 16

    private var budget: RetryBudget
    private var times: [Duration] = []
    private var next = 0
    private var sinceRenewal = 0
    private var long: Duration?

    /// `share` is how many second reads there may be for each first one, as a whole; a burst has up to ten.
    package init(share: Double, at now: ContinuousClock.Instant) {
        budget = RetryBudget(.init(ratio: share, minimumPerSecond: 0, capacity: 10), at: now)
    }

    /// A first read was sent. After this long a second one makes sense; `nil` while that is not known.
    package mutating func began() -> Duration? {
        budget.attemptBegan()
        return long.map { max($0, Self.shortest) }
    }

    /// Whether the budget pays for a second read, which it does then.
    package mutating func maySend(at now: ContinuousClock.Instant) -> Bool { budget.mayRetry(at: now) }

    /// How long it took until a read was answered, by the first or the second, or was given up.
    package mutating func finished(after time: Duration) {
        if times.count < Self.kept {
            times.append(time)
        } else {
            times[next] = time
            next = (next + 1) % Self.kept
        }
        sinceRenewal += 1
        guard times.count >= Self.least, sinceRenewal >= Self.renewal else { return }
        sinceRenewal = 0
        let sorted = times.sorted()
        long = sorted[(sorted.count * 95 + 99) / 100 - 1]
    }
}
