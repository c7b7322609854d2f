import Synchronization

/// A clock that stands still until a test moves it. Free to share.
///
/// Its instants are those of `ContinuousClock`, so that code under test need not be generic over clocks. Sleepers are
/// resumed by `advance`, the earliest deadline first and, of equal deadlines, the one that slept first; a cancelled
/// sleeper throws `CancellationError` at once.
package final class ManualClock: Clock, Sendable {
    package typealias Instant = ContinuousClock.Instant
    package typealias Duration = Swift.Duration

    private struct Sleeper {
        let deadline: Instant
        let number: UInt64
        let continuation: CheckedContinuation<Void, any Error>
    }

    private struct Watcher {
        let count: Int
        let number: UInt64
        let continuation: CheckedContinuation<Void, any Error>
    }

    /// What a new sleeper gets at once, if anything, and the watchers that waited for it.
    private typealias Beginning = (Result<Void, any Error>?, [CheckedContinuation<Void, any Error>])

    private struct State {
        var now: Instant
        var lastNumber: UInt64 = 0
        /// Sorted by deadline and number.
        var sleepers: [Sleeper] = []
        var watchers: [Watcher] = []

        mutating func nextNumber() -> UInt64 {
            lastNumber += 1
            return lastNumber
        }

        mutating func add(_ sleeper: Sleeper) {
            let place = sleepers.firstIndex { $0.deadline > sleeper.deadline } ?? sleepers.endIndex
            sleepers.insert(sleeper, at: place)
        }

        /// Takes out the watchers that have seen enough sleepers.
        mutating func takeSatisfiedWatchers() -> [CheckedContinuation<Void, any Error>] {
            let satisfied = watchers.filter { $0.count <= sleepers.count }
            watchers.removeAll { $0.count <= sleepers.count }
            return satisfied.map(\.continuation)
        }
    }

    private let state: Mutex<State>

    /// Starts at any instant; by default at the real clock's.
    package init(now: Instant = .now) {
        state = Mutex(State(now: now))
    }

    package var now: Instant { state.withLock { $0.now } }

    package var minimumResolution: Duration { .nanoseconds(1) }

    /// How many tasks sleep now.
    package var sleeperCount: Int { state.withLock { $0.sleepers.count } }

    /// Moves the clock forward and resumes every sleeper whose deadline has come. `duration` is not negative.
    package func advance(by duration: Duration) {
        precondition(duration >= .zero, "a clock does not go backwards")
        let due = state.withLock { state in
            state.now = state.now.advanced(by: duration)
            let end = state.sleepers.firstIndex { $0.deadline > state.now } ?? state.sleepers.endIndex
            let due = Array(state.sleepers[..<end])
            state.sleepers.removeSubrange(..<end)
            return due
        }
        for sleeper in due { sleeper.continuation.resume() }
    }

    package func sleep(until deadline: Instant, tolerance: Duration? = nil) async throws {
        let number = state.withLock { $0.nextNumber() }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                begin(Sleeper(deadline: deadline, number: number, continuation: continuation))
            }
        } onCancel: {
            let sleeper = state.withLock { state in
                state.sleepers.firstIndex { $0.number == number }.map { state.sleepers.remove(at: $0) }
            }
            sleeper?.continuation.resume(throwing: CancellationError())
        }
    }

    /// Waits until at least `count` tasks sleep, so that a test never moves the clock before they do.
    package func waitForSleepers(_ count: Int) async throws {
        let number = state.withLock { $0.nextNumber() }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                begin(Watcher(count: count, number: number, continuation: continuation))
            }
        } onCancel: {
            let watcher = state.withLock { state in
                state.watchers.firstIndex { $0.number == number }.map { state.watchers.remove(at: $0) }
            }
            watcher?.continuation.resume(throwing: CancellationError())
        }
    }

    // A task's flag is set before its cancellation handler runs. So whoever finds the flag unset under the lock is in
    // the list before the handler looks there.

    private func begin(_ sleeper: Sleeper) {
        let (outcome, watchers) = state.withLock { state -> Beginning in
            if Task.isCancelled { return (.failure(CancellationError()), []) }
            if sleeper.deadline <= state.now { return (.success(()), []) }
            state.add(sleeper)
            return (nil, state.takeSatisfiedWatchers())
        }
        if let outcome { sleeper.continuation.resume(with: outcome) }
        for watcher in watchers { watcher.resume() }
    }

    private func begin(_ watcher: Watcher) {
        let outcome = state.withLock { state -> Result<Void, any Error>? in
            if Task.isCancelled { return .failure(CancellationError()) }
            if watcher.count <= state.sleepers.count { return .success(()) }
            state.watchers.append(watcher)
            return nil
        }
        if let outcome { watcher.continuation.resume(with: outcome) }
    }
}
