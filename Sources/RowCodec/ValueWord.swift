/// A value of a packed row in eight bytes: a small one itself, a longer one by where it lies.
///
/// It means something only together with its `ValueKind`, and with the arena that it was read from, unchanged since.
package struct ValueWord: Sendable {
    /// bool: 0 or 1. Integers and timestamps: the number. float32: its bits. float64: see `decimal` and `rawOffset`.
    /// Strings and bytes: `offset`, `count` and `isPlain`. Lists: `offset` of the first element and `count` of elements.
    /// Vectors: `offset`.
    package let bits: UInt64

    @inlinable
    package init(bits: UInt64) {
        self.bits = bits
    }

    /// Something in the arena: the offset is below 2^32, the count at most 2^20.
    init(offset: Int, count: Int, isPlain: Bool = false) {
        bits = UInt64(offset) | UInt64(count) << 32 | (isPlain ? 1 << 63 : 0)
    }

    /// A float64 that is `digits` / 10^`scale`: digits below 2^53, a scale of 0 to 14.
    init(digits: Int64, scale: UInt8) {
        bits = digits.magnitude | UInt64(scale) << 54 | (digits < 0 ? 1 << 58 : 0)
    }

    /// A float64 whose eight bytes, most significant first, lie in the arena.
    init(rawOffset: Int) {
        bits = UInt64(rawOffset) | 1 << 63
    }

    /// Where a longer value lies in the arena.
    @inlinable package var offset: Int { Int(bits & 0xffff_ffff) }

    /// Bytes of a string or of bytes, elements of a list.
    @inlinable package var count: Int { Int(bits >> 32 & 0x3f_ffff) }

    /// A string of ASCII without quote, backslash and control characters: it needs no escape in JSON.
    @inlinable package var isPlain: Bool { bits >> 63 == 1 }

    /// The number of an integer or timestamp.
    @inlinable package var integer: Int64 { Int64(bitPattern: bits) }

    /// The number of a float32.
    @inlinable package var float: Float { Float(bitPattern: UInt32(truncatingIfNeeded: bits)) }

    /// Whether a float64 lies in the arena, at `offset`, instead of in this word.
    @inlinable package var isRawDouble: Bool { bits >> 63 == 1 }

    /// A float64 that is no raw one: `magnitude` / 10^`scale`, negated or not.
    @inlinable package var decimal: (magnitude: UInt64, scale: Int, isNegative: Bool) {
        (bits & (1 << 54 - 1), Int(bits >> 54 & 15), bits >> 58 & 1 == 1)
    }

    /// A float64 that is no raw one.
    package var decimalDouble: Double {
        let (magnitude, scale, isNegative) = decimal
        let value = Double(magnitude) / DecimalDouble.power(scale)
        return isNegative ? -value : value
    }
}

/// How a `ValueWord` is to be understood.
package enum ValueKind: UInt8, Sendable {
    case bool
    case int32
    case int64
    case timestamp
    case float32
    case float64
    case string
    case bytes
    case list
    case vector
}
