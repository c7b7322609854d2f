import Resilience
import Synchronization
import Telemetry
import Testing
import TidemarkTesting

@testable import Recommend

/// A call with a second way to its value.
@Suite(.timeLimit(.minutes(2)))
struct SecondCallTests {
    private struct Failed: Error {
        let name: String
    }

    /// One way to the value: waits until it is told what to do.
    private final class Way: Sendable {
        private let state = Mutex<
            (waiting: CheckedContinuation<Result<Int, Failed>, Never>?, told: Result<Int, Failed>?)
        >(
            (nil, nil))
        let begins: AsyncStream<Void>
        private let begin: AsyncStream<Void>.Continuation

        init() { (begins, begin) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .unbounded) }

        func go() async throws -> Int {
            let result: Result<Int, Failed> = await withCheckedContinuation { waiting in
                let told = state.withLock { state in
                    if state.told == nil { state.waiting = waiting }
                    return state.told
                }
                if let told { waiting.resume(returning: told) }
                begin.finish()
            }
            return try result.get()
        }

        func tell(_ result: Result<Int, Failed>) {
            let waiting = state.withLock { state in
                defer { state.waiting = nil }
                state.told = result
                return state.waiting
            }
            waiting?.resume(returning: result)
        }

        func untilBegun() async { for await _ in begins {} }
    }

    private final class Ledger: Sendable {
        let asked = Atomic<Int>(0)
        let won = Atomic<Int>(0)
    }

    private func second(_ clock: ManualClock, _ way: Way, _ ledger: Ledger, isAdmitted: Bool = true)
        -> CallRunner.Second<Int>
    {
        CallRunner.Second(
            at: clock.now + .milliseconds(10),
            admit: {
                ledger.asked.add(1, ordering: .relaxed)
                return isAdmitted
            }, work: { try await way.go() }, won: { ledger.won.add(1, ordering: .relaxed) })
    }

    private func running(
        _ body: @escaping @Sendable (CallRunner, ManualClock) async throws -> Void
    ) async throws {
        let clock = ManualClock()
        let runner = CallRunner(clock: clock.recommending)
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await runner.run() }
            defer { tasks.cancelAll() }
            await runner.untilRunning()
            try await body(runner, clock)
        }
    }

    /// Moves the clock when so many sleep, as the runner does beside each call.
    private func advance(_ clock: ManualClock, by time: Duration, sleepers: Int = 1) async throws {
        try await clock.waitForSleepers(sleepers)
        clock.advance(by: time)
    }

    @Test func theSecondAnswersWhereTheFirstIsSilent() async throws {
        try await running { runner, clock in
            let (first, other, ledger) = (Way(), Way(), Ledger())
            async let outcome = runner.call(
                until: clock.now + .milliseconds(80), second: second(clock, other, ledger)
            ) { try await first.go() }
            await first.untilBegun()
            try await advance(clock, by: .milliseconds(10))
            await other.untilBegun()
            other.tell(.success(2))
            guard case .value(2) = await outcome else {
                Issue.record("no value")
                return
            }
            #expect(ledger.asked.load(ordering: .relaxed) == 1 && ledger.won.load(ordering: .relaxed) == 1)
            first.tell(.success(1))
        }
    }

    @Test func whatComesBeforeItsTimeNeedsNoSecond() async throws {
        try await running { runner, clock in
            let (other, ledger) = (Way(), Ledger())
            for result in [Result<Int, Failed>.success(1), .failure(Failed(name: "first"))] {
                let outcome = await runner.call(
                    until: clock.now + .milliseconds(80), second: second(clock, other, ledger)
                ) { try result.get() }
                switch (result, outcome) {
                case (.success, .value(1)), (.failure, .failure): break
                default: Issue.record("\(outcome)")
                }
            }
            clock.advance(by: .milliseconds(200))
            #expect(ledger.asked.load(ordering: .relaxed) == 0)
        }
    }

    /// Whatever each way does, in whatever order: one outcome, and a failure only where no value can come any more.
    @Test(arguments: [true, false], [(true, true), (true, false), (false, true), (false, false)])
    func aFailureWaitsForTheOther(secondEndsFirst: Bool, fails: (Bool, Bool)) async throws {
        let (firstFails, secondFails) = fails
        try await running { runner, clock in
            let (first, other, ledger) = (Way(), Way(), Ledger())
            async let outcome = runner.call(
                until: clock.now + .milliseconds(80), second: second(clock, other, ledger)
            ) { try await first.go() }
            await first.untilBegun()
            try await advance(clock, by: .milliseconds(10))
            await other.untilBegun()
            let ends = [
                { first.tell(firstFails ? .failure(Failed(name: "first")) : .success(1)) },
                { other.tell(secondFails ? .failure(Failed(name: "second")) : .success(2)) },
            ]
            for end in secondEndsFirst ? ends.reversed() : ends { end() }
            switch await outcome {
            case .value(1): #expect(!firstFails)
            case .value(2): #expect(!secondFails)
            case .failure: #expect(firstFails && secondFails)
            default: Issue.record("no such outcome")
            }
        }
    }

    @Test func aSecondThatMayNotBeSentLeavesTheFirst() async throws {
        try await running { runner, clock in
            let (first, other, ledger) = (Way(), Way(), Ledger())
            async let outcome = runner.call(
                until: clock.now + .milliseconds(80), second: second(clock, other, ledger, isAdmitted: false)
            ) { try await first.go() }
            await first.untilBegun()
            try await advance(clock, by: .milliseconds(10))
            while ledger.asked.load(ordering: .relaxed) < 1 { await Task.yield() }
            first.tell(.success(1))
            guard case .value(1) = await outcome else {
                Issue.record("no value")
                return
            }
            #expect(ledger.won.load(ordering: .relaxed) == 0)
        }
    }

    /// Calls of every kind through a gate, with second ways of every kind: each has one outcome that its ways allow, and when the last way
    /// has ended no place of the bulkhead is taken.
    @Test(arguments: SeededGenerator.seeds(8))
    func eachCallHasOneOutcomeAndPermitsReturnToZero(seed: UInt64) async throws {
        try await running { runner, clock in
            var generator = SeededGenerator(seed: seed)
            let gate = DependencyGate("g", limit: 8, seed: seed, at: clock.now)
            let registry = MetricRegistry()
            let hedge = Hedge(share: 0.5, pipeline: "p", stage: "rows", registry, at: clock.now)
            for _ in 0..<32 { hedge.finished(after: .milliseconds(1)) }
            let callout = Callout(clock: clock.recommending, runner: runner, slow: .milliseconds(30))
            let plans: [Result<Int, Failed>?] = [
                .success(1), .success(1), .success(1), .failure(Failed(name: "")), nil,
            ]
            let ways = (0..<200).map { _ in
                let ways = [(Way(), generator.pick(plans)), (Way(), generator.pick(plans))]
                for case (let way, let plan?) in ways { way.tell(plan) }
                return ways
            }
            let pauses = (0..<200).map { _ in generator.below(4) }
            let ended = Ledger()
            await withTaskGroup(of: Bool.self) { tasks in
                for (ways, pause) in zip(ways, pauses) {
                    tasks.addTask {
                        let result = await callout.call(
                            gate, until: clock.now + .milliseconds(40), isFull: true, hedge: hedge,
                            again: { try await ways[1].0.go() }
                        ) { try await ways[0].0.go() }
                        ended.asked.add(1, ordering: .relaxed)
                        let values = ways.compactMap { $0.1.flatMap { try? $0.get() } }
                        switch result {
                        case .value: return !values.isEmpty
                        case .left(let reason): return ["late", "failed", "full", "breaker_open"].contains(reason)
                        }
                    }
                    clock.advance(by: .milliseconds(pause))
                    if pause > 1 { await Task.yield() }
                }
                while ended.asked.load(ordering: .relaxed) < 200 {
                    clock.advance(by: .milliseconds(1))
                    await Task.yield()
                }
                for await isRight in tasks { #expect(isRight) }
            }
            for way in ways.joined() { way.0.tell(.success(1)) }
            while gate.reading.inFlight > 0 { await Task.yield() }
            let sent = registry.counter(.recommendHedges, ["p", "rows", "sent"]).value
            let won = registry.counter(.recommendHedges, ["p", "rows", "won"]).value
            #expect(won <= sent)
        }
    }

    @Test func atTheDeadlineBothAreLate() async throws {
        try await running { runner, clock in
            let (first, other, ledger) = (Way(), Way(), Ledger())
            async let outcome = runner.call(
                until: clock.now + .milliseconds(80), second: second(clock, other, ledger)
            ) { try await first.go() }
            await first.untilBegun()
            try await advance(clock, by: .milliseconds(10))
            await other.untilBegun()
            try await advance(clock, by: .milliseconds(70), sleepers: 2)
            guard case .late = await outcome else {
                Issue.record("not late")
                return
            }
            first.tell(.success(1))
            other.tell(.success(2))
            #expect(ledger.won.load(ordering: .relaxed) == 0)
        }
    }
}
