/// Numbers into text, straight into memory. Every function writes at `at` and returns where the text ends; the caller has
/// made room for as many bytes as the function says.
enum NumberText {
    /// The longest text of an integer.
    static let integerBytes = 20
    /// The longest text of a floating-point number, such as `-2.2250738585072014e-308`.
    static let doubleBytes = 24

    private static let pairs: StaticString = """
        00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445464748495051525354\
        5556575859606162636465666768697071727374757677787980818283848586878889909192939495969798999
        """

    /// Writes a number below 100 as two digits.
    @inline(__always)
    static func writePair(_ number: Int, _ at: UnsafeMutablePointer<UInt8>) {
        unsafe UnsafeMutableRawPointer(at).copyMemory(from: pairs.utf8Start + 2 &* number, byteCount: 2)
    }

    /// How many decimal digits a number has.
    @inline(__always)
    static func digitCount(_ number: UInt64) -> Int {
        // log10(2) is about 1233/4096; the guess is right or one too low.
        let bits = 64 &- (number | 1).leadingZeroBitCount
        let guess = (bits &* 1233) &>> 12
        return guess &+ (number | 1 >= powers[guess] ? 1 : 0)
    }

    /// 10^0 … 10^19. The guess of a 64-bit number is 0 … 19.
    private static let powers: [20 of UInt64] = [
        1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000, 10_000_000_000,
        100_000_000_000, 1_000_000_000_000, 10_000_000_000_000, 100_000_000_000_000, 1_000_000_000_000_000,
        10_000_000_000_000_000, 100_000_000_000_000_000, 1_000_000_000_000_000_000, 10_000_000_000_000_000_000,
    ]

    /// Writes exactly `count` digits, the last ones of the number.
    @inline(__always)
    static func writeDigits(_ number: UInt64, _ count: Int, _ at: UnsafeMutablePointer<UInt8>) {
        var rest = number
        var place = count
        while place >= 2 {
            place &-= 2
            let next = rest / 100
            unsafe writePair(Int(truncatingIfNeeded: rest &- next &* 100), at + place)
            rest = next
        }
        if place == 1 { unsafe at[0] = 48 &+ UInt8(truncatingIfNeeded: rest % 10) }
    }

    /// Writes an integer: at most `integerBytes`.
    @inline(__always)
    static func write(_ number: Int64, _ at: UnsafeMutablePointer<UInt8>) -> UnsafeMutablePointer<UInt8> {
        var at = unsafe at
        if number < 0 {
            unsafe at[0] = UInt8(ascii: "-")
            unsafe at += 1
        }
        let magnitude = number.magnitude
        if magnitude < 10 {
            unsafe at[0] = 48 &+ UInt8(truncatingIfNeeded: magnitude)
            return unsafe at + 1
        }
        let count = digitCount(magnitude)
        unsafe writeDigits(magnitude, count, at)
        return unsafe at + count
    }

    /// Writes digits × 10^exponent as Python's `repr` does, and so Feast: with a point or an exponent, the latter below
    /// 1e-4 and from 1e16 on. At most `doubleBytes` for at most 17 digits, the last of which is not 0 unless the exponent is
    /// 0 or the number is.
    @inline(__always)
    static func write(
        digits: UInt64, exponent: Int, isNegative: Bool, _ at: UnsafeMutablePointer<UInt8>
    ) -> UnsafeMutablePointer<UInt8> {
        var at = unsafe at
        if isNegative {
            unsafe at[0] = UInt8(ascii: "-")
            unsafe at += 1
        }
        let count = digitCount(digits)
        let point = count &+ exponent
        if point > 0, exponent < 0 {
            // Digits first, one place to the right; then the whole part moves left over the point.
            unsafe writeDigits(digits, count, at + 1)
            for index in 0..<point { unsafe at[index] = at[index &+ 1] }
            unsafe at[point] = UInt8(ascii: ".")
            return unsafe at + count + 1
        }
        return unsafe writeOther(digits, count, exponent, at)
    }

    private static func writeOther(
        _ digits: UInt64, _ count: Int, _ exponent: Int, _ start: UnsafeMutablePointer<UInt8>
    ) -> UnsafeMutablePointer<UInt8> {
        var at = unsafe start
        let point = count + exponent
        if point > 16 || point < -3 { return unsafe writeScientific(digits, count, exponent, at) }
        if point <= 0 {
            unsafe at[0] = UInt8(ascii: "0")
            unsafe at[1] = UInt8(ascii: ".")
            unsafe at += 2
            for _ in point..<0 {
                unsafe at[0] = UInt8(ascii: "0")
                unsafe at += 1
            }
            unsafe writeDigits(digits, count, at)
            return unsafe at + count
        }
        unsafe writeDigits(digits, count, at)
        unsafe at += count
        for _ in 0..<exponent {
            unsafe at[0] = UInt8(ascii: "0")
            unsafe at += 1
        }
        unsafe at[0] = UInt8(ascii: ".")
        unsafe at[1] = UInt8(ascii: "0")
        return unsafe at + 2
    }

    private static func writeScientific(
        _ digits: UInt64, _ count: Int, _ exponent: Int, _ start: UnsafeMutablePointer<UInt8>
    ) -> UnsafeMutablePointer<UInt8> {
        var at = unsafe start
        unsafe writeDigits(digits, count, at + 1)
        unsafe at[0] = at[1]
        if count > 1 {
            unsafe at[1] = UInt8(ascii: ".")
            unsafe at += count + 1
        } else {
            unsafe at += 1
        }
        let power = count + exponent - 1
        unsafe at[0] = UInt8(ascii: "e")
        unsafe at[1] = power < 0 ? UInt8(ascii: "-") : UInt8(ascii: "+")
        unsafe at += 2
        let magnitude = Int(power.magnitude)
        if magnitude >= 100 {
            unsafe at[0] = 48 + UInt8(magnitude / 100)
            unsafe at += 1
        }
        unsafe writePair(magnitude % 100, at)
        return unsafe at + 2
    }
}
