import Resilience
import Testing
import TidemarkTesting

struct BackoffTests {
    static let policy = Backoff.Policy(initial: .milliseconds(100), maximum: .seconds(30))

    @Test func theCeilingDoublesUpToTheMaximum() {
        var backoff = Backoff(Self.policy)
        let waits = (0..<12).map { _ in backoff.next(random: 0.5) }
        #expect(waits[..<4] == [.milliseconds(50), .milliseconds(100), .milliseconds(200), .milliseconds(400)])
        #expect(waits[9...] == [.seconds(15), .seconds(15), .seconds(15)])
        #expect(backoff.attempts == 12)
    }

    @Test func aSuccessBeginsAnew() {
        var backoff = Backoff(Self.policy)
        for _ in 0..<5 { _ = backoff.next(random: 0.5) }
        backoff.succeeded()
        #expect(backoff.attempts == 0)
        #expect(backoff.next(random: 0.5) == .milliseconds(50))
    }

    @Test(arguments: SeededGenerator.seeds(8))
    func noWaitIsAboveItsCeiling(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var backoff = Backoff(Self.policy)
        var ceiling = Duration.milliseconds(100)
        for _ in 0..<100_000 {
            let wait = backoff.next(using: &generator)
            guard wait >= .zero, wait <= ceiling else {
                Issue.record("\(wait) of at most \(ceiling)")
                return
            }
            ceiling = min(ceiling * 2, .seconds(30))
        }
    }

    @Test func policiesWithoutSenseAreMoved() {
        let policy = Backoff.Policy(initial: .seconds(-1), maximum: .seconds(-2), multiplier: .nan)
        #expect(policy.initial > .zero)
        #expect(policy.maximum == policy.initial)
        var backoff = Backoff(Backoff.Policy(initial: .seconds(1), maximum: .seconds(1e12), multiplier: .infinity))
        for _ in 0..<1_000 { #expect(backoff.next(random: 7) <= .seconds(86_400 * 365)) }
    }
}
