import Glibc

/// Time as a recommendation sees it, so that tests can hold the hands of the clock.
package struct RecommendClock: Sendable {
    /// For deadlines; never goes back.
    package let now: @Sendable () -> ContinuousClock.Instant
    /// Microseconds since 1970, for ages.
    package let wall: @Sendable () -> Int64
    /// Waits until an instant; throws `CancellationError` when cancelled.
    package let sleep: @Sendable (ContinuousClock.Instant) async throws -> Void

    package init(
        now: @escaping @Sendable () -> ContinuousClock.Instant, wall: @escaping @Sendable () -> Int64,
        sleep: @escaping @Sendable (ContinuousClock.Instant) async throws -> Void
    ) {
        self.now = now
        self.wall = wall
        self.sleep = sleep
    }

    /// The machine's clocks.
    package static let real = RecommendClock(
        now: { ContinuousClock.now }, wall: { Self.microseconds() },
        sleep: { try await Task.sleep(until: $0, tolerance: .zero, clock: .continuous) })

    private static func microseconds() -> Int64 {
        var time = timespec()
        _ = unsafe clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1_000
    }
}
