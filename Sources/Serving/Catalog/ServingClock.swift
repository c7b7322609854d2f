import Glibc

/// The time of day.
package enum WallClock {
    /// Microseconds since 1970.
    package static var microseconds: Int64 {
        var time = timespec()
        _ = unsafe clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1_000
    }
}

/// Time as the daemon's services see it, so that tests can hold the hands of the clock.
package struct ServingClock: Sendable {
    /// For ages, deadlines and intervals; never goes back.
    package let now: @Sendable () -> ContinuousClock.Instant
    /// Waits; throws `CancellationError` when cancelled.
    package let sleep: @Sendable (Duration) async throws -> Void
    /// Uniform in `0..<1`, for jitter.
    package let random: @Sendable () -> Double

    package init(
        now: @escaping @Sendable () -> ContinuousClock.Instant,
        sleep: @escaping @Sendable (Duration) async throws -> Void, random: @escaping @Sendable () -> Double
    ) {
        self.now = now
        self.sleep = sleep
        self.random = random
    }

    /// The machine's clock.
    package static let real = ServingClock(
        now: { ContinuousClock.now }, sleep: { try await Task.sleep(for: $0) }, random: { .random(in: 0..<1) })
}
