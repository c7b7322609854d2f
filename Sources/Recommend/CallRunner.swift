import ServiceLifecycle
import Synchronization

/// Runs calls of dependencies for requests that don't wait for them beyond a deadline.
///
/// A request may not await a call itself: one that ignores its cancellation would hold it for ever. So the calls are children
/// of this service, and the request waits for whichever comes first, the call's end or the deadline. What is late is
/// cancelled and goes on as this service's child until it ends; gates bound how many there can be.
///
/// Runs until graceful shutdown; place it before what makes calls, so that it ends after it. Before and after, calls are refused.
package final class CallRunner: Service {
    /// What came of a call, as far as its caller waited.
    package enum Outcome<Value: Sendable>: Sendable {
        case value(Value)
        case failure(any Error)
        case late
        /// The service doesn't run; the call was not made.
        case refused
    }

    private struct Job: Sendable {
        let deadline: ContinuousClock.Instant
        let work: @Sendable () async -> Void
        let late: @Sendable () -> Void
        let refuse: @Sendable () -> Void
    }

    private struct State {
        var isRunning = false
        var jobs: [Job] = []
    }

    private let clock: RecommendClock
    private let state = Mutex(State())
    private let wakes: AsyncStream<Void>
    private let wake: AsyncStream<Void>.Continuation
    private let begun = Mutex<[CheckedContinuation<Void, Never>]>([])

    package init(clock: RecommendClock = .real) {
        self.clock = clock
        (wakes, wake) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    }

    /// Takes calls until graceful shutdown or cancellation; then cancels those under way and waits for them.
    package func run() async throws {
        await cancelWhenGracefulShutdown { await self.serve() }
    }

    private func serve() async {
        state.withLock { $0.isRunning = true }
        for waiter in begun.withLock({ take(&$0) }) { waiter.resume() }
        await withDiscardingTaskGroup { group in
            for await _ in wakes {
                for job in takeJobs() { group.addTask { await self.run(job) } }
            }
            for job in stop() { job.refuse() }
            group.cancelAll()
        }
    }

    private func take<Element>(_ list: inout [Element]) -> [Element] {
        let all = list
        list = []
        return all
    }

    private func takeJobs() -> [Job] {
        state.withLock { take(&$0.jobs) }
    }

    private func stop() -> [Job] {
        state.withLock { state in
            state.isRunning = false
            return take(&state.jobs)
        }
    }

    /// Returns when calls are taken.
    package func untilRunning() async {
        await withCheckedContinuation { waiter in
            let isRunning = begun.withLock { waiters in
                if state.withLock({ $0.isRunning }) { return true }
                waiters.append(waiter)
                return false
            }
            if isRunning { waiter.resume() }
        }
    }

    private func run(_ job: Job) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await job.work() }
            group.addTask { [clock] in
                // Cancelled when the work is done; then it settles nothing, as the work has.
                try? await clock.sleep(job.deadline)
                job.late()
            }
            await group.next()
            group.cancelAll()
        }
    }

    /// Makes a call, and returns with what came of it at the deadline at the latest.
    package func call<Value: Sendable>(
        until deadline: ContinuousClock.Instant, _ work: @escaping @Sendable () async throws -> Value
    ) async -> Outcome<Value> {
        await withCheckedContinuation { continuation in
            let race = Race(continuation)
            let job = Job(
                deadline: deadline,
                work: {
                    do { race.settle(.value(try await work())) } catch { race.settle(.failure(error)) }
                },
                late: { race.settle(.late) }, refuse: { race.settle(.refused) })
            let isTaken = state.withLock { state in
                guard state.isRunning else { return false }
                state.jobs.append(job)
                return true
            }
            if isTaken { wake.yield() } else { job.refuse() }
        }
    }
}

/// Resumes a continuation with what comes first.
private final class Race<Value: Sendable>: Sendable {
    private let waiting: Mutex<CheckedContinuation<CallRunner.Outcome<Value>, Never>?>

    init(_ continuation: CheckedContinuation<CallRunner.Outcome<Value>, Never>) {
        waiting = Mutex(continuation)
    }

    func settle(_ outcome: CallRunner.Outcome<Value>) {
        let continuation = waiting.withLock { waiting in
            defer { waiting = nil }
            return waiting
        }
        continuation?.resume(returning: outcome)
    }
}
