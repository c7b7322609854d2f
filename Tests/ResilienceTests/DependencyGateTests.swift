import Resilience
import Testing
import TidemarkTesting

struct DependencyGateTests {
    private let start = ContinuousClock.now

    @Test func theBulkheadHoldsUntilACallHasReallyEnded() throws {
        let gate = DependencyGate("g", limit: 2, at: start)
        let first = try gate.admit(at: start)
        _ = try gate.admit(at: start)
        #expect(throws: DependencyGate.Refusal.full) { try gate.admit(at: start) }
        // Its caller waits no longer, but the call goes on.
        gate.finished(first, .failure, at: start)
        #expect(throws: DependencyGate.Refusal.full) { try gate.admit(at: start) }
        gate.ended()
        _ = try gate.admit(at: start)
    }

    @Test func aFullBulkheadIsNoFailure() throws {
        let gate = DependencyGate("g", limit: 1, at: start)
        _ = try gate.admit(at: start)
        for _ in 0..<50 { #expect(throws: DependencyGate.Refusal.full) { try gate.admit(at: start) } }
        #expect(gate.reading.state == .closed)
    }

    @Test func fiveFailuresOpenItAndItClosesByItself() throws {
        let gate = DependencyGate("g", limit: 4, at: start)
        for _ in 0..<5 { gate.finished(try begun(gate, start), .failure, at: start) }
        #expect(throws: DependencyGate.Refusal.breakerOpen) { try gate.admit(at: start) }
        let later = start + .seconds(60)
        for _ in 0..<9 { gate.finished(try begun(gate, later), .success, at: later) }
        #expect(gate.reading.state == .closed)
        #expect(gate.reading.inFlight == 0)
    }

    private func begun(_ gate: DependencyGate, _ now: ContinuousClock.Instant) throws -> Breaker.Permit {
        let permit = try gate.admit(at: now)
        gate.ended()
        return permit
    }

    @Test func aSecondCallNeedsAClosedBreakerAndRoom() throws {
        let gate = DependencyGate("g", limit: 2, at: start)
        let first = try gate.admit(at: start)
        #expect(gate.admitSecond())
        #expect(!gate.admitSecond(), "it is full")
        gate.ended()
        _ = gate.force(.closed, at: start)
        #expect(!gate.admitSecond(), "by force is not by itself")
        _ = gate.force(nil, at: start)
        for _ in 0..<5 { gate.finished(try begun(gate, start), .failure, at: start) }
        #expect(!gate.admitSecond(), "it is open")
        let later = start + .seconds(60)
        let probe = try gate.admit(at: later)
        gate.ended()
        #expect(gate.reading.state == .halfOpen)
        #expect(!gate.admitSecond(), "it is half open")
        gate.finished(probe, .success, at: later)
        gate.finished(first, .success, at: later)
        #expect(gate.reading.lateResults == 1)
    }

    @Test func forceAndResetAreTold() throws {
        let gate = DependencyGate("g", at: start)
        let (before, after) = gate.force(.open, at: start)
        #expect(before.override == nil && after.override == .open)
        #expect(throws: DependencyGate.Refusal.breakerOpen) { try gate.admit(at: start) }
        _ = gate.force(nil, at: start)
        _ = try gate.admit(at: start)
    }

    /// Random calls that end before or after their callers gave up, reloads of the rules, forcing: the bulkhead never holds more than
    /// its limit, counts what is out exactly, and comes back to zero.
    @Test(arguments: SeededGenerator.seeds(24))
    func permitsReturnToZero(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var now = start
        var limit = 1 + generator.below(8)
        let gate = DependencyGate("g", limit: limit, seed: seed, at: now)
        var waiting: [Breaker.Permit] = []
        var out = 0
        for _ in 0..<5_000 {
            switch generator.below(8) {
            case 0, 1:
                if let permit = try? gate.admit(at: now) {
                    #expect(out < limit)
                    waiting.append(permit)
                    out += 1
                }
            case 2 where !waiting.isEmpty:
                let permit = waiting.remove(at: generator.below(waiting.count))
                gate.finished(permit, generator.pick([.success, .slow, .failure, .ignored]), at: now)
            case 7:
                let isRoom = out < limit
                guard gate.admitSecond() else { break }
                #expect(isRoom && gate.reading.state == .closed && gate.reading.override == nil)
                out += 1
            case 3 where out > 0:
                gate.ended()
                out -= 1
            case 4:
                limit = 1 + generator.below(8)
                gate.configure(.init(), limit: limit, at: now)
            case 5 where generator.chance(0.1): _ = gate.force(generator.pick([.open, .closed, nil]), at: now)
            default: now += .milliseconds(generator.below(400))
            }
            #expect(gate.reading.inFlight == out)
        }
        for _ in 0..<out { gate.ended() }
        #expect(gate.reading.inFlight == 0)
    }
}
