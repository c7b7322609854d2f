import FeatureModel
import RowCodec

/// Writes JSON, and commands for Redis, into memory that its owner has made large enough. `JSONBound` tells how large that is.
///
/// Safe to use only with room: nothing is checked here but by assertions, which the tests run with.
@safe struct JSONWriter {
    private(set) var at: UnsafeMutablePointer<UInt8>
    private let end: UnsafeMutablePointer<UInt8>

    /// Writes into a buffer that outlives the cursor.
    @inline(__always)
    init(_ buffer: UnsafeMutableRawBufferPointer) {
        let bytes = unsafe buffer.bindMemory(to: UInt8.self)
        // A buffer without a base has no room; nothing is written then.
        unsafe at = bytes.baseAddress ?? UnsafeMutablePointer(bitPattern: 1).unsafelyUnwrapped
        unsafe end = at + bytes.count
    }

    @inline(__always)
    private func assertRoom(_ count: Int) {
        assert(unsafe end - at >= count, "a bound of JSON text was too low")
    }

    /// How many bytes stand between `start` and here.
    @inline(__always)
    func count(from start: UnsafeMutableRawBufferPointer) -> Int {
        unsafe UnsafeRawPointer(at) - UnsafeRawPointer(start.baseAddress ?? UnsafeMutableRawPointer(at))
    }

    @inline(__always)
    mutating func byte(_ byte: UInt8) {
        assertRoom(1)
        unsafe at[0] = byte
        unsafe at += 1
    }

    /// How many bytes stand between where an earlier cursor of the same memory was and here.
    @inline(__always)
    func count(from earlier: JSONWriter) -> Int { unsafe at - earlier.at }

    /// Takes back the comma behind the last element of a list.
    @inline(__always)
    mutating func dropComma() { unsafe at -= 1 }

    /// Ends a list whose last element has a comma behind it: a bracket in place of the comma.
    @inline(__always)
    mutating func endList() { unsafe at[-1] = UInt8(ascii: "]") }

    /// Ends a list that may have no element, and so no comma.
    @inline(__always)
    mutating func endList(isEmpty: Bool) {
        if isEmpty { byte(UInt8(ascii: "]")) } else { endList() }
    }

    @inline(__always)
    mutating func raw(_ bytes: UnsafeRawBufferPointer) {
        assertRoom(bytes.count)
        guard let base = bytes.baseAddress else { return }
        unsafe UnsafeMutableRawPointer(at).copyMemory(from: base, byteCount: bytes.count)
        unsafe at += bytes.count
    }

    @inline(__always)
    mutating func raw(_ bytes: [UInt8]) {
        unsafe bytes.withUnsafeBytes { unsafe raw($0) }
    }

    @inline(__always)
    mutating func raw(_ text: StaticString) {
        assertRoom(text.utf8CodeUnitCount)
        unsafe UnsafeMutableRawPointer(at).copyMemory(from: text.utf8Start, byteCount: text.utf8CodeUnitCount)
        unsafe at += text.utf8CodeUnitCount
    }

    @inline(__always)
    mutating func integer(_ number: Int64) {
        assertRoom(NumberText.integerBytes)
        unsafe at = NumberText.write(number, at)
    }

    @inline(__always)
    mutating func decimal(_ word: ValueWord) {
        let (magnitude, scale, isNegative) = word.decimal
        // Up to 15 digits without a zero at the end are the shortest text of their double: no two of them share one.
        guard magnitude < 1_000_000_000_000_000, scale == 0 || magnitude % 10 != 0 else {
            return double(word.decimalDouble)
        }
        assertRoom(NumberText.doubleBytes)
        unsafe at = NumberText.write(digits: magnitude, exponent: -scale, isNegative: isNegative, at)
    }

    /// The shortest text that is this double; numbers that JSON lacks as strings.
    mutating func double(_ number: Double) {
        assertRoom(NumberText.doubleBytes)
        guard number.isFinite, number != 0 else { return special(number) }
        let shortest = ShortestDecimal(number)
        unsafe at = NumberText.write(
            digits: shortest.digits, exponent: shortest.exponent, isNegative: number < 0, at)
    }

    /// The shortest text that is this float.
    mutating func float(_ number: Float) {
        assertRoom(NumberText.doubleBytes)
        guard number.isFinite, number != 0 else { return special(Double(number)) }
        let shortest = ShortestDecimal(number)
        unsafe at = NumberText.write(
            digits: shortest.digits, exponent: shortest.exponent, isNegative: number < 0, at)
    }

    private mutating func special(_ number: Double) {
        if number == 0 {
            raw(number.sign == .minus ? "-0.0" : "0.0")
        } else if number.isNaN {
            raw("\"NaN\"")
        } else {
            raw(number < 0 ? "\"-Infinity\"" : "\"Infinity\"")
        }
    }

    /// A quoted text of UTF-8; `isPlain` where it needs no escape.
    @inline(__always)
    mutating func string(_ text: UnsafeRawBufferPointer, isPlain: Bool) {
        byte(UInt8(ascii: "\""))
        if isPlain { unsafe raw(text) } else { unsafe escaped(text) }
        byte(UInt8(ascii: "\""))
    }

    private mutating func escaped(_ text: UnsafeRawBufferPointer) {
        assertRoom(text.count)
        for index in text.indices {
            let character = unsafe text[index]
            if character >= 0x20, character != 0x22, character != 0x5c { byte(character) } else { escape(character) }
        }
    }

    private mutating func escape(_ character: UInt8) {
        byte(UInt8(ascii: "\\"))
        switch character {
        case 0x22, 0x5c: byte(character)
        case 0x0a: byte(UInt8(ascii: "n"))
        case 0x0d: byte(UInt8(ascii: "r"))
        case 0x09: byte(UInt8(ascii: "t"))
        default:
            raw("u00")
            byte(48 + character >> 4)
            let digit = character & 15
            byte(digit < 10 ? 48 + digit : 87 + digit)
        }
    }

    /// Quoted Base64 with padding.
    mutating func base64(_ bytes: UnsafeRawBufferPointer) {
        byte(UInt8(ascii: "\""))
        var index = 0
        while index + 3 <= bytes.count {
            let bits = unsafe UInt32(bytes[index]) << 16 | UInt32(bytes[index + 1]) << 8 | UInt32(bytes[index + 2])
            for shift: UInt32 in [18, 12, 6, 0] { byte(Base64.symbol(bits >> shift)) }
            index += 3
        }
        if index < bytes.count {
            let hasTwo = index + 2 == bytes.count
            let bits = unsafe UInt32(bytes[index]) << 16 | (hasTwo ? UInt32(bytes[index + 1]) << 8 : 0)
            byte(Base64.symbol(bits >> 18))
            byte(Base64.symbol(bits >> 12))
            byte(hasTwo ? Base64.symbol(bits >> 6) : UInt8(ascii: "="))
            byte(UInt8(ascii: "="))
        }
        byte(UInt8(ascii: "\""))
    }

    /// A quoted point in time in RFC 3339, with 0, 3 or 6 decimals by need; `microseconds` since 1970.
    mutating func timestamp(_ microseconds: Int64) {
        assertRoom(JSONBound.timestamp)
        byte(UInt8(ascii: "\""))
        if Timestamps.range.contains(microseconds) {
            inRange(microseconds)
        } else {
            for character in Timestamps.format(microseconds).utf8 { byte(character) }
        }
        byte(UInt8(ascii: "\""))
    }

    private mutating func inRange(_ microseconds: Int64) {
        // From 0001-01-01 on all is positive.
        let fromStart = UInt64(microseconds - Timestamps.range.lowerBound)
        let (days, inDay) = fromStart.quotientAndRemainder(dividingBy: 86_400_000_000)
        let (year, month, day) = CivilDate.of(daysSinceYearOne: Int(days))
        let second = Int(inDay / 1_000_000)
        let fraction = Int(inDay % 1_000_000)
        pair(year / 100)
        pair(year % 100)
        byte(UInt8(ascii: "-"))
        pair(month)
        byte(UInt8(ascii: "-"))
        pair(day)
        byte(UInt8(ascii: "T"))
        pair(second / 3_600)
        byte(UInt8(ascii: ":"))
        pair(second / 60 % 60)
        byte(UInt8(ascii: ":"))
        pair(second % 60)
        if fraction != 0 {
            byte(UInt8(ascii: "."))
            let (milliseconds, rest) = fraction.quotientAndRemainder(dividingBy: 1_000)
            unsafe NumberText.writeDigits(UInt64(milliseconds), 3, at)
            unsafe at += 3
            if rest != 0 {
                unsafe NumberText.writeDigits(UInt64(rest), 3, at)
                unsafe at += 3
            }
        }
        byte(UInt8(ascii: "Z"))
    }

    @inline(__always)
    private mutating func pair(_ number: Int) {
        unsafe NumberText.writePair(number, at)
        unsafe at += 2
    }

    /// Microseconds as seconds: a plain decimal with at least one digit behind the point.
    mutating func seconds(_ microseconds: Int64) {
        assertRoom(JSONBound.seconds)
        if microseconds < 0 { byte(UInt8(ascii: "-")) }
        let (whole, fraction) = microseconds.magnitude.quotientAndRemainder(dividingBy: 1_000_000)
        unsafe at = NumberText.write(Int64(whole), at)
        byte(UInt8(ascii: "."))
        unsafe NumberText.writeDigits(fraction, 6, at)
        unsafe at += 6
        for _ in 0..<5 {
            guard unsafe at[-1] == 48 else { return }
            unsafe at -= 1
        }
    }
}

/// How long the text of a value can be, in bytes.
enum JSONBound {
    /// A point in time with its quotes; one outside of the calendar has a year of up to six digits and a sign.
    static let timestamp = 34
    static let seconds = 24
    /// `"OUTSIDE_MAX_AGE",`
    static let status = 18

    /// Of a value; of a list, string or bytes without the contents.
    static func value(_ kind: ValueKind, _ dimension: Int) -> Int {
        switch kind {
        case .bool: 5
        case .int32, .int64: NumberText.integerBytes
        case .timestamp: timestamp
        case .float32, .float64: NumberText.doubleBytes
        case .string, .bytes, .list: 4
        case .vector: 2 + dimension * (NumberText.doubleBytes + 1)
        }
    }
}

/// Days into dates of the proleptic Gregorian calendar (Hinnant, "chrono-Compatible Low-Level Date Algorithms").
enum CivilDate {
    /// The date so many days after 0001-01-01.
    static func of(daysSinceYearOne days: Int) -> (year: Int, month: Int, day: Int) {
        // Counted from 0000-03-01, which is 306 days before.
        let shifted = UInt(days + 306)
        let era = shifted / 146_097
        let dayOfEra = shifted % 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let month = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * month + 2) / 5 + 1
        let year = yearOfEra + era * 400 + (month >= 10 ? 1 : 0)
        return (Int(year), Int(month < 10 ? month + 3 : month - 9), Int(day))
    }
}
