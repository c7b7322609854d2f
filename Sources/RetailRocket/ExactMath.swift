/// Logarithm and power from IEEE 754's `+ - * /` alone, which are the same on every machine. The C library's are not.
package enum ExactMath {
    private static let ln2 = 0x1.62e42fefa39efp-1

    /// The natural logarithm of a positive finite number, to about 1e-15.
    package static func ln(_ value: Double) -> Double {
        var exponent = Int(value.exponent)
        var significand = value.significand
        if significand > 1.4142135623730951 {
            significand /= 2
            exponent += 1
        }
        // ln m = 2 artanh((m - 1) / (m + 1)); |s| <= 0.172, so the term behind s^25 is below 1e-21.
        let ratio = (significand - 1) / (significand + 1)
        let square = ratio * ratio
        var sum = 0.0
        var order = 25
        while order >= 1 {
            sum = sum * square + 1 / Double(order)
            order -= 2
        }
        return Double(exponent) * ln2 + 2 * ratio * sum
    }

    /// e to the power of `value`, for |value| < 700.
    package static func exp(_ value: Double) -> Double {
        let power = (value / ln2).rounded(.toNearestOrEven)
        let rest = value - power * ln2
        var sum = 1.0
        var order = 20
        while order >= 1 {
            sum = 1 + sum * rest / Double(order)
            order -= 1
        }
        return Double(sign: .plus, exponent: Int(power), significand: sum)
    }

    /// A positive base to a power.
    package static func power(_ base: Double, _ exponent: Double) -> Double { exp(exponent * ln(base)) }
}
