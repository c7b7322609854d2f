import Recommend
import Testing
import TidemarkTesting

@Suite(.timeLimit(.minutes(1)))
struct CallRunnerTests {
    @Test func aCallThatNeverEndsHoldsNobodyButTheRunner() async throws {
        let clock = ManualClock()
        let runner = CallRunner(clock: clock.recommending)
        let (never, end) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .unbounded)
        let (begins, begin) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .unbounded)
        await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await runner.run() }
            await runner.untilRunning()
            tasks.addTask {
                for await _ in begins { clock.advance(by: .milliseconds(10)) }
            }
            let outcome = await runner.call(until: clock.now + .milliseconds(10)) {
                begin.yield()
                // Looks at no cancellation.
                await withCheckedContinuation { waiting in
                    Task {
                        for await _ in never {}
                        waiting.resume()
                    }
                }
            }
            guard case .late = outcome else {
                Issue.record("\(outcome)")
                return
            }
            end.finish()
            begin.finish()
            tasks.cancelAll()
        }
    }

    @Test func valuesAndFailuresComeBack() async throws {
        struct Failed: Error {}
        let runner = CallRunner()
        await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await runner.run() }
            await runner.untilRunning()
            for number in 0..<200 {
                guard case .value(number) = await runner.call(until: .now + .seconds(60), { number }) else {
                    Issue.record("no value")
                    return
                }
            }
            guard case .failure = await runner.call(until: .now + .seconds(60), { throw Failed() }) else {
                Issue.record("no failure")
                return
            }
            tasks.cancelAll()
        }
    }

    @Test func beforeAndAfterItRunsCallsAreRefused() async throws {
        let runner = CallRunner()
        guard case .refused = await runner.call(until: .now + .seconds(60), { 1 }) else {
            Issue.record("it was not running")
            return
        }
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await runner.run() }
            await runner.untilRunning()
            tasks.cancelAll()
            try await tasks.waitForAll()
        }
        guard case .refused = await runner.call(until: .now + .seconds(60), { 1 }) else {
            Issue.record("it has ended")
            return
        }
    }

    /// Calls of many tasks while the runner is stopped under them: each gets exactly one outcome.
    @Test(arguments: SeededGenerator.seeds(8))
    func whoeverAsksWhileItEndsIsAnswered(seed: UInt64) async throws {
        var generator = SeededGenerator(seed: seed)
        let stopAfter = generator.below(200)
        let runner = CallRunner()
        await withTaskGroup(of: Int.self) { tasks in
            let running = Task { try await runner.run() }
            await runner.untilRunning()
            for number in 0..<400 {
                tasks.addTask {
                    if number == stopAfter { running.cancel() }
                    switch await runner.call(until: .now + .seconds(60), { number }) {
                    // Late is what was under way when the runner ended.
                    case .value, .refused, .late: return 1
                    case .failure: return 0
                    }
                }
            }
            var answers = 0
            for await answer in tasks { answers += answer }
            #expect(answers == 400)
            _ = try? await running.value
        }
    }
}
