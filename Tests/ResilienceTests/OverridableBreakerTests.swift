import Resilience
import Testing

struct OverridableBreakerTests {
    private let start = ContinuousClock.now

    private func isPassed(_ breaker: inout OverridableBreaker) -> Bool {
        guard case .pass(let permit) = breaker.admit(at: start) else { return false }
        breaker.finished(permit, .failure, at: start)
        return true
    }

    @Test func forcedOpenRefusesAndForcedClosedPassesWhateverHappens() {
        var breaker = OverridableBreaker(seed: 1, at: start)
        breaker.force(.open, at: start)
        var passes = (0..<20).map { _ in isPassed(&breaker) }
        #expect(!passes.contains(true))
        breaker.force(.closed, at: start)
        passes = (0..<20).map { _ in isPassed(&breaker) }
        #expect(!passes.contains(false))
        let trips = breaker.trips
        #expect(trips == 0)
    }

    @Test func whatWasOutBeforeAResetCountsForNothing() throws {
        var breaker = OverridableBreaker(seed: 1, at: start)
        var early: [Breaker.Permit] = []
        for _ in 0..<20 {
            guard case .pass(let permit) = breaker.admit(at: start) else { break }
            early.append(permit)
        }
        breaker.force(.open, at: start)
        breaker.force(nil, at: start)
        for permit in early { breaker.finished(permit, .failure, at: start) }
        let after = "\(breaker.state) \(breaker.lateResults)"
        #expect(after == "closed 20")
    }

    @Test func aResetBeginsClosedAndCountsOn() {
        var breaker = OverridableBreaker(seed: 1, at: start)
        while isPassed(&breaker) {}
        let opened = "\(breaker.state) \(breaker.trips)"
        #expect(opened == "open 1")
        breaker.force(nil, at: start)
        let reset = "\(breaker.state) \(breaker.trips)"
        #expect(reset == "closed 1")
        while isPassed(&breaker) {}
        let again = "\(breaker.state) \(breaker.trips)"
        #expect(again == "open 2")
    }
}
