internal import Glibc

/// Runs work on a thread of its own. For what blocks: on Swift's pool it would hold up every other test.
func startThread(_ work: @escaping @Sendable () -> Void) throws {
    var thread = pthread_t()
    let argument = unsafe Unmanaged.passRetained(ThreadWork(work)).toOpaque()
    let status = unsafe pthread_create(&thread, nil, runThread, argument)
    guard status == 0 else {
        // The thread would have released it.
        unsafe Unmanaged<ThreadWork>.fromOpaque(argument).release()
        throw RedisServer.Failure(text: "no thread: errno \(status)")
    }
    pthread_detach(thread)
}

/// Runs work on a thread of its own and waits for its result.
func onOwnThread<Result: Sendable>(_ work: @escaping @Sendable () throws -> Result) async throws -> Result {
    try await withCheckedThrowingContinuation { continuation in
        do {
            try startThread { continuation.resume(with: Swift.Result { try work() }) }
        } catch {
            continuation.resume(throwing: error)
        }
    }
}

private final class ThreadWork: Sendable {
    let run: @Sendable () -> Void

    init(_ run: @escaping @Sendable () -> Void) {
        self.run = run
    }
}

private func runThread(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let argument = unsafe argument else { return nil }
    unsafe Unmanaged<ThreadWork>.fromOpaque(argument).takeRetainedValue().run()
    return nil
}
