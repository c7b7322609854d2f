/// Doubles that people and databases write as short decimals, kept as such: `12.5` is 125 at scale 1, two bytes.
enum DecimalDouble {
    /// The tag in front of eight raw bytes.
    static let rawTag: UInt8 = 255
    /// The largest scale; 10^14 is exact as a Double.
    static let maximumScale = 14
    /// Decoders accept digits below this magnitude: exact as a Double.
    static let digitsLimit: Int64 = 1 << 53
    /// Encoders use digits below this magnitude: their varint has at most 7 bytes, so tag and digits beat 9 raw bytes.
    private static let shortLimit = Double(1 << 48)

    /// 10^scale.
    @inline(__always)
    static func power(_ scale: Int) -> Double {
        switch scale {
        case 0: 1
        case 1: 1e1
        case 2: 1e2
        case 3: 1e3
        case 4: 1e4
        case 5: 1e5
        case 6: 1e6
        case 7: 1e7
        case 8: 1e8
        case 9: 1e9
        case 10: 1e10
        case 11: 1e11
        case 12: 1e12
        case 13: 1e13
        default: 1e14
        }
    }

    /// The shortest decimal that is exactly `value`, or `nil` when only raw bytes will do.
    ///
    /// If `value` is digits / 10^e for some e, it is also digits * 10^(s-e) / 10^s for every larger scale s: so the
    /// largest scale whose digits stay short decides, and trailing zeros go afterwards. The product below is off by less
    /// than 2^-4 there, so rounding finds the digits if there are any.
    static func digits(of value: Double) -> (digits: Int64, scale: Int)? {
        let magnitude = value.magnitude
        guard magnitude < shortLimit else { return nil }
        guard value != 0 else { return value.sign == .plus ? (0, 0) : nil }
        let whole = Int64(value)
        if Double(whole) == value { return (whole, 0) }
        var scale = maximumScale
        while scale > 0, magnitude * power(scale) >= shortLimit { scale -= 1 }
        let product = value * power(scale)
        let digits = Int64(product < 0 ? product - 0.5 : product + 0.5)
        guard Double(digits) / power(scale) == value else { return nil }
        return withoutTrailingZeros(digits, scale)
    }

    private static func withoutTrailingZeros(_ start: Int64, _ startScale: Int) -> (digits: Int64, scale: Int) {
        var digits = start
        var scale = startScale
        if scale >= 8, digits % 100_000_000 == 0 { (digits, scale) = (digits / 100_000_000, scale - 8) }
        if scale >= 4, digits % 10_000 == 0 { (digits, scale) = (digits / 10_000, scale - 4) }
        if scale >= 2, digits % 100 == 0 { (digits, scale) = (digits / 100, scale - 2) }
        while scale >= 1, digits % 10 == 0 { (digits, scale) = (digits / 10, scale - 1) }
        return (digits, scale)
    }
}
