import Resilience
import Testing

struct BreakerTests {
    let start = ContinuousClock.now

    static var rules: Breaker.Configuration {
        var rules = Breaker.Configuration()
        rules.consecutiveFailures = 3
        rules.minimumCalls = 10
        rules.probes = 1
        rules.answersPerStep = 2
        rules.openInitial = .seconds(2)
        rules.openMaximum = .seconds(10)
        return rules
    }

    /// A breaker that opened at `start`, and when it will let a probe pass.
    private func opened() throws -> (BreakerDriver, until: ContinuousClock.Instant) {
        let breaker = BreakerDriver(Self.rules, at: start)
        for _ in 0..<Self.rules.consecutiveFailures { try breaker.call(.failure, at: start) }
        return (breaker, start.advanced(by: try breaker.refusal(at: start)))
    }

    @Test func failuresInARowOpenIt() throws {
        let breaker = BreakerDriver(Self.rules, at: start)
        try breaker.call(.failure, at: start)
        try breaker.call(.failure, at: start)
        try breaker.call(.success, at: start)
        try breaker.call(.failure, at: start)
        try breaker.call(.ignored, at: start)
        try breaker.call(.failure, at: start)
        #expect(breaker.state == .closed)
        try breaker.call(.failure, at: start)
        #expect(breaker.state == .open)
        #expect(breaker.trips == 1)
    }

    @Test func halfOfTheCallsOfTheWindowOpenIt() throws {
        let breaker = BreakerDriver(Self.rules, at: start)
        for index in 0..<9 { try breaker.call(index % 2 == 0 ? .failure : .success, at: start) }
        #expect(breaker.state == .closed, "nine calls are too few to tell")
        try breaker.call(.failure, at: start)
        #expect(breaker.state == .open)
    }

    @Test func slowCallsOpenItBesideFailures() throws {
        var rules = Self.rules
        rules.slowRatio = 0.8
        let breaker = BreakerDriver(rules, at: start)
        for index in 0..<9 { try breaker.call(index == 4 ? .success : .slow, at: start) }
        #expect(breaker.state == .closed, "nine calls are too few to tell")
        try breaker.call(.success, at: start)
        #expect(breaker.state == .closed, "eight of ten are enough, and only a slow call decides")
        for _ in 0..<20 { try breaker.call(.success, at: start) }
        #expect(breaker.state == .closed)
        let later = start.advanced(by: .seconds(11))
        for index in 0..<9 { try breaker.call(index < 2 ? .success : .slow, at: later) }
        #expect(breaker.state == .closed)
        try breaker.call(.slow, at: later)
        #expect(breaker.state == .open)
    }

    @Test func aSlowAnswerIsNoFailureInARow() throws {
        let breaker = BreakerDriver(Self.rules, at: start)
        for _ in 0..<4 {
            try breaker.call(.failure, at: start)
            try breaker.call(.slow, at: start)
        }
        #expect(breaker.state == .closed)
    }

    /// O11 of the faults that a dependency may have: at one call a second no share of calls ever has enough of them.
    @Test(arguments: [Duration.milliseconds(1), .seconds(1), .seconds(60), .seconds(3_600)])
    func aDeadDependencyIsCutWithinFiveCallsAtAnyTraffic(pause: Duration) throws {
        var now = start
        let breaker = BreakerDriver(.init(), at: now)
        for _ in 0..<5 {
            try breaker.call(.failure, at: now)
            now = now.advanced(by: pause)
        }
        #expect(breaker.trips == 1)
    }

    /// O13: the monotonic clock may stand anywhere.
    @Test(arguments: [Duration.seconds(-3_000_000_000), .seconds(3_000_000_000)])
    func anInstantFarAwayIsLikeAnyOther(offset: Duration) throws {
        var now = start.advanced(by: offset)
        let breaker = BreakerDriver(Self.rules, at: now)
        for _ in 0..<3 { try breaker.call(.failure, at: now) }
        now = now.advanced(by: try breaker.refusal(at: now))
        for _ in 0..<2 { try breaker.call(.success, at: now) }
        #expect(breaker.state == .closed)
        // A day of sleep, and a clock that another core reads a little earlier.
        now = now.advanced(by: .seconds(86_400))
        for index in 0..<3 { try breaker.call(.failure, at: now.advanced(by: .microseconds(-index))) }
        #expect(breaker.trips == 2)
    }

    @Test func callsThatLeftTheWindowDontCount() throws {
        let breaker = BreakerDriver(Self.rules, at: start)
        for index in 0..<9 { try breaker.call(index % 2 == 0 ? .failure : .success, at: start) }
        let later = start.advanced(by: .seconds(11))
        try breaker.call(.failure, at: later)
        #expect(breaker.state == .closed)
    }

    @Test func anOpenOneRefusesForBetweenHalfAndAllOfItsTime() throws {
        let (breaker, until) = try opened()
        #expect((.seconds(1)...Duration.seconds(2)).contains(until - start))
        let justBefore = until.advanced(by: .nanoseconds(-1))
        #expect(breaker.admit(at: justBefore) == .refuse(.nanoseconds(1)))
        #expect(breaker.state == .open)
        _ = try breaker.permit(at: until)
        #expect(breaker.state == .halfOpen)
    }

    @Test func oneProbeIsOutAtATimeAndEnoughSuccessesClose() throws {
        let (breaker, until) = try opened()
        let probe = try breaker.permit(at: until)
        #expect(breaker.admit(at: until) == .refuse(Self.rules.probeLease))
        breaker.finished(probe, .success, at: until)
        #expect(breaker.state == .halfOpen)
        try breaker.call(.success, at: until)
        #expect(breaker.state == .closed)
    }

    /// A breaker that is half open at `until`, with so many probes at most.
    private func halfOpen(probes: Int) throws -> (BreakerDriver, until: ContinuousClock.Instant) {
        var rules = Self.rules
        rules.probes = probes
        rules.answersPerStep = 3
        let breaker = BreakerDriver(rules, at: start)
        for _ in 0..<rules.consecutiveFailures { try breaker.call(.failure, at: start) }
        return (breaker, start.advanced(by: try breaker.refusal(at: start)))
    }

    @Test(arguments: [(1, [1]), (2, [1, 2]), (4, [1, 2, 4]), (6, [1, 2, 4, 6])])
    func probesDoubleFromStepToStep(most: Int, steps: [Int]) throws {
        let (breaker, until) = try halfOpen(probes: most)
        for allowed in steps {
            #expect(breaker.state != .closed)
            let probes = try (0..<allowed).map { _ in try breaker.permit(at: until) }
            _ = try breaker.refusal(at: until)
            // One that says nothing gives its place back and no more.
            breaker.finished(probes[0], .ignored, at: until)
            let again = try breaker.permit(at: until)
            _ = try breaker.refusal(at: until)
            for probe in probes.dropFirst() { breaker.finished(probe, .ignored, at: until) }
            breaker.finished(again, .success, at: until)
            for _ in 0..<2 { try breaker.call(.success, at: until) }
        }
        #expect(breaker.state == .closed)
        for _ in 0..<100 { _ = try breaker.permit(at: until) }
    }

    @Test func aFailureInAnyStepOpensItAgain() throws {
        for successes in 0..<9 {
            let (breaker, until) = try halfOpen(probes: 4)
            for _ in 0..<successes { try breaker.call(.success, at: until) }
            #expect(breaker.trips == 1)
            try breaker.call(.failure, at: until)
            #expect(breaker.state == .open)
        }
    }

    @Test func aStepOfSlowAnswersOpensItAgainAndASingleOneDoesNot() throws {
        let (breaker, until) = try halfOpen(probes: 4)
        for outcome in [Breaker.Outcome.slow, .success, .slow] { try breaker.call(outcome, at: until) }
        #expect(breaker.state == .halfOpen)
        for _ in 0..<3 { try breaker.call(.slow, at: until) }
        #expect(breaker.state == .open)
    }

    @Test func aResetBeginsAGenerationSoThatNothingOlderCounts() throws {
        let breaker = BreakerDriver(Self.rules, at: start)
        let early = try (0..<5).map { _ in try breaker.permit(at: start) }
        breaker.reset(at: start)
        for permit in early { breaker.finished(permit, .failure, at: start) }
        #expect(breaker.state == .closed)
        #expect(breaker.lateResults == 5)
    }

    @Test func aFailedProbeOpensItForLonger() throws {
        var (breaker, until) = try opened()
        for seconds in [4, 8, 10, 10] {
            try breaker.call(.failure, at: until)
            let wait = try breaker.refusal(at: until)
            #expect(wait >= .seconds(seconds) / 2 && wait <= .seconds(seconds))
            until = until.advanced(by: wait)
        }
        #expect(breaker.trips == 5)
    }

    @Test func anIgnoredProbeDecidesNothing() throws {
        let (breaker, until) = try opened()
        try breaker.call(.ignored, at: until)
        #expect(breaker.state == .halfOpen)
        try breaker.call(.success, at: until)
        try breaker.call(.ignored, at: until)
        try breaker.call(.success, at: until)
        #expect(breaker.state == .closed)
    }

    @Test func aProbeThatNeverComesBackCountsAsFailed() throws {
        let (breaker, until) = try opened()
        let probe = try breaker.permit(at: until)
        let overdue = until.advanced(by: Self.rules.probeLease)
        _ = try breaker.refusal(at: overdue)
        #expect(breaker.state == .open)
        breaker.finished(probe, .success, at: overdue)
        #expect(breaker.state == .open)
        #expect(breaker.lateResults == 1)
    }

    @Test func aProbeHandedBackTwiceCountsOnce() throws {
        let (breaker, until) = try opened()
        let probe = try breaker.permit(at: until)
        breaker.finished(probe, .success, at: until)
        breaker.finished(probe, .success, at: until)
        #expect(breaker.state == .halfOpen)
    }

    @Test func resultsOfAnOlderGenerationChangeNothing() throws {
        let breaker = BreakerDriver(Self.rules, at: start)
        let early = try (0..<4).map { _ in try breaker.permit(at: start) }
        for _ in 0..<3 { try breaker.call(.failure, at: start) }
        breaker.finished(early[0], .success, at: start)
        #expect(breaker.state == .open)
        let wait = try breaker.refusal(at: start)
        let until = start.advanced(by: wait)
        let probe = try breaker.permit(at: until)
        breaker.finished(early[1], .failure, at: until)
        #expect(breaker.state == .halfOpen, "a late failure is not the probe's")
        breaker.finished(probe, .success, at: until)
        breaker.finished(early[2], .success, at: until)
        #expect(breaker.state == .halfOpen, "a late success is not a probe's")
        #expect(breaker.lateResults == 3)
    }

    @Test func otherRulesHoldForWhatWasCountedAlready() throws {
        let breaker = BreakerDriver(Self.rules, at: start)
        let early = try breaker.permit(at: start)
        for _ in 0..<2 { try breaker.call(.failure, at: start) }
        var rules = Self.rules
        rules.consecutiveFailures = 100
        rules.minimumCalls = 1_000
        breaker.configure(rules, at: start)
        for _ in 0..<10 { try breaker.call(.failure, at: start) }
        #expect(breaker.state == .closed)
        rules.consecutiveFailures = 13
        breaker.configure(rules, at: start)
        breaker.finished(early, .failure, at: start)
        #expect(breaker.state == .open, "twelve before and a permit of the first rules")
        breaker.configure(.init(), at: start)
        #expect(breaker.state == .open)
    }

    @Test func afterACalmTimeTheOpeningIsAFirstOneAgain() throws {
        let (breaker, until) = try opened()
        try breaker.call(.failure, at: until)
        let wait = try breaker.refusal(at: until)
        let closedAt = until.advanced(by: wait)
        for _ in 0..<2 { try breaker.call(.success, at: closedAt) }
        let calm = closedAt.advanced(by: .seconds(60))
        for _ in 0..<3 { try breaker.call(.failure, at: calm) }
        let first = try breaker.refusal(at: calm)
        #expect(first <= .seconds(2))
    }
}
