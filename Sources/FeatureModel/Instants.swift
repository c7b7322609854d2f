/// Points in time as the house carries them between modules: microseconds since 1970-01-01T00:00:00Z, never `Double`.
package enum Timestamps {
    /// The range that definitions, sources and rows accept: years 1 to 9999.
    package static let range: ClosedRange<Int64> = -62_135_596_800_000_000...253_402_300_799_999_999

    /// Parses RFC 3339 text, and its relaxed forms that databases print: a blank for `T`, a date alone, no offset (UTC),
    /// an offset without minutes, up to nine fraction digits of which six count.
    ///
    /// - Returns: Microseconds since 1970, or `nil` when the text is none of these.
    package static func parse(_ text: String) -> Int64? {
        var cursor = Cursor(bytes: Array(text.utf8))
        guard let year = cursor.number(digits: 4), cursor.take("-"), let month = cursor.number(digits: 2),
            cursor.take("-"), let day = cursor.number(digits: 2), year >= 1, (1...12).contains(month), day >= 1,
            day <= daysInMonth(year: year, month: month)
        else { return nil }
        let days = daysSinceEpoch(year: year, month: month, day: day)
        if cursor.isAtEnd { return days * 86_400_000_000 }
        guard cursor.take("T") || cursor.take("t") || cursor.take(" "), let hour = cursor.number(digits: 2), hour < 24,
            cursor.take(":"), let minute = cursor.number(digits: 2), minute < 60
        else { return nil }
        var second: Int64 = 0
        var micros: Int64 = 0
        if cursor.take(":") {
            guard let parsed = cursor.number(digits: 2), parsed <= 60 else { return nil }
            second = parsed
            if cursor.take(".") {
                guard let fraction = cursor.fraction() else { return nil }
                micros = fraction
            }
        }
        guard let offset = cursor.offsetSeconds(), cursor.isAtEnd else { return nil }
        let seconds = days * 86_400 + hour * 3_600 + minute * 60 + second - offset
        let result = seconds * 1_000_000 + micros
        return range.contains(result) ? result : nil
    }

    /// Formats as RFC 3339 in UTC, with as many fraction digits (0, 3 or 6) as the value needs.
    package static func format(_ microseconds: Int64) -> String {
        let (days, inDay) = floorDivide(microseconds, 86_400_000_000)
        let (year, month, day) = civil(daysSinceEpoch: days)
        let second = inDay / 1_000_000
        let fraction = inDay % 1_000_000
        var text = "\(pad(year, 4))-\(pad(month, 2))-\(pad(day, 2))T"
        text += "\(pad(second / 3_600, 2)):\(pad(second / 60 % 60, 2)):\(pad(second % 60, 2))"
        if fraction % 1_000 != 0 {
            text += ".\(pad(fraction, 6))"
        } else if fraction != 0 {
            text += ".\(pad(fraction / 1_000, 3))"
        }
        return text + "Z"
    }

    private static func pad(_ number: Int64, _ width: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }

    private static func floorDivide(_ value: Int64, _ divisor: Int64) -> (quotient: Int64, remainder: Int64) {
        let remainder = value % divisor
        return remainder < 0 ? (value / divisor - 1, remainder + divisor) : (value / divisor, remainder)
    }

    private static func daysInMonth(year: Int64, month: Int64) -> Int64 {
        switch month {
        case 4, 6, 9, 11: 30
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        default: 31
        }
    }

    /// Days of the proleptic Gregorian calendar (Hinnant, "chrono-Compatible Low-Level Date Algorithms").
    private static func daysSinceEpoch(year: Int64, month: Int64, day: Int64) -> Int64 {
        let shifted = month <= 2 ? year - 1 : year
        let era = floorDivide(shifted, 400).quotient
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146_097 + dayOfEra - 719_468
    }

    private static func civil(daysSinceEpoch days: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let (era, dayOfEra) = floorDivide(days + 719_468, 146_097)
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shifted = (5 * dayOfYear + 2) / 153
        let month = shifted < 10 ? shifted + 3 : shifted - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * shifted + 2) / 5 + 1)
    }

    private struct Cursor {
        let bytes: [UInt8]
        var index = 0

        init(bytes: [UInt8]) {
            self.bytes = bytes
        }

        var isAtEnd: Bool { index == bytes.count }

        mutating func take(_ character: Unicode.Scalar) -> Bool {
            guard index < bytes.count, bytes[index] == UInt8(ascii: character) else { return false }
            index += 1
            return true
        }

        mutating func number(digits: Int) -> Int64? {
            guard index + digits <= bytes.count else { return nil }
            var value: Int64 = 0
            for byte in bytes[index..<index + digits] {
                guard (48...57).contains(byte) else { return nil }
                value = value * 10 + Int64(byte - 48)
            }
            index += digits
            return value
        }

        mutating func fraction() -> Int64? {
            var value: Int64 = 0
            var digits = 0
            while index < bytes.count, (48...57).contains(bytes[index]) {
                if digits < 6 { value = value * 10 + Int64(bytes[index] - 48) }
                digits += 1
                index += 1
            }
            guard (1...9).contains(digits) else { return nil }
            for _ in 0..<max(0, 6 - digits) { value *= 10 }
            return value
        }

        mutating func offsetSeconds() -> Int64? {
            if isAtEnd || take("Z") || take("z") { return 0 }
            let sign: Int64
            if take("+") { sign = 1 } else if take("-") { sign = -1 } else { return nil }
            guard let hours = number(digits: 2), hours < 24 else { return nil }
            if isAtEnd { return sign * hours * 3_600 }
            _ = take(":")
            guard let minutes = number(digits: 2), minutes < 60 else { return nil }
            return sign * (hours * 3_600 + minutes * 60)
        }
    }
}

extension Duration {
    /// Parses the spelling of config and definitions: a number and a unit of `us ms s m h d w`, as in `50ms` or `1.5h`.
    ///
    /// - Returns: `nil` for anything else, for negative values, and beyond 100 years.
    package init?(spelling: String) {
        let units: [(String, Int64)] = [
            ("us", 1), ("ms", 1_000), ("s", 1_000_000), ("m", 60_000_000), ("h", 3_600_000_000),
            ("d", 86_400_000_000), ("w", 604_800_000_000),
        ]
        let number = spelling.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
        guard let unit = units.first(where: { $0.0 == spelling.dropFirst(number.count) }), let value = Double(number),
            value.isFinite, value >= 0, value * Double(unit.1) <= 3.2e15
        else { return nil }
        self = .microseconds(Int64((value * Double(unit.1)).rounded()))
    }

    /// Whole microseconds, rounded towards zero.
    package var wholeMicroseconds: Int64 {
        let (seconds, attoseconds) = components
        return seconds * 1_000_000 + attoseconds / 1_000_000_000_000
    }

    /// Whole milliseconds, rounded towards zero.
    package var wholeMilliseconds: Int64 { wholeMicroseconds / 1_000 }

    /// Seconds, for metrics and arithmetic that is shown to people.
    package var inSeconds: Double { Double(wholeMicroseconds) / 1_000_000 }

    /// The shortest exact spelling in one unit, as in `90s` or `7d`.
    package var spelling: String {
        let micros = wholeMicroseconds
        let units: [(String, Int64)] = [
            ("d", 86_400_000_000), ("h", 3_600_000_000), ("m", 60_000_000), ("s", 1_000_000), ("ms", 1_000),
        ]
        for (name, size) in units where micros != 0 && micros % size == 0 { return "\(micros / size)\(name)" }
        return micros == 0 ? "0s" : "\(micros)us"
    }
}
