import Resilience
import Testing
import TidemarkTesting

/// Random events against what must always hold.
struct BreakerSequenceTests {
    @Test(arguments: SeededGenerator.seeds(24))
    func itNeverSticksAndLateResultsNeverCount(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        var rules = Breaker.Configuration()
        rules.probes = 1 + generator.below(3)
        rules.consecutiveFailures = 1 + generator.below(5)
        rules.successesToClose = 1 + generator.below(4)
        rules.minimumCalls = 1 + generator.below(30)
        var now = ContinuousClock.now
        let breaker = BreakerDriver(rules, seed: seed, at: now)
        var out: [Breaker.Permit] = []
        var retired: [Breaker.Permit] = []
        for _ in 0..<5_000 {
            let before = breaker.state
            switch generator.below(4) {
            case 0, 1:
                if case .pass(let permit) = breaker.admit(at: now) { out.append(permit) }
                expectAllowed(before, breaker.state)
            case 2 where !out.isEmpty:
                let permit = out.remove(at: generator.below(out.count))
                breaker.finished(permit, generator.pick([.success, .failure, .failure, .ignored]), at: now)
                retired.append(permit)
            case 3 where !retired.isEmpty && before != .closed:
                // Given back a second time: in the closed state nobody can tell, elsewhere it must not count.
                let trips = breaker.trips
                breaker.finished(generator.pick(retired), .success, at: now)
                #expect(breaker.state == before || breaker.trips > trips, "a lease may end, nothing else")
            default:
                now = now.advanced(by: .milliseconds(generator.below(3_000)))
            }
            if generator.chance(0.05) { out.removeAll() }
        }
        try expectToRecover(breaker, at: now)
    }

    private func expectAllowed(_ before: Breaker.State, _ after: Breaker.State) {
        let allowed: [Breaker.State] =
            switch before {
            case .closed: [.closed]
            case .open: [.open, .halfOpen]
            case .halfOpen: [.halfOpen, .open]
            }
        #expect(allowed.contains(after), "asking moved it from \(before) to \(after)")
    }

    /// Whatever happened before, and whatever permits were lost: a healthy dependency closes it, in bounded time.
    private func expectToRecover(_ breaker: BreakerDriver, at start: ContinuousClock.Instant) throws {
        var now = start
        for _ in 0..<100 {
            switch breaker.admit(at: now) {
            case .pass(let permit): breaker.finished(permit, .success, at: now)
            case .refuse(let wait):
                #expect(wait > .zero && wait <= .seconds(30))
                now = now.advanced(by: wait)
            }
            if breaker.state == .closed { return }
        }
        Issue.record("still \(breaker.state)")
    }

    @Test(arguments: SeededGenerator.seeds(8))
    func neverMoreProbesAreOutThanAllowed(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var rules = Breaker.Configuration()
        rules.probes = 1 + generator.below(4)
        rules.consecutiveFailures = 1
        rules.successesToClose = .max
        var now = ContinuousClock.now
        let breaker = BreakerDriver(rules, seed: seed, at: now)
        var probes: [Breaker.Permit] = []
        for _ in 0..<5_000 {
            let trips = breaker.trips
            switch breaker.admit(at: now) {
            case .pass(let permit) where breaker.state == .halfOpen: probes.append(permit)
            case .pass(let permit): breaker.finished(permit, .failure, at: now)
            case .refuse(let wait): now = now.advanced(by: min(wait, .milliseconds(generator.below(800))))
            }
            #expect(probes.count <= rules.probes || breaker.trips > trips)
            if breaker.trips > trips { probes.removeAll() }
            if generator.chance(0.3), !probes.isEmpty {
                let outcome = generator.pick([Breaker.Outcome.success, .ignored, .failure])
                breaker.finished(probes.removeLast(), outcome, at: now)
                if breaker.state == .open { probes.removeAll() }
            }
        }
        #expect(breaker.trips > 1)
    }
}
