import Resilience

// The machines can't be copied, and expectations copy what they look at. So tests drive them through these.

final class BreakerDriver {
    struct Refused: Error {}

    private var breaker: Breaker

    init(_ configuration: Breaker.Configuration, seed: UInt64 = 1, at now: ContinuousClock.Instant) {
        breaker = Breaker(configuration, seed: seed, at: now)
    }

    var state: Breaker.State { breaker.state }
    var trips: Int { breaker.trips }
    var lateResults: Int { breaker.lateResults }

    func configure(_ configuration: Breaker.Configuration, at now: ContinuousClock.Instant) {
        breaker.configure(configuration, at: now)
    }

    func reset(at now: ContinuousClock.Instant) { breaker.reset(at: now) }

    func admit(at now: ContinuousClock.Instant) -> Breaker.Admission { breaker.admit(at: now) }

    func finished(_ permit: Breaker.Permit, _ outcome: Breaker.Outcome, at now: ContinuousClock.Instant) {
        breaker.finished(permit, outcome, at: now)
    }

    /// A permit, which must be given.
    func permit(at now: ContinuousClock.Instant) throws -> Breaker.Permit {
        guard case .pass(let permit) = breaker.admit(at: now) else { throw Refused() }
        return permit
    }

    /// How long it refuses, which it must.
    func refusal(at now: ContinuousClock.Instant) throws -> Duration {
        guard case .refuse(let wait) = breaker.admit(at: now) else { throw Refused() }
        return wait
    }

    /// One whole call.
    func call(_ outcome: Breaker.Outcome, at now: ContinuousClock.Instant) throws {
        breaker.finished(try permit(at: now), outcome, at: now)
    }
}

final class BudgetDriver {
    private var budget: RetryBudget

    init(_ configuration: RetryBudget.Configuration, at now: ContinuousClock.Instant) {
        budget = RetryBudget(configuration, at: now)
    }

    var tokens: Double { budget.tokens }

    func attemptBegan() { budget.attemptBegan() }

    func mayRetry(at now: ContinuousClock.Instant) -> Bool { budget.mayRetry(at: now) }
}

final class HedgingDriver {
    private var hedging: Hedging

    init(share: Double, at now: ContinuousClock.Instant) { hedging = Hedging(share: share, at: now) }

    func began() -> Duration? { hedging.began() }

    func maySend(at now: ContinuousClock.Instant) -> Bool { hedging.maySend(at: now) }

    func finished(after time: Duration) { hedging.finished(after: time) }
}

final class BucketDriver {
    private var bucket: TokenBucket

    init(perSecond: Double, burst: Int, at now: ContinuousClock.Instant) {
        bucket = TokenBucket(perSecond: perSecond, burst: burst, at: now)
    }

    var burst: Int { bucket.burst }

    func tokens(at now: ContinuousClock.Instant) -> Int { bucket.tokens(at: now) }

    func take(_ count: Int, at now: ContinuousClock.Instant) -> Duration? { bucket.take(count, at: now) }

    func setRate(perSecond: Double, at now: ContinuousClock.Instant) { bucket.setRate(perSecond: perSecond, at: now) }
}
