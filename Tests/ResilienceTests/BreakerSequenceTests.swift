import Resilience
import Testing
import TidemarkTesting

/// Random events against what must always hold.
struct BreakerSequenceTests {
    /// A permit that is out, with what the breaker must hold against it.
    private struct Out {
        let permit: Breaker.Permit
        /// How many transitions there had been.
        let epoch: Int
    }

    @Test(arguments: SeededGenerator.seeds(24))
    func itNeverSticksAndLateResultsNeverCount(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        var now = ContinuousClock.now
        let breaker = BreakerDriver(Self.rules(&generator), seed: seed, at: now)
        var (out, retired): ([Out], [Out]) = ([], [])
        var epoch = 0
        for _ in 0..<5_000 {
            let (before, trips) = (breaker.state, breaker.trips)
            // What `admit` moves, it moves before it gives the permit.
            var isNew = false
            switch generator.below(5) {
            case 0, 1:
                let admission = breaker.admit(at: now)
                expectAllowed(before, breaker.state)
                isNew = breaker.state != before || breaker.trips > trips
                if case .pass(let permit) = admission {
                    out.append(Out(permit: permit, epoch: epoch + (isNew ? 1 : 0)))
                }
            case 2 where !out.isEmpty:
                let call = out.remove(at: generator.below(out.count))
                let late = breaker.lateResults
                breaker.finished(call.permit, generator.pick([.success, .slow, .failure, .failure, .ignored]), at: now)
                // What was admitted before the last transition is counted as late, and does nothing else: the state may only
                // have moved because a probe's lease ended.
                if call.epoch != epoch {
                    #expect(breaker.lateResults == late + 1)
                    #expect(breaker.state == before || (before == .halfOpen && breaker.state == .open))
                }
                retired.append(call)
            case 3 where !retired.isEmpty && before != .closed:
                // Given back a second time: in the closed state nobody can tell, elsewhere it must not count.
                breaker.finished(generator.pick(retired).permit, .success, at: now)
                #expect(breaker.state == before || breaker.trips > trips, "a lease may end, nothing else")
            case 4 where generator.chance(0.02):
                breaker.reset(at: now)
                #expect(breaker.state == .closed)
                isNew = true
            case 4 where generator.chance(0.02): breaker.configure(Self.rules(&generator), at: now)
            default: now = now.advanced(by: .milliseconds(generator.below(3_000)))
            }
            if isNew || breaker.state != before || breaker.trips > trips { epoch += 1 }
            if generator.chance(0.05) { out.removeAll() }
        }
        try expectToRecover(breaker, at: now)
    }

    private static func rules(_ generator: inout SeededGenerator) -> Breaker.Configuration {
        var rules = Breaker.Configuration()
        rules.probes = 1 + generator.below(9)
        rules.consecutiveFailures = 1 + generator.below(5)
        rules.answersPerStep = 1 + generator.below(4)
        rules.minimumCalls = 1 + generator.below(30)
        rules.slowRatio = generator.pick([0.5, 0.8, 1])
        rules.probeLease = .milliseconds(1 + generator.below(8_000))
        return rules
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
        rules.answersPerStep = 2
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
                if breaker.state != .halfOpen { probes.removeAll() }
            }
        }
        #expect(breaker.trips > 1)
    }
}
