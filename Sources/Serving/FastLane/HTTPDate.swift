import Glibc

/// The value of a `Date` header, such as `Sun, 06 Nov 1994 08:49:37 GMT`: 29 bytes, made once a second.
struct HTTPDate {
    private static let days: [StaticString] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
    private static let months: [StaticString] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    let seconds: Int
    let bytes: [UInt8]

    /// `seconds` since 1970; before that counts as 1970.
    init(seconds: Int) {
        self.seconds = seconds
        let total = max(0, seconds)
        let (year, month, day) = Self.civil(total / 86_400)
        let clock = total % 86_400
        var text: [UInt8] = []
        text.reserveCapacity(29)
        Self.put(Self.days[total / 86_400 % 7], &text)
        text += [UInt8(ascii: ","), UInt8(ascii: " ")]
        Self.put(day, digits: 2, &text)
        text.append(UInt8(ascii: " "))
        Self.put(Self.months[month - 1], &text)
        text.append(UInt8(ascii: " "))
        Self.put(year, digits: 4, &text)
        text.append(UInt8(ascii: " "))
        Self.put(clock / 3_600, digits: 2, &text)
        text.append(UInt8(ascii: ":"))
        Self.put(clock / 60 % 60, digits: 2, &text)
        text.append(UInt8(ascii: ":"))
        Self.put(clock % 60, digits: 2, &text)
        Self.put(" GMT", &text)
        bytes = text
    }

    /// The date now.
    static var now: HTTPDate { HTTPDate(seconds: time(nil)) }

    /// Year, month and day of a number of days since 1970, by Howard Hinnant's `civil_from_days`.
    private static func civil(_ days: Int) -> (year: Int, month: Int, day: Int) {
        let shifted = days + 719_468
        let era = shifted / 146_097
        let ofEra = shifted - era * 146_097
        let yearOfEra = (ofEra - ofEra / 1_460 + ofEra / 36_524 - ofEra / 146_096) / 365
        let ofYear = ofEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * ofYear + 2) / 153
        let day = ofYear - (153 * shiftedMonth + 2) / 5 + 1
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day)
    }

    private static func put(_ text: StaticString, _ bytes: inout [UInt8]) {
        text.withUTF8Buffer { unsafe bytes.append(contentsOf: $0) }
    }

    private static func put(_ number: Int, digits: Int, _ bytes: inout [UInt8]) {
        var divisor = 1
        for _ in 1..<digits { divisor *= 10 }
        for _ in 0..<digits {
            bytes.append(UInt8(ascii: "0") + UInt8(number / divisor % 10))
            divisor /= 10
        }
    }
}
