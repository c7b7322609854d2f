package import FeatureModel

/// A walk over packed values that checks each before it is passed. Reads only below `end`, which lies in the buffer.
@safe package struct RowWalk {
    private let base: UnsafeRawPointer
    private let end: Int
    /// Where the next value begins; never above `end`.
    package private(set) var index: Int

    /// Walks over bytes of a buffer that outlives the walk. `index <= end <= bytes.count`.
    @inline(__always)
    package init(bytes: UnsafeRawBufferPointer, index: Int, end: Int) {
        // A buffer without a base is empty: nothing is ever read of it.
        unsafe base = bytes.baseAddress ?? UnsafeRawPointer(bitPattern: 1).unsafelyUnwrapped
        self.index = index
        self.end = end
    }

    /// Checks the next value and moves behind it; `nil` when it is malformed.
    @inline(__always)
    mutating func word(_ kind: ValueKind, _ element: ScalarType, _ dimension: Int) -> ValueWord? {
        switch kind {
        case .bool: bool()
        case .int32: int32()
        case .int64, .timestamp: varint().map { ValueWord(bits: UInt64(bitPattern: unzigzag($0))) }
        case .float32: float32()
        case .float64: float64()
        case .string: string()
        case .bytes: bytes()
        case .list: list(element)
        case .vector: vector(dimension)
        }
    }

    /// Checks the next value of a list and moves behind it.
    package mutating func word(_ scalar: ScalarType) -> ValueWord? {
        word(ValueKind(scalar), scalar, 0)
    }

    /// Moves behind the next value, checking lengths but not contents.
    mutating func skip(_ kind: ValueKind, _ element: ScalarType, _ dimension: Int) -> Bool {
        switch kind {
        case .bool: return advance(1)
        case .int32, .int64, .timestamp: return varint() != nil
        case .float32: return advance(4)
        case .float64: return float64() != nil
        case .string, .bytes: return bytes() != nil
        case .vector: return advance(4 * dimension)
        case .list:
            guard let count = count(minimumBytes: element.minimumBytes) else { return false }
            let kind = ValueKind(element)
            for _ in 0..<count { guard skip(kind, element, 0) else { return false } }
            return true
        }
    }

    /// An unsigned LEB128 varint of at most 64 bits in its shortest form.
    @inline(__always)
    private mutating func varint() -> UInt64? {
        guard index < end else { return nil }
        let first = unsafe base.load(fromByteOffset: index, as: UInt8.self)
        index &+= 1
        return first < 128 ? UInt64(first) : longVarint(first)
    }

    private mutating func longVarint(_ first: UInt8) -> UInt64? {
        var value = UInt64(first & 127)
        var shift: UInt64 = 7
        while index < end {
            let byte = unsafe base.load(fromByteOffset: index, as: UInt8.self)
            index &+= 1
            // The tenth byte has room for the last of 64 bits.
            guard shift < 63 || byte <= 1 else { return nil }
            value |= UInt64(byte & 127) &<< shift
            if byte < 128 { return byte == 0 ? nil : value }
            shift &+= 7
        }
        return nil
    }

    @inline(__always)
    private mutating func advance(_ count: Int) -> Bool {
        guard count <= end &- index else { return false }
        index &+= count
        return true
    }

    @inline(__always)
    private mutating func bool() -> ValueWord? {
        guard index < end else { return nil }
        let byte = unsafe base.load(fromByteOffset: index, as: UInt8.self)
        index &+= 1
        return byte <= 1 ? ValueWord(bits: UInt64(byte)) : nil
    }

    @inline(__always)
    private mutating func int32() -> ValueWord? {
        guard let varint = varint(), varint <= UInt64(UInt32.max) else { return nil }
        return ValueWord(bits: UInt64(bitPattern: unzigzag(varint)))
    }

    @inline(__always)
    private mutating func float32() -> ValueWord? {
        let start = index
        guard advance(4) else { return nil }
        return ValueWord(
            bits: UInt64(unsafe base.loadUnaligned(fromByteOffset: start, as: UInt32.self).littleEndian))
    }

    @inline(__always)
    private mutating func float64() -> ValueWord? {
        guard index < end else { return nil }
        let tag = unsafe base.load(fromByteOffset: index, as: UInt8.self)
        index &+= 1
        if tag == DecimalDouble.rawTag {
            let start = index
            return advance(8) ? ValueWord(rawOffset: start) : nil
        }
        guard tag <= DecimalDouble.maximumScale, let varint = varint() else { return nil }
        let digits = unzigzag(varint)
        guard digits.magnitude < DecimalDouble.digitsLimit.magnitude else { return nil }
        return ValueWord(digits: digits, scale: tag)
    }

    private mutating func count(minimumBytes: Int) -> Int? {
        guard let count = varint(), count <= UInt64((end &- index) / minimumBytes) else { return nil }
        return Int(count)
    }

    private mutating func bytes() -> ValueWord? {
        guard let count = count(minimumBytes: 1) else { return nil }
        let start = index
        index &+= count
        return ValueWord(offset: start, count: count)
    }

    private mutating func string() -> ValueWord? {
        guard let count = count(minimumBytes: 1) else { return nil }
        let start = index
        index &+= count
        switch unsafe TextScan.classify(UnsafeRawBufferPointer(start: base + start, count: count)) {
        case .plain: return ValueWord(offset: start, count: count, isPlain: true)
        case .unicode: return ValueWord(offset: start, count: count)
        case .invalid: return nil
        }
    }

    private mutating func vector(_ dimension: Int) -> ValueWord? {
        let start = index
        return advance(4 * dimension) ? ValueWord(offset: start, count: 0) : nil
    }

    private mutating func list(_ element: ScalarType) -> ValueWord? {
        guard let count = count(minimumBytes: element.minimumBytes) else { return nil }
        let start = index
        for _ in 0..<count { guard word(element) != nil else { return nil } }
        return ValueWord(offset: start, count: count)
    }
}

/// What a text is made of.
package enum TextScan {
    /// What bytes are as a text in JSON.
    package enum Kind: Sendable {
        /// ASCII without quote, backslash and control characters: it stands in JSON as it is.
        case plain
        /// UTF-8.
        case unicode
        case invalid
    }

    private static let ones: UInt64 = 0x0101_0101_0101_0101
    private static let tops: UInt64 = 0x8080_8080_8080_8080

    /// Non-zero when one of eight bytes is not plain ("Bit Twiddling Hacks", Anderson: a zero byte, a byte less than n).
    @inline(__always)
    package static func special(_ word: UInt64) -> UInt64 {
        let quote = word ^ (ones &* 0x22)
        let backslash = word ^ (ones &* 0x5c)
        let found =
            word | ((quote &- ones) & ~quote) | ((backslash &- ones) & ~backslash) | ((word &- ones &* 0x20) & ~word)
        return found & tops
    }

    /// Looks at every byte.
    package static func classify(_ text: UnsafeRawBufferPointer) -> Kind {
        var index = 0
        while index &+ 8 <= text.count {
            let word = unsafe text.loadUnaligned(fromByteOffset: index, as: UInt64.self)
            guard special(word) == 0 else { return unsafe validate(text) }
            index &+= 8
        }
        while index < text.count {
            let byte = unsafe text[index]
            guard byte >= 0x20, byte < 0x80, byte != 0x22, byte != 0x5c else { return unsafe validate(text) }
            index &+= 1
        }
        return .plain
    }

    private static func validate(_ text: UnsafeRawBufferPointer) -> Kind {
        // The span lives as long as this call.
        let span = unsafe Span<UInt8>(_unsafeElements: text.bindMemory(to: UInt8.self))
        do throws(UTF8.ValidationError) {
            _ = try UTF8Span(validating: span)
            return .unicode
        } catch {
            return .invalid
        }
    }
}
