import Resilience
import Testing
import TidemarkTesting

struct StageBudgetTests {
    private let start = ContinuousClock.now

    private func budget(
        _ stages: [StageBudget.Stage], _ time: Duration = .milliseconds(100), reserve: Duration = .milliseconds(10)
    ) -> StageBudget {
        StageBudget(stages, from: start, to: start + time, reserve: reserve)
    }

    private func length(_ allotment: StageBudget.Allotment, from now: ContinuousClock.Instant) -> Duration? {
        guard case .until(let instant) = allotment else { return nil }
        return instant - now
    }

    @Test func timeIsSharedByWeightWithoutTheReserve() {
        var budget = budget([.init(weight: 1), .init(weight: 2)])
        #expect(length(budget.begin(0, at: start), from: start) == .milliseconds(30))
        let second = start + .milliseconds(30)
        #expect(length(budget.begin(1, at: second), from: second) == .milliseconds(60))
        #expect(budget.soft == start + .milliseconds(90))
    }

    @Test func whatAStageLeavesIsHandedDown() {
        var budget = budget([.init(weight: 1), .init(weight: 1), .init(weight: 1)])
        _ = budget.begin(0, at: start)
        let second = start + .milliseconds(10)
        #expect(length(budget.begin(1, at: second), from: second) == .milliseconds(40))
    }

    @Test func theLeastOfWhatFollowsIsKept() {
        var budget = budget([.init(weight: 9), .init(weight: 1, least: .milliseconds(60))])
        #expect(length(budget.begin(0, at: start), from: start) == .milliseconds(30))
    }

    @Test func aStageWithLessThanItsLeastIsSkipped() {
        var budget = budget([.init(weight: 1, least: .milliseconds(20)), .init(weight: 1)])
        #expect(budget.begin(0, at: start + .milliseconds(71)) == .skipped)
        #expect(budget.begin(1, at: start + .milliseconds(71)) != .skipped)
        var other = self.budget([.init(weight: 1, least: .milliseconds(20))])
        #expect(
            length(other.begin(0, at: start + .milliseconds(70)), from: start + .milliseconds(70)) == .milliseconds(20))
    }

    @Test func aStageBeginsOnceAndInOrder() {
        var budget = budget([.init(weight: 1), .init(weight: 1)])
        _ = budget.begin(1, at: start)
        #expect(budget.begin(0, at: start) == .skipped)
        #expect(budget.begin(1, at: start) == .skipped)
        #expect(budget.begin(2, at: start) == .skipped)
    }

    @Test func theReserveIsAtMostHalf() {
        #expect(budget([], .milliseconds(4), reserve: .seconds(1)).soft == start + .milliseconds(2))
        #expect(budget([], .milliseconds(-4), reserve: .seconds(1)).soft == start - .milliseconds(4))
    }

    /// Whatever stages do with their time: none is promised time beyond the soft deadline, none less than its least, none more
    /// than its most, and who keeps to what was promised leaves the least of all that follows.
    @Test(arguments: SeededGenerator.seeds(64))
    func promisesHold(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<200 {
            let stages = (0..<(1 + generator.below(6))).map { _ in
                StageBudget.Stage(
                    weight: Double(1 + generator.below(10)), least: .microseconds(generator.below(5_000)),
                    most: generator.chance(0.3) ? .microseconds(5_000 + generator.below(50_000)) : nil)
            }
            let whole = Duration.microseconds(generator.below(120_000))
            var budget = budget(stages, whole, reserve: .microseconds(generator.below(20_000)))
            let fits = stages.reduce(Duration.zero) { $0 + $1.least } <= budget.soft - start
            var now = start
            for (index, stage) in stages.enumerated() {
                switch budget.begin(index, at: now) {
                case .skipped: #expect(!fits, "a stage was skipped though all leasts fit")
                case .until(let instant):
                    #expect(instant <= budget.soft)
                    #expect(instant - now >= min(stage.least, stage.most ?? stage.least))
                    if let most = stage.most { #expect(instant - now <= most) }
                    // Some leave time, some take all of theirs.
                    now = generator.chance(0.5) ? instant : now + (instant - now) * generator.fraction()
                }
            }
            #expect(now <= max(budget.soft, start))
        }
    }
}
