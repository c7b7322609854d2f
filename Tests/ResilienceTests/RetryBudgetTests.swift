import Resilience
import Testing
import TidemarkTesting

struct RetryBudgetTests {
    let start = ContinuousClock.now

    @Test func aBurstIsBoundedByTheCapacity() {
        let budget = BudgetDriver(.init(ratio: 0, minimumPerSecond: 0, capacity: 3), at: start)
        let answers = (0..<5).map { _ in budget.mayRetry(at: start) }
        #expect(answers == [true, true, true, false, false])
    }

    @Test func tenAttemptsAllowOneRetry() {
        let budget = BudgetDriver(.init(ratio: 0.125, minimumPerSecond: 0, capacity: 1), at: start)
        #expect(budget.mayRetry(at: start))
        for _ in 0..<7 { budget.attemptBegan() }
        #expect(!budget.mayRetry(at: start))
        budget.attemptBegan()
        #expect(budget.mayRetry(at: start))
        #expect(!budget.mayRetry(at: start))
    }

    @Test func timeAllowsRetriesWithoutTraffic() {
        let budget = BudgetDriver(.init(ratio: 0, minimumPerSecond: 2, capacity: 1), at: start)
        #expect(budget.mayRetry(at: start))
        #expect(!budget.mayRetry(at: start.advanced(by: .milliseconds(499))))
        #expect(budget.mayRetry(at: start.advanced(by: .milliseconds(500))))
    }

    @Test(arguments: SeededGenerator.seeds(8))
    func retriesNeverExceedWhatWasPutIn(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let configuration = RetryBudget.Configuration(ratio: 0.1, minimumPerSecond: 1, capacity: 10)
        let budget = BudgetDriver(configuration, at: start)
        var now = start
        var attempts = 0
        var retries = 0
        for _ in 0..<20_000 {
            switch generator.below(3) {
            case 0:
                budget.attemptBegan()
                attempts += 1
            case 1:
                if budget.mayRetry(at: now) { retries += 1 }
            default:
                // Clocks of different threads may be read a little out of order.
                now = now.advanced(by: .milliseconds(generator.below(40) - 2))
            }
            let earned = 10 + 0.1 * Double(attempts) + (now - start) / .seconds(1) + 0.1
            guard budget.tokens >= 0, budget.tokens <= 10, Double(retries) <= earned else {
                Issue.record("tokens \(budget.tokens), \(retries) retries of \(earned)")
                return
            }
        }
        #expect(retries > 100)
    }
}
