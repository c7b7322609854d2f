/// Time as the engine sees it, so that tests can hold the hands of the clock.
package struct SyncTime: Sendable {
    /// Microseconds since 1970.
    package let wall: @Sendable () -> Int64
    /// For durations, deadlines and leases; never goes back.
    package let now: @Sendable () -> ContinuousClock.Instant
    /// Waits; throws `CancellationError` when cancelled.
    package let sleep: @Sendable (Duration) async throws -> Void
    /// Uniform in `0..<1`, for jitter.
    package let random: @Sendable () -> Double

    package init(
        wall: @escaping @Sendable () -> Int64, now: @escaping @Sendable () -> ContinuousClock.Instant,
        sleep: @escaping @Sendable (Duration) async throws -> Void, random: @escaping @Sendable () -> Double
    ) {
        self.wall = wall
        self.now = now
        self.sleep = sleep
        self.random = random
    }
}
