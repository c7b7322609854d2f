import Resilience
import Testing
import TidemarkTesting

struct RateLimiterTests {
    private let start = ContinuousClock.now
    private let quota = Quota(10, per: .seconds(60))

    @Test func theWholeQuotaMayComeAtOnceAndThenOneAnInterval() {
        let limiter = LimiterDriver<String>(capacity: 10)
        for number in 1...10 {
            #expect(
                limiter.take("a", quota, at: start)
                    == .pass(remaining: 10 - number, reset: .seconds(6 * number)))
        }
        #expect(limiter.take("a", quota, at: start) == .refuse(retryAfter: .seconds(6)))
        #expect(limiter.take("b", quota, at: start) == .pass(remaining: 9, reset: .seconds(6)))
        let later = start.advanced(by: .seconds(6))
        #expect(limiter.take("a", quota, at: later) == .pass(remaining: 0, reset: .seconds(60)))
        #expect(limiter.take("a", quota, at: later) == .refuse(retryAfter: .seconds(6)))
    }

    @Test func peekingAndBeingRefusedCostNothing() {
        let limiter = LimiterDriver<String>(capacity: 10)
        for _ in 0..<100 { #expect(limiter.peek("a", quota, at: start) == .pass(remaining: 9, reset: .seconds(6))) }
        for _ in 0..<110 { _ = limiter.take("a", quota, at: start) }
        #expect(limiter.peek("a", quota, at: start) == .refuse(retryAfter: .seconds(6)))
        #expect(
            limiter.take("a", quota, at: start.advanced(by: .seconds(60))) == .pass(remaining: 9, reset: .seconds(6)))
    }

    @Test func keysBeyondTheCapacityShareOneLimitAndFreeNobody() {
        let limiter = LimiterDriver<Int>(capacity: 3)
        for key in 0..<3 {
            for _ in 0..<10 { _ = limiter.take(key, quota, at: start) }
        }
        var passed = 0
        for key in 3..<100_000 {
            if case .pass = limiter.take(key, quota, at: start) { passed += 1 }
        }
        #expect(passed == 10)
        #expect(limiter.count == 3)
        for key in 0..<3 { #expect(limiter.peek(key, quota, at: start) == .refuse(retryAfter: .seconds(6))) }
        // Once they have rested they make room.
        let later = start.advanced(by: .seconds(61))
        #expect(limiter.take(7, quota, at: later) == .pass(remaining: 9, reset: .seconds(6)))
        #expect(limiter.count == 1)
    }

    @Test func aLoweredQuotaHoldsAtOnceAndNobodyWaitsBeyondItsWindow() {
        let limiter = LimiterDriver<String>(capacity: 3)
        for _ in 0..<10 { _ = limiter.take("a", quota, at: start) }
        let lowered = Quota(1, per: .seconds(2))
        #expect(limiter.take("a", lowered, at: start) == .refuse(retryAfter: .seconds(2)))
        #expect(
            limiter.take("a", lowered, at: start.advanced(by: .seconds(62))) == .pass(remaining: 0, reset: .seconds(2)))
    }

    @Test(arguments: [(0, Duration.zero), (-5, .seconds(-1)), (.max, .zero), (.min, .seconds(Int64.max))])
    func quotasWithoutSenseAreMoved(count: Int, window: Duration) {
        let quota = Quota(count, per: window)
        let limiter = LimiterDriver<Int>(capacity: .min)
        guard case .pass = limiter.take(1, quota, at: start) else {
            Issue.record("a rested key passes")
            return
        }
    }

    @Test(arguments: SeededGenerator.seeds(8))
    func noKeyGetsMoreThanItsQuotaAndWhoeverWaitsPasses(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let quota = Quota(1 + generator.below(50), per: .milliseconds(1 + generator.below(5_000)))
        let limiter = LimiterDriver<Int>(capacity: 20)
        var now = start
        var passes: [Int: [ContinuousClock.Instant]] = [:]
        for _ in 0..<20_000 {
            let key = generator.below(40)
            switch limiter.take(key, quota, at: now) {
            case .pass(let remaining, let reset):
                #expect((0..<quota.count).contains(remaining) && reset > .zero && reset <= quota.window)
                passes[key, default: []].append(now)
            case .refuse(let retryAfter):
                #expect(retryAfter > .zero)
                guard generator.chance(0.2) else { break }
                now = now.advanced(by: retryAfter)
                guard case .pass = limiter.take(key, quota, at: now) else {
                    Issue.record("refused after the wait")
                    return
                }
                passes[key, default: []].append(now)
            }
            now = now.advanced(by: .microseconds(generator.below(20_000)))
            #expect(limiter.count <= 20)
        }
        // Any window holds at most the quota and what trickled in during it: twice the quota.
        for instants in passes.values {
            for (index, instant) in instants.enumerated() where index >= quota.count * 2 {
                #expect(instant - instants[index - quota.count * 2] > quota.window)
            }
        }
    }
}

/// Holds a limiter, which can't be copied into the macros of a test.
private final class LimiterDriver<Key: Hashable & Sendable> {
    private var limiter: RateLimiter<Key>

    init(capacity: Int) {
        limiter = RateLimiter(capacity: capacity)
    }

    var count: Int { limiter.count }

    func take(_ key: Key, _ quota: Quota, at now: ContinuousClock.Instant) -> RateLimiter<Key>.Verdict {
        limiter.take(key, quota, at: now)
    }

    func peek(_ key: Key, _ quota: Quota, at now: ContinuousClock.Instant) -> RateLimiter<Key>.Verdict {
        limiter.peek(key, quota, at: now)
    }
}
