import FeatureModel

// Bytes into values. Every length is checked against what is left before anything is allocated or read.

/// Reads the non-null value of a type at `index` and moves `index` behind it.
func readValue(_ bytes: Span<UInt8>, _ index: inout Int, _ type: FeatureType) throws(RowCodecError) -> FeatureValue {
    switch type {
    case .scalar(let scalar):
        return try readValue(bytes, &index, scalar)
    case .list(let scalar):
        let count = try readCount(bytes, &index, minimumBytes: scalar.minimumBytes)
        var elements: [FeatureValue] = []
        elements.reserveCapacity(count)
        for _ in 0..<count { elements.append(try readValue(bytes, &index, scalar)) }
        return .list(elements)
    case .vector(let dimension):
        try require(4 * dimension, bytes, index)
        var elements: [Float] = []
        elements.reserveCapacity(dimension)
        for _ in 0..<dimension { elements.append(try readFloat(bytes, &index)) }
        return .vector(elements)
    }
}

/// Moves `index` behind the non-null value of a type, checking lengths but not contents.
func skipValue(_ bytes: Span<UInt8>, _ index: inout Int, _ type: FeatureType) throws(RowCodecError) {
    switch type {
    case .scalar(let scalar):
        try skipValue(bytes, &index, scalar)
    case .list(let scalar):
        let count = try readCount(bytes, &index, minimumBytes: scalar.minimumBytes)
        for _ in 0..<count { try skipValue(bytes, &index, scalar) }
    case .vector(let dimension):
        try skip(4 * dimension, bytes, &index)
    }
}

private func readValue(
    _ bytes: Span<UInt8>, _ index: inout Int, _ scalar: ScalarType
) throws(RowCodecError) -> FeatureValue {
    switch scalar {
    case .bool:
        let byte = try readByte(bytes, &index)
        guard byte <= 1 else { throw malformed("a bool is neither 0 nor 1") }
        return .bool(byte == 1)
    case .int32:
        guard let number = Int32(exactly: unzigzag(try readVarint(bytes, &index))) else {
            throw malformed("an int32 is out of range")
        }
        return .int32(number)
    case .int64: return .int64(unzigzag(try readVarint(bytes, &index)))
    case .timestamp: return .timestamp(unzigzag(try readVarint(bytes, &index)))
    case .float32: return .float32(try readFloat(bytes, &index))
    case .float64: return .float64(try readDouble(bytes, &index))
    case .string:
        let range = try readRange(bytes, &index)
        do {
            return .string(String(copying: try UTF8Span(validating: bytes.extracting(range))))
        } catch {
            throw malformed("a string is not UTF-8")
        }
    case .bytes:
        let range = try readRange(bytes, &index)
        return .bytes(
            [UInt8](capacity: range.count) { output in
                for position in range { output.append(bytes[position]) }
            })
    }
}

private func skipValue(_ bytes: Span<UInt8>, _ index: inout Int, _ scalar: ScalarType) throws(RowCodecError) {
    switch scalar {
    case .bool: try skip(1, bytes, &index)
    case .int32, .int64, .timestamp: _ = try readVarint(bytes, &index)
    case .float32: try skip(4, bytes, &index)
    case .float64: _ = try readDouble(bytes, &index)
    case .string, .bytes: _ = try readRange(bytes, &index)
    }
}

/// Reads an unsigned LEB128 varint of at most 64 bits in its shortest form.
func readVarint(_ bytes: Span<UInt8>, _ index: inout Int) throws(RowCodecError) -> UInt64 {
    let first = try readByte(bytes, &index)
    if first < 128 { return UInt64(first) }
    var value = UInt64(first & 127)
    var shift: UInt64 = 7
    while true {
        let byte = try readByte(bytes, &index)
        // The tenth byte has room for the last of 64 bits.
        guard shift < 63 || byte <= 1 else { throw malformed("a varint exceeds 64 bits") }
        value |= UInt64(byte & 127) << shift
        if byte < 128 {
            guard byte != 0 else { throw malformed("a varint is longer than needed") }
            return value
        }
        shift += 7
    }
}

private func readByte(_ bytes: Span<UInt8>, _ index: inout Int) throws(RowCodecError) -> UInt8 {
    guard index < bytes.count else { throw truncated }
    let byte = bytes[index]
    index += 1
    return byte
}

private func readFloat(_ bytes: Span<UInt8>, _ index: inout Int) throws(RowCodecError) -> Float {
    try require(4, bytes, index)
    let bits = UInt32(truncatingIfNeeded: bigEndian(bytes, index, 4)).byteSwapped
    index += 4
    return Float(bitPattern: bits)
}

private func readDouble(_ bytes: Span<UInt8>, _ index: inout Int) throws(RowCodecError) -> Double {
    let tag = try readByte(bytes, &index)
    if tag == DecimalDouble.rawTag {
        try require(8, bytes, index)
        let bits = bigEndian(bytes, index, 8)
        index += 8
        return Double(bitPattern: bits)
    }
    guard tag <= DecimalDouble.maximumScale else { throw malformed("a float64 has an unknown tag") }
    let digits = unzigzag(try readVarint(bytes, &index))
    guard digits.magnitude < DecimalDouble.digitsLimit else { throw malformed("a float64 has too many digits") }
    return Double(digits) / DecimalDouble.power(Int(tag))
}

/// Reads a length and moves `index` behind that many bytes; returns where they lie.
private func readRange(_ bytes: Span<UInt8>, _ index: inout Int) throws(RowCodecError) -> Range<Int> {
    let count = try readCount(bytes, &index, minimumBytes: 1)
    let range = index..<index + count
    index = range.upperBound
    return range
}

/// Reads a count of things of at least `minimumBytes` each; there is room for that many.
private func readCount(
    _ bytes: Span<UInt8>, _ index: inout Int, minimumBytes: Int
) throws(RowCodecError) -> Int {
    let count = try readVarint(bytes, &index)
    guard count <= UInt64((bytes.count - index) / minimumBytes) else { throw truncated }
    return Int(count)
}

private func skip(_ count: Int, _ bytes: Span<UInt8>, _ index: inout Int) throws(RowCodecError) {
    try require(count, bytes, index)
    index += count
}

private func require(_ count: Int, _ bytes: Span<UInt8>, _ index: Int) throws(RowCodecError) {
    guard count <= bytes.count - index else { throw truncated }
}

private var truncated: RowCodecError { RowCodecError(.truncated, "the row ends inside a value") }

private func malformed(_ message: StaticString) -> RowCodecError { RowCodecError(.malformed, message) }

extension ScalarType {
    /// The fewest bytes a packed value of this type takes.
    var minimumBytes: Int {
        switch self {
        case .bool, .int32, .int64, .timestamp, .string, .bytes: 1
        case .float64: 2
        case .float32: 4
        }
    }
}
