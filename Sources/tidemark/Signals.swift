import UnixSignals

/// Ends work that runs until it is done or until somebody asks the process to stop.
enum Signals {
    /// Runs work that SIGTERM and SIGINT cancel: whatever it leaves half-way then must be safe to leave.
    ///
    /// - Throws: `CancellationError` after a signal, when the work has ended.
    static func stopping<Result: Sendable>(
        _ work: @escaping @Sendable () async throws -> Result
    ) async throws -> Result {
        try await withThrowingTaskGroup(of: Result?.self) { group in
            group.addTask { try await work() }
            group.addTask {
                for await _ in await UnixSignalsSequence(trapping: .sigterm, .sigint) { return nil }
                return nil
            }
            guard let first = try await group.next(), let result = first else {
                group.cancelAll()
                // The first word of the cancelled work is awaited, so that what it holds is given back.
                _ = try? await group.next()
                throw CancellationError()
            }
            group.cancelAll()
            return result
        }
    }
}
