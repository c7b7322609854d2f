import Resilience
import Testing
import TidemarkTesting

struct TokenBucketTests {
    let start = ContinuousClock.now

    @Test func aBurstPassesAndThenTheRateHolds() {
        let bucket = BucketDriver(perSecond: 100, burst: 10, at: start)
        #expect(bucket.take(10, at: start) == nil)
        #expect(bucket.tokens(at: start) == 0)
        #expect(bucket.take(1, at: start) == .milliseconds(10))
        #expect(bucket.take(3, at: start.advanced(by: .milliseconds(10))) == .milliseconds(20))
        #expect(bucket.take(3, at: start.advanced(by: .milliseconds(30))) == nil)
    }

    @Test func restFillsTheBucketAndNoMore() {
        let bucket = BucketDriver(perSecond: 100, burst: 10, at: start)
        let later = start.advanced(by: .seconds(3_600))
        #expect(bucket.tokens(at: later) == 10)
        #expect(bucket.take(11, at: later) == nil)
        #expect(bucket.take(1, at: later) == .milliseconds(20))
    }

    @Test func moreThanTheBucketHoldsIsTakenFromAFullOneAndPaidAfterwards() {
        let bucket = BucketDriver(perSecond: 1_000, burst: 10, at: start)
        #expect(bucket.take(1, at: start) == nil)
        #expect(bucket.take(500, at: start) == .milliseconds(1))
        let full = start.advanced(by: .milliseconds(1))
        #expect(bucket.take(500, at: full) == nil)
        #expect(bucket.take(1, at: full) == .milliseconds(491))
    }

    @Test func aNewRateHoldsFromNowOn() {
        let bucket = BucketDriver(perSecond: 1, burst: 10, at: start)
        #expect(bucket.take(10, at: start) == nil)
        bucket.setRate(perSecond: 1_000, at: start)
        #expect(bucket.take(10, at: start) == .milliseconds(10))
    }

    @Test(arguments: [0, -1, .nan, .infinity, -.infinity, 1e300])
    func ratesWithoutSenseAreMoved(rate: Double) {
        let bucket = BucketDriver(perSecond: rate, burst: -5, at: start)
        #expect(bucket.burst == 1)
        #expect(bucket.take(.max, at: start) == nil)
        #expect(bucket.take(.min, at: start.advanced(by: .seconds(-1))) != .zero)
    }

    @Test(arguments: SeededGenerator.seeds(8))
    func theRateHoldsAndWhoeverWaitsIsServed(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let bucket = BucketDriver(perSecond: 997, burst: 50, at: start)
        var now = start
        var taken = 0
        for _ in 0..<20_000 {
            let count = generator.below(80)
            if let wait = bucket.take(count, at: now) {
                #expect(wait > .zero)
                if generator.chance(0.5) {
                    now = now.advanced(by: wait)
                    #expect(bucket.take(count, at: now) == nil, "after the wait it must be there")
                    taken += count
                }
            } else {
                taken += count
            }
            if generator.chance(0.3) { now = now.advanced(by: .microseconds(generator.below(50_000))) }
            // An excess of 79 over the 50 may be owed.
            let allowed = 50 + 80 + (now - start) / .seconds(1) * 997
            guard Double(taken) <= allowed, (0...50).contains(bucket.tokens(at: now)) else {
                Issue.record("\(taken) taken of \(allowed)")
                return
            }
        }
    }
}
