import Synchronization
import Testing
import TidemarkTesting

@Suite(.timeLimit(.minutes(1)))
struct ManualClockTests {
    let clock = ManualClock()

    @Test func timePassesOnlyByHandAndForwards() {
        let start = clock.now
        clock.advance(by: .seconds(3))
        #expect(start.duration(to: clock.now) == .seconds(3))
        #expect(clock.now > start)
        #expect(clock.now.duration(to: start) == .seconds(-3))
    }

    @Test func aClockDoesNotGoBackwards() async {
        await #expect(processExitsWith: .failure) {
            ManualClock().advance(by: .nanoseconds(-1))
        }
    }

    @Test func aSleeperWakesAtItsDeadlineAndNotBefore() async throws {
        let sleeper = Task { try await clock.sleep(for: .seconds(10)) }
        try await clock.waitForSleepers(1)
        clock.advance(by: .seconds(10) - .nanoseconds(1))
        #expect(clock.sleeperCount == 1)
        clock.advance(by: .nanoseconds(1))
        #expect(clock.sleeperCount == 0)
        try await sleeper.value
    }

    @Test func aDeadlineInThePastIsNoWait() async throws {
        try await clock.sleep(until: clock.now)
        try await clock.sleep(until: clock.now.advanced(by: .seconds(-1)))
    }

    /// On one actor, resumed tasks go on in the order in which they were resumed.
    @MainActor @Test func sleepersWakeInTheOrderOfTheirDeadlines() async throws {
        let woken = Mutex<[Int]>([])
        var tasks: [Task<Void, any Error>] = []
        for (index, seconds) in [5, 1, 3, 1, 5].enumerated() {
            tasks.append(
                Task { @MainActor in
                    try await clock.sleep(for: .seconds(seconds))
                    woken.withLock { $0.append(index) }
                })
            try await clock.waitForSleepers(index + 1)
        }
        clock.advance(by: .seconds(5))
        for task in tasks { try await task.value }
        #expect(woken.withLock { $0 } == [1, 3, 2, 0, 4])
    }

    @Test func aCancelledSleeperThrowsAndTheOthersSleepOn() async throws {
        let cancelled = Task { try await clock.sleep(for: .seconds(1)) }
        let other = Task { try await clock.sleep(for: .seconds(1)) }
        try await clock.waitForSleepers(2)
        cancelled.cancel()
        await #expect(throws: CancellationError.self) { try await cancelled.value }
        #expect(clock.sleeperCount == 1)
        clock.advance(by: .seconds(1))
        try await other.value
    }

    @Test func whoIsCancelledAlreadyDoesNotSleep() async throws {
        let task = Task {
            unsafe withUnsafeCurrentTask { unsafe $0?.cancel() }
            try await clock.sleep(for: .seconds(1))
        }
        await #expect(throws: CancellationError.self) { try await task.value }
        #expect(clock.sleeperCount == 0)
    }

    @Test func cancellationAndTimeMayRace() async throws {
        for _ in 0..<200 {
            let clock = ManualClock()
            let sleeper = Task { try await clock.sleep(for: .seconds(1)) }
            try await clock.waitForSleepers(1)
            async let cancelled: Void = sleeper.cancel()
            clock.advance(by: .seconds(1))
            await cancelled
            _ = await sleeper.result
            #expect(clock.sleeperCount == 0)
        }
    }

    @Test func aWatcherMayBeCancelled() async throws {
        let watcher = Task { try await clock.waitForSleepers(1) }
        watcher.cancel()
        await #expect(throws: CancellationError.self) { try await watcher.value }
        let sleeper = Task { try await clock.sleep(for: .seconds(1)) }
        try await clock.waitForSleepers(1)
        clock.advance(by: .seconds(1))
        try await sleeper.value
    }

    @Test func aSeedRepeatsItsNumbers() {
        var first = SeededGenerator(seed: 42)
        var second = SeededGenerator(seed: 42)
        var other = SeededGenerator(seed: 43)
        let numbers = (0..<10).map { _ in first.next() }
        #expect(numbers == (0..<10).map { _ in second.next() })
        #expect(numbers != (0..<10).map { _ in other.next() })
        // The published first output of SplitMix64 for seed 0.
        var zero = SeededGenerator(seed: 0)
        #expect(zero.next() == 0xe220_a839_7b1d_cdaf)
    }
}
