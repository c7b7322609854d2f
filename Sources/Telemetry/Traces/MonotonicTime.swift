import Glibc

/// The clock that NIO's deadlines are of: CLOCK_MONOTONIC, in nanoseconds.
package enum MonotonicTime {
    /// Its time.
    package static func now() -> UInt64 { read(CLOCK_MONOTONIC) }

    /// Nanoseconds to add to this clock for those since 1970.
    static func untilWall() -> UInt64 { read(CLOCK_REALTIME) &- now() }

    private static func read(_ clock: clockid_t) -> UInt64 {
        var time = timespec()
        _ = unsafe clock_gettime(clock, &time)
        return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
    }
}
