import Glibc

/// Simulated time: milliseconds since 1970-01-01T00:00:00Z, as in the dump.
package enum ShopClock {
    static let minute: Int64 = 60_000
    static let hour: Int64 = 3_600_000
    static let day: Int64 = 86_400_000
    /// What the `_7d` columns look back on.
    package static let window: Int64 = 7 * day

    /// RFC 3339 in UTC with exactly three fraction digits, so that texts sort like times. From 1970 to 9999.
    package static func text(_ milliseconds: Int64) -> String {
        let (year, month, day) = civil(daysSinceEpoch: milliseconds / Self.day)
        let inDay = milliseconds % Self.day
        var bytes: [UInt8] = []
        bytes.reserveCapacity(24)
        append(year, 4, &bytes)
        bytes.append(UInt8(ascii: "-"))
        append(month, 2, &bytes)
        bytes.append(UInt8(ascii: "-"))
        append(day, 2, &bytes)
        bytes.append(UInt8(ascii: "T"))
        append(inDay / hour, 2, &bytes)
        bytes.append(UInt8(ascii: ":"))
        append(inDay / minute % 60, 2, &bytes)
        bytes.append(UInt8(ascii: ":"))
        append(inDay / 1_000 % 60, 2, &bytes)
        bytes.append(UInt8(ascii: "."))
        append(inDay % 1_000, 3, &bytes)
        bytes.append(UInt8(ascii: "Z"))
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The same text made by SQLite from an integer expression of milliseconds. Integers only: `%f` would round.
    static func sqlText(_ milliseconds: String) -> String {
        "(strftime('%Y-%m-%dT%H:%M:%S', (\(milliseconds)) / 1000, 'unixepoch')"
            + " || printf('.%03dZ', (\(milliseconds)) % 1000))"
    }

    /// The real time, in milliseconds. Only for refusing to simulate the future.
    package static func realNow() -> Int64 {
        var now = timespec()
        guard unsafe clock_gettime(CLOCK_REALTIME, &now) == 0 else { return 0 }
        return Int64(now.tv_sec) * 1_000 + Int64(now.tv_nsec) / 1_000_000
    }

    /// 0 is Monday.
    static func weekday(_ milliseconds: Int64) -> Int { Int((milliseconds / day + 3) % 7) }

    private static func append(_ number: Int64, _ width: Int, _ bytes: inout [UInt8]) {
        var divisor: Int64 = 1
        for _ in 1..<width { divisor *= 10 }
        while divisor > 0 {
            bytes.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: number / divisor % 10))
            divisor /= 10
        }
    }

    /// The proleptic Gregorian calendar (Hinnant, "chrono-Compatible Low-Level Date Algorithms"), days since 1970 >= 0.
    private static func civil(daysSinceEpoch days: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let era = (days + 719_468) / 146_097
        let dayOfEra = (days + 719_468) % 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shifted = (5 * dayOfYear + 2) / 153
        let month = shifted < 10 ? shifted + 3 : shifted - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * shifted + 2) / 5 + 1)
    }
}
