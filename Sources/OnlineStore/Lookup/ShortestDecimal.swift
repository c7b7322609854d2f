/// The shortest decimal that reads back as the same number, and of those the closest: Schubfach (Giulietti, "The Schubfach
/// way to render doubles", 2020), in the form of Drachennest.
struct ShortestDecimal {
    /// At most 17 digits, the last of which is not 0.
    let digits: UInt64
    /// The number is digits × 10^exponent.
    let exponent: Int

    /// Of a finite number that is not 0. The sign is left out.
    init(_ number: Double) {
        let bits = number.bitPattern
        let fraction = bits & (1 << 52 - 1)
        let biased = Int(bits >> 52 & 0x7ff)
        self.init(
            significand: biased == 0 ? fraction : fraction | 1 << 52, exponent: max(biased, 1) - 1_075,
            isLowerCloser: fraction == 0 && biased > 1)
    }

    /// Of a finite number that is not 0. The sign is left out.
    init(_ number: Float) {
        let bits = UInt64(number.bitPattern)
        let fraction = bits & (1 << 23 - 1)
        let biased = Int(bits >> 23 & 0xff)
        self.init(
            significand: biased == 0 ? fraction : fraction | 1 << 23, exponent: max(biased, 1) - 150,
            isLowerCloser: fraction == 0 && biased > 1)
    }

    /// Of significand × 2^exponent, the neighbour below being half as far as the one above or not.
    private init(significand: UInt64, exponent binary: Int, isLowerCloser: Bool) {
        let isEven = significand & 1 == 0
        // floor(log10(2^q)), of three quarters of it where the neighbour below is closer.
        let power = (binary &* 1_262_611 &- (isLowerCloser ? 524_031 : 0)) >> 22
        let scale = PowersOfTen.value(-power)
        let shift = UInt64(truncatingIfNeeded: binary &+ (-power &* 1_741_647) >> 19 &+ 1)
        let middle = significand &<< 2
        let below = roundToOdd(scale, (middle &- 2 &+ (isLowerCloser ? 1 : 0)) &<< shift)
        let value = roundToOdd(scale, middle &<< shift)
        let above = roundToOdd(scale, (middle &+ 2) &<< shift)
        let lower = below &+ (isEven ? 0 : 1)
        let upper = above &- (isEven ? 0 : 1)
        let whole = value / 4
        if whole >= 10 {
            let tens = whole / 10
            let isDownInside = lower <= 40 &* tens
            let isUpInside = 40 &* tens &+ 40 <= upper
            if isDownInside != isUpInside {
                (digits, exponent) = Self.stripped(tens &+ (isUpInside ? 1 : 0), power &+ 1)
                return
            }
        }
        let isDownInside = lower <= 4 &* whole
        let isUpInside = 4 &* whole &+ 4 <= upper
        if isDownInside != isUpInside {
            (digits, exponent) = Self.stripped(whole &+ (isUpInside ? 1 : 0), power)
            return
        }
        let half = 4 &* whole &+ 2
        let roundsUp = value > half || (value == half && whole & 1 == 1)
        (digits, exponent) = Self.stripped(whole &+ (roundsUp ? 1 : 0), power)
    }

    @inline(__always)
    private static func stripped(_ digits: UInt64, _ exponent: Int) -> (UInt64, Int) {
        var (digits, exponent) = (digits, exponent)
        while true {
            let next = digits / 10
            guard next &* 10 == digits, next != 0 else { return (digits, exponent) }
            (digits, exponent) = (next, exponent &+ 1)
        }
    }
}

/// The high half of the product of a 128-bit number and `factor`, with the lowest bit set where anything is cut off.
@inline(__always)
private func roundToOdd(_ scale: PowersOfTen.Entry, _ factor: UInt64) -> UInt64 {
    let low = scale.low.multipliedFullWidth(by: factor)
    let high = scale.high.multipliedFullWidth(by: factor)
    let (middle, carry) = high.low.addingReportingOverflow(low.high)
    return (high.high &+ (carry ? 1 : 0)) | (middle > 1 ? 1 : 0)
}

/// The powers of ten from 10^-292 to 10^324 as 128-bit significands, rounded up.
enum PowersOfTen {
    struct Entry {
        let high: UInt64
        let low: UInt64
    }

    private static let range = -292...324
    private static let entries: [Entry] = range.map(compute)

    /// Computes the table, once, before somebody waits for it.
    static func prepare() { _ = entries.count }

    /// The significand of 10^power, for the powers that a double needs: -292...324.
    @inline(__always)
    static func value(_ power: Int) -> Entry { entries[power &- range.lowerBound] }

    /// The 128 highest bits of 10^power, rounded up.
    private static func compute(_ power: Int) -> Entry {
        var words: [UInt64] = [1]
        for _ in 0..<power.magnitude { multiply(&words, by: 10) }
        return power >= 0 ? highest(words) : reciprocal(words)
    }

    private static func multiply(_ words: inout [UInt64], by factor: UInt64) {
        var carry: UInt64 = 0
        for index in words.indices {
            let product = words[index].multipliedFullWidth(by: factor)
            let (sum, overflow) = product.low.addingReportingOverflow(carry)
            words[index] = sum
            carry = product.high + (overflow ? 1 : 0)
        }
        if carry > 0 { words.append(carry) }
    }

    /// The 128 highest bits of a number, least significant word first, rounded up.
    private static func highest(_ words: [UInt64]) -> Entry {
        let padded = [0, 0] + words
        let top = padded.count - 1
        let shift = UInt64(padded[top].leadingZeroBitCount)
        func shifted(_ index: Int) -> UInt64 {
            guard shift > 0 else { return padded[index] }
            return padded[index] << shift | (index > 0 ? padded[index - 1] >> (64 - shift) : 0)
        }
        let rest = (padded[top - 2] << shift) | (top > 2 ? padded[..<(top - 2)].reduce(0, |) : 0)
        return rounded(UInt128(shifted(top)) << 64 | UInt128(shifted(top - 1)), up: rest != 0)
    }

    /// The 128 highest bits of 1 / divisor, rounded up, by long division. The divisor is no power of two.
    private static func reciprocal(_ divisor: [UInt64]) -> Entry {
        // The remainder starts at the power of two just below the divisor; each step doubles it and takes the divisor off.
        let bits = divisor.count * 64 - divisor[divisor.count - 1].leadingZeroBitCount
        var remainder = [UInt64](repeating: 0, count: divisor.count + 1)
        remainder[(bits - 1) / 64] = 1 << UInt64((bits - 1) % 64)
        var quotient: UInt128 = 0
        for _ in 0..<128 {
            var carry: UInt64 = 0
            for index in remainder.indices {
                (remainder[index], carry) = (remainder[index] << 1 | carry, remainder[index] >> 63)
            }
            quotient <<= 1
            if subtract(divisor, from: &remainder) { quotient |= 1 }
        }
        return rounded(quotient, up: true)
    }

    /// Takes the divisor off if it is not larger.
    private static func subtract(_ divisor: [UInt64], from remainder: inout [UInt64]) -> Bool {
        var difference = remainder
        var borrow: UInt64 = 0
        for index in remainder.indices {
            let (first, under) = remainder[index].subtractingReportingOverflow(
                index < divisor.count ? divisor[index] : 0)
            let (second, underAgain) = first.subtractingReportingOverflow(borrow)
            difference[index] = second
            borrow = under || underAgain ? 1 : 0
        }
        guard borrow == 0 else { return false }
        remainder = difference
        return true
    }

    private static func rounded(_ value: UInt128, up: Bool) -> Entry {
        let result = up ? value + 1 : value
        return Entry(high: UInt64(truncatingIfNeeded: result >> 64), low: UInt64(truncatingIfNeeded: result))
    }
}
