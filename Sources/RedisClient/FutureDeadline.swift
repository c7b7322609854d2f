internal import NIOCore
internal import Synchronization

/// Settles a promise once, whoever comes first.
private final class FirstComer<Value: Sendable>: Sendable {
    private let isSettled = Atomic<Bool>(false)
    private let promise: EventLoopPromise<Value>

    init(_ promise: EventLoopPromise<Value>) {
        self.promise = promise
    }

    func settle(_ result: Result<Value, any Error>) {
        if !isSettled.exchange(true, ordering: .acquiringAndReleasing) { promise.completeWith(result) }
    }
}

/// Waits for a shared future, but no longer than until `deadline` and not when cancelled. The future itself goes on.
func value<Value: Sendable>(
    of future: EventLoopFuture<Value>, by deadline: ContinuousClock.Instant
) async throws(RedisError) -> Value {
    let promise = future.eventLoop.makePromise(of: Value.self)
    let first = FirstComer(promise)
    let delay = TimeAmount(max(.zero, ContinuousClock.now.duration(to: deadline)))
    let timer = future.eventLoop.scheduleTask(in: delay) {
        first.settle(.failure(RedisError(.deadlineExceeded, "no connection in time")))
    }
    future.whenComplete { result in
        timer.cancel()
        first.settle(result)
    }
    do {
        return try await withTaskCancellationHandler {
            try await promise.futureResult.get()
        } onCancel: {
            first.settle(.failure(RedisError(.cancelled, "the waiting task was cancelled")))
        }
    } catch let error as RedisError {
        throw error
    } catch {
        throw RedisError(.connectionFailed, "no connection to the server", detail: "\(error)")
    }
}
