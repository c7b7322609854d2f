import Resilience
import Testing
import TidemarkTesting

struct HedgingTests {
    private let start = ContinuousClock.now

    @Test func nothingIsLongBeforeEnoughIsKnown() {
        let hedging = HedgingDriver(share: 0.5, at: start)
        for _ in 0..<31 {
            #expect(hedging.began() == nil)
            hedging.finished(after: .milliseconds(5))
        }
        hedging.finished(after: .milliseconds(5))
        #expect(hedging.began() == .milliseconds(5))
    }

    @Test func longIsWhatNineteenOfTwentyStayBelow() {
        let hedging = HedgingDriver(share: 0.5, at: start)
        for number in (1...256).reversed() { hedging.finished(after: .milliseconds(number)) }
        #expect(hedging.began() == .milliseconds(244), "the 244th of 256 is the first with 95 % at or below it")
    }

    @Test func theLastReadsCountAndOlderOnesDont() {
        let hedging = HedgingDriver(share: 0.5, at: start)
        for _ in 0..<256 { hedging.finished(after: .seconds(1)) }
        for _ in 0..<256 { hedging.finished(after: .milliseconds(3)) }
        #expect(hedging.began() == .milliseconds(3))
    }

    @Test func lessThanAMillisecondIsNeverLong() {
        let hedging = HedgingDriver(share: 0.5, at: start)
        for _ in 0..<64 { hedging.finished(after: .microseconds(80)) }
        #expect(hedging.began() == .milliseconds(1))
    }

    /// However long reads take, and however often they ask: no more than the share and a first burst.
    @Test(arguments: SeededGenerator.seeds(8))
    func secondReadsStayWithinTheirShare(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let share = generator.pick([0.0, 0.01, 0.1, 0.5])
        let hedging = HedgingDriver(share: share, at: start)
        var now = start
        var (first, second) = (0, 0)
        for _ in 0..<5_000 {
            _ = hedging.began()
            first += 1
            for _ in 0..<generator.below(4) where hedging.maySend(at: now) { second += 1 }
            now += .milliseconds(generator.below(2_000))
            #expect(Double(second) <= 10 + share * Double(first) + 0.001)
        }
        #expect(second >= Int(share * 5_000 / 2), "the budget is there to be used")
    }
}
