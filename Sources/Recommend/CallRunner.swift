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

    /// Another way to the same value, for when the first takes long.
    package struct Second<Value: Sendable>: Sendable {
        /// When it makes sense, before the deadline.
        let at: ContinuousClock.Instant
        /// Asked then, if there is no value yet; `work` follows at once where it says `true`.
        let admit: @Sendable () -> Bool
        let work: @Sendable () async throws -> Value
        /// Its value was the first.
        let won: @Sendable () -> Void
    }

    private struct Job: Sendable {
        let deadline: ContinuousClock.Instant
        /// What to do at an instant before the deadline, if the work isn't done by then.
        var meanwhile: (at: ContinuousClock.Instant, begin: @Sendable () -> Void)?
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
        await withTaskGroup(of: Bool.self) { group in
            group.addTask {
                await job.work()
                return true
            }
            group.addTask { [clock] in
                if let meanwhile = job.meanwhile {
                    guard (try? await clock.sleep(meanwhile.at)) != nil else { return false }
                    meanwhile.begin()
                }
                try? await clock.sleep(job.deadline)
                return false
            }
            // The sleep ends at the deadline, or because the service ends. Work that ended first may have failed while a second
            // call is out: then nothing is late yet.
            if await group.next() == false { job.late() }
            group.cancelAll()
        }
    }

    /// Makes a call, and returns with what came of it at the deadline at the latest: the first value of `work` and `second`, or a
    /// failure when none is out any more. Whichever loses goes on by itself until its end or the deadline.
    package func call<Value: Sendable>(
        until deadline: ContinuousClock.Instant, second: Second<Value>? = nil,
        _ work: @escaping @Sendable () async throws -> Value
    ) async -> Outcome<Value> {
        await withCheckedContinuation { continuation in
            let race = Race(continuation)
            var job = Job(
                deadline: deadline,
                work: {
                    do { _ = race.settle(.value(try await work())) } catch { race.failed(error) }
                },
                late: { _ = race.settle(.late) }, refuse: { _ = race.settle(.refused) })
            if let second {
                job.meanwhile = (second.at, { [self] in add(Self.job(second, race, until: deadline)) })
            }
            add(job)
        }
    }

    private static func job<Value: Sendable>(
        _ second: Second<Value>, _ race: Race<Value>, until deadline: ContinuousClock.Instant
    ) -> Job {
        Job(
            deadline: deadline,
            work: {
                guard race.join() else { return }
                guard second.admit() else { return race.failed(nil) }
                do {
                    if race.settle(.value(try await second.work())) { second.won() }
                } catch {
                    race.failed(error)
                }
            }, late: { _ = race.settle(.late) }, refuse: {})
    }

    private func add(_ job: Job) {
        let isTaken = state.withLock { state in
            guard state.isRunning else { return false }
            state.jobs.append(job)
            return true
        }
        if isTaken { wake.yield() } else { job.refuse() }
    }
}

/// Resumes a continuation with the first value of those who run, or with the first failure when all have failed.
private final class Race<Value: Sendable>: Sendable {
    private struct State {
        var waiting: CheckedContinuation<CallRunner.Outcome<Value>, Never>?
        var runners = 1
        var failure: (any Error)?
    }

    private let state: Mutex<State>

    init(_ continuation: CheckedContinuation<CallRunner.Outcome<Value>, Never>) {
        state = Mutex(State(waiting: continuation))
    }

    /// One more runs, unless it is over.
    func join() -> Bool {
        state.withLock { state in
            guard state.waiting != nil else { return false }
            state.runners += 1
            return true
        }
    }

    /// Ends it. `false`: it was over.
    func settle(_ outcome: CallRunner.Outcome<Value>) -> Bool {
        let waiting = state.withLock { state in
            defer { state.waiting = nil }
            return state.waiting
        }
        waiting?.resume(returning: outcome)
        return waiting != nil
    }

    /// One runs no more; `nil` for one that never did.
    func failed(_ error: (any Error)?) {
        let last = state.withLock { state -> (any Error)? in
            state.runners -= 1
            if state.failure == nil { state.failure = error }
            return state.runners == 0 ? state.failure : nil
        }
        if let last { _ = settle(.failure(last)) }
    }
}
