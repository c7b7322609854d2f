import Resilience
import Testing
import TidemarkTesting

/// The limiter in front of a server that behaves as queues do.
@Suite(.timeLimit(.minutes(5))) struct ConcurrencyLimiterTests {
    private static let seeds = SeededGenerator.seeds(4)

    @Test(arguments: seeds, [1.2, 3, 10])
    func overloadCostsHardlyAnyGoodput(_ seed: UInt64, _ overload: Double) throws {
        let model = ServerModel(seed: seed)
        _ = model.run(3, rate: model.capacity * overload)
        let tally = model.run(10, rate: model.capacity * overload)
        #expect(tally.goodRate >= 0.9 * model.capacity, "limit \(model.limit), \(tally)")
        #expect(tally.late == 0)
        #expect(try #require(model.baseline) < 0.004, "not what requests take in a full queue")
    }

    /// What the test above is worth: the same overload without a limit ends in answers that nobody waits for any more.
    @Test func withoutALimitOverloadLeavesNoGoodput() {
        let model = ServerModel(.init(fixed: 1_000_000), seed: 1)
        _ = model.run(3, rate: model.capacity * 3)
        #expect(model.run(5, rate: model.capacity * 3).goodRate < 0.1 * model.capacity)
    }

    @Test(arguments: seeds)
    func belowItsCapacityNothingIsRefused(_ seed: UInt64) {
        let model = ServerModel(seed: seed)
        let tally = model.run(20, rate: model.capacity * 0.5)
        #expect(tally.refused == 0, "limit \(model.limit)")
    }

    @Test(arguments: seeds)
    func itGrowsWhenTheServerGetsFasterAndShrinksWhenItGetsSlower(_ seed: UInt64) {
        let model = ServerModel(seed: seed)
        _ = model.run(10, rate: 20_000)
        let before = model.limit
        model.service = 0.000_2
        _ = model.run(5, rate: 30_000)
        #expect(model.run(5, rate: 30_000).goodRate >= 0.9 * model.capacity, "limit \(model.limit)")
        #expect(model.limit >= 2 * before, "\(before) → \(model.limit)")
        model.service = 0.004
        _ = model.run(15, rate: 10_000)
        let tally = model.run(10, rate: 10_000)
        #expect(tally.goodRate >= 0.85 * model.capacity, "limit \(model.limit)")
        #expect(model.limit <= before)
    }

    /// Limiters with a queue allowance grow without end where waiting is just below what they tolerate.
    @Test(arguments: seeds)
    func itDoesntCreep(_ seed: UInt64) {
        var rules = ConcurrencyLimiter.Configuration()
        rules.maximum = 1_000_000
        let model = ServerModel(rules, seed: seed)
        var most = 0
        for _ in 0..<40 {
            _ = model.run(3, rate: model.capacity * 2)
            most = max(most, model.limit)
        }
        // A baseline of one service time and a wait of 3 ms are 8 requests; some more for chance.
        #expect(most <= 24)
        #expect(model.limit >= 4)
    }

    @Test(arguments: seeds)
    func behindAnOverloadItComesBackAndNoFurther(_ seed: UInt64) {
        let model = ServerModel(seed: seed)
        let initial = model.limit
        _ = model.run(20, rate: model.capacity * 5)
        #expect(model.limit < initial / 2, "limit \(model.limit)")
        let tally = model.run(10, rate: model.capacity * 0.2)
        #expect(tally.refused == 0 && model.limit == initial, "limit \(model.limit)")
    }

    @Test func answersThatAllComeTooLateShrinkItToTheMinimum() {
        let model = ServerModel(seed: 1)
        model.fixedDelay = 0.06
        _ = model.run(20, rate: 2_000)
        #expect(model.limit == 4)
        model.fixedDelay = 0.001
        _ = model.run(10, rate: 20_000)
        #expect(model.limit >= 20, "it comes back")
    }

    @Test func aDependencyThatIsSlowByItselfCostsNoRoomWhereLittleIsUnderWay() {
        let model = ServerModel(seed: 1)
        model.fixedDelay = 0.06
        _ = model.run(20, rate: 200)
        #expect(model.limit == 64)
    }

    @Test func aQuietDayChangesNothing() throws {
        let model = ServerModel(seed: 7)
        _ = model.run(20, rate: model.capacity * 0.6)
        let baseline = try #require(model.baseline)
        _ = model.run(3_600, rate: 1)
        #expect(model.limit == 64)
        let after = try #require(model.baseline)
        #expect(abs(after / baseline - 1) < 0.05, "a handful of requests teaches nothing")
        _ = model.run(2, rate: model.capacity * 3)
        #expect(model.run(5, rate: model.capacity * 3).goodRate >= 0.9 * model.capacity)
    }

    @Test func whatIsAnsweredWithoutWorkTeachesNothing() {
        let model = ServerModel(seed: 3)
        model.ignoredShare = 0.9
        _ = model.run(10, rate: model.capacity * 10)
        #expect((model.baseline ?? 0) > 0.000_5)
    }

    @Test func aBaselineThatIsTooLowIsLearnedAnew() throws {
        let model = ServerModel(seed: 5)
        model.service = 0.000_1
        _ = model.run(5, rate: 5_000)
        #expect(try #require(model.baseline) < 0.000_3)
        // Ten times slower over night; the morning's load is half of what it can do.
        model.service = 0.001
        _ = model.run(60, rate: 600)
        #expect(try #require(model.baseline) > 0.000_6)
    }

    // MARK: Permits

    private final class Driver {
        var limiter: ConcurrencyLimiter
        init(_ limiter: consuming ConcurrencyLimiter) { self.limiter = limiter }
    }

    @Test(arguments: SeededGenerator.seeds(16))
    func permitsReturnToZeroExactlyOnce(_ seed: UInt64) {
        withSeed(seed) { generator in
            let driver = Driver(ConcurrencyLimiter(at: 0))
            var out: [ConcurrencyLimiter.Permit] = []
            var back: [ConcurrencyLimiter.Permit] = []
            var now: UInt64 = 0
            var strays = 0
            for _ in 0..<20_000 {
                now += UInt64(generator.below(2_000_000))
                switch generator.below(10) {
                case 0..<5:
                    let room = driver.limiter.inFlight < driver.limiter.limit
                    let permit = driver.limiter.acquire(at: now)
                    #expect((permit != nil) == room)
                    if let permit {
                        #expect(!out.contains(permit))
                        out.append(permit)
                    }
                case 5..<9:
                    guard !out.isEmpty else { continue }
                    let permit = out.remove(at: generator.below(out.count))
                    driver.limiter.finished(permit, generator.pick([.success, .success, .late, .ignored]), at: now)
                    back.append(permit)
                default:
                    guard !back.isEmpty else { continue }
                    driver.limiter.finished(generator.pick(back.suffix(200)), .success, at: now)
                    strays += 1
                }
                if driver.limiter.inFlight != out.count { Issue.record("\(driver.limiter.inFlight), not \(out.count)") }
                if driver.limiter.strays != strays { Issue.record("\(driver.limiter.strays) strays, not \(strays)") }
                #expect((4...1_024).contains(driver.limiter.limit))
            }
            for permit in out { driver.limiter.finished(permit, .success, at: now) }
            #expect(driver.limiter.inFlight == 0)
        }
    }

    @Test func aFixedLimitStaysWhateverHappens() {
        let model = ServerModel(.init(fixed: 10), seed: 2)
        _ = model.run(5, rate: model.capacity * 5)
        #expect(model.limit == 10)
        #expect(model.inFlight <= 10)
        model.drain()
        #expect(model.inFlight == 0)
        #expect(model.strays == 0)
    }

    @Test func otherRulesHoldAtOnceAndLosePermitsOfNone() {
        let model = ServerModel(.init(fixed: 100), seed: 2)
        model.fixedDelay = 1
        _ = model.run(0.5, rate: 1_000)
        #expect(model.inFlight == 100)
        model.configure(.init(fixed: 10))
        #expect(model.limit == 10)
        #expect(model.inFlight == 100)
        let tally = model.run(0.4, rate: 1_000)
        #expect(tally.refused == tally.offered)
        model.drain()
        #expect(model.inFlight == 0)
        model.configure(.init())
        #expect(model.limit == 64)
        var low = ConcurrencyLimiter.Configuration()
        low.maximum = 20
        model.configure(low)
        #expect(model.limit == 20)
        model.configure(.init())
        #expect(model.limit == 20, "what an adaptive limit found stays")
    }

    @Test(arguments: [
        (-5, -5, -5), (0, 0, 0), (10, 5, 1), (.max, .max, .max), (1, .max, .min), (.min, 1, .max),
    ])
    func rulesWithoutSenseAreMovedToSomeThatHaveIt(_ minimum: Int, _ maximum: Int, _ initial: Int) {
        var rules = ConcurrencyLimiter.Configuration()
        (rules.minimum, rules.maximum, rules.initial) = (minimum, maximum, initial)
        rules.tolerance = .nan
        rules.lateShare = -.infinity
        rules.waitTarget = .seconds(-1)
        let driver = Driver(ConcurrencyLimiter(rules, at: 0))
        #expect((1...1_000_000).contains(driver.limiter.limit))
        let used = driver.limiter.configuration
        #expect(used.minimum <= used.initial && used.initial <= used.maximum)
    }

    @Test func aClockThatStandsStillOrGoesBackHurtsNothing() {
        let driver = Driver(ConcurrencyLimiter(at: 1_000))
        for _ in 0..<1_000 {
            guard let permit = driver.limiter.acquire(at: 500) else { break }
            driver.limiter.finished(permit, .success, at: 0)
        }
        #expect(driver.limiter.inFlight == 0)
        #expect(driver.limiter.limit == 64)
    }
}
