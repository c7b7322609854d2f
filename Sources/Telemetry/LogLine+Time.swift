import Glibc

extension LogLine {
    /// Milliseconds since 1970 by the system's clock.
    static func now() -> Int64 {
        var time = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1_000 + Int64(time.tv_nsec) / 1_000_000
    }

    /// RFC 3339 in UTC with three fraction digits, whatever the locale and time zone of the process.
    static func timestamp(_ milliseconds: Int64) -> String {
        let fraction = (milliseconds % 1_000 + 1_000) % 1_000
        var seconds = time_t((milliseconds - fraction) / 1_000)
        // `tm` has a pointer to the zone's name, which is not looked at.
        var parts = unsafe tm()
        guard unsafe gmtime_r(&seconds, &parts) != nil else { return "1970-01-01T00:00:00.000Z" }
        let date = unsafe [(parts.tm_year + 1_900, 4), (parts.tm_mon + 1, 2), (parts.tm_mday, 2)]
        let time = unsafe [(parts.tm_hour, 2), (parts.tm_min, 2), (parts.tm_sec, 2)]
        let joined = (date.map(pad).joined(separator: "-"), time.map(pad).joined(separator: ":"))
        return "\(joined.0)T\(joined.1).\(pad(Int32(fraction), 3))Z"
    }

    private static func pad(_ number: Int32, _ width: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
    }
}
