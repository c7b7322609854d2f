import FeatureModel

// Values into bytes: free functions, since a row of ten numbers has a few hundred nanoseconds.

/// An upper bound for the packed size of a non-null value, in bytes, and proof that it is of the type.
///
/// - Throws: `wrongValue`; `tooLarge` when the value alone exceeds the payload limit.
func sizeBound(_ value: FeatureValue, _ type: FeatureType) throws(RowCodecError) -> Int {
    switch (type, value) {
    case (.scalar(let scalar), _):
        return try sizeBound(value, scalar)
    case (.list(let scalar), .list(let elements)):
        guard elements.count <= RowFormat.maximumPayloadBytes else {
            throw RowCodecError(.tooLarge, "a list is too long")
        }
        var bound = varintBytes(UInt64(elements.count))
        for element in elements { bound += try sizeBound(element, scalar) }
        return bound
    case (.vector(let dimension), .vector(let elements)):
        guard elements.count == dimension else { throw wrongValue }
        return 4 * dimension
    default:
        throw wrongValue
    }
}

private func sizeBound(_ value: FeatureValue, _ scalar: ScalarType) throws(RowCodecError) -> Int {
    switch (scalar, value) {
    case (.bool, .bool): 1
    case (.int32, .int32(let number)): varintBytes(zigzag(Int64(number)))
    case (.int64, .int64(let number)): varintBytes(zigzag(number))
    case (.timestamp, .timestamp(let micros)): varintBytes(zigzag(micros))
    case (.float32, .float32): 4
    case (.float64, .float64): 9
    case (.string, .string(let text)): try sizeBound(ofBytes: text.utf8.count)
    case (.bytes, .bytes(let bytes)): try sizeBound(ofBytes: bytes.count)
    default: throw wrongValue
    }
}

private func sizeBound(ofBytes count: Int) throws(RowCodecError) -> Int {
    guard count <= RowFormat.maximumPayloadBytes else { throw RowCodecError(.tooLarge, "a value is too long") }
    return varintBytes(UInt64(count)) + count
}

private let wrongValue = RowCodecError(.wrongValue, "a value is not of its feature's type")

/// Appends a non-null value whose type `sizeBound` has proved.
func appendValue(_ value: FeatureValue, _ output: inout OutputSpan<UInt8>) {
    switch value {
    case .null: break
    case .bool(let flag): output.append(flag ? 1 : 0)
    case .int32(let number): appendVarint(zigzag(Int64(number)), &output)
    case .int64(let number), .timestamp(let number): appendVarint(zigzag(number), &output)
    case .float32(let number): appendFloat(number, &output)
    case .float64(let number): appendDouble(number, &output)
    case .string(let text): appendBytes(text.utf8.span, &output)
    case .bytes(let bytes): appendBytes(bytes.span, &output)
    case .list(let elements):
        appendVarint(UInt64(elements.count), &output)
        for element in elements { appendValue(element, &output) }
    case .vector(let elements):
        for element in elements { appendFloat(element, &output) }
    }
}

private func appendBytes(_ bytes: Span<UInt8>, _ output: inout OutputSpan<UInt8>) {
    appendVarint(UInt64(bytes.count), &output)
    for index in bytes.indices { output.append(bytes[index]) }
}

private func appendFloat(_ number: Float, _ output: inout OutputSpan<UInt8>) {
    let bits = number.bitPattern
    for shift in stride(from: UInt32(0), to: 32, by: 8) { output.append(UInt8(truncatingIfNeeded: bits >> shift)) }
}

private func appendDouble(_ number: Double, _ output: inout OutputSpan<UInt8>) {
    if let (digits, scale) = DecimalDouble.digits(of: number) {
        output.append(UInt8(scale))
        appendVarint(zigzag(digits), &output)
    } else {
        output.append(DecimalDouble.rawTag)
        appendBigEndian(number.bitPattern, 8, &output)
    }
}

/// Appends an unsigned LEB128 varint: seven bits a byte, the lowest first, the top bit set on all but the last.
@inline(__always)
func appendVarint(_ number: UInt64, _ output: inout OutputSpan<UInt8>) {
    var rest = number
    while rest > 127 {
        output.append(UInt8(truncatingIfNeeded: rest) | 128)
        rest >>= 7
    }
    output.append(UInt8(truncatingIfNeeded: rest))
}

/// How many bytes the varint of a number takes: 1 to 10.
@inline(__always)
func varintBytes(_ number: UInt64) -> Int {
    (70 &- (number | 1).leadingZeroBitCount) / 7
}

/// Maps small magnitudes of either sign to small numbers: 0, -1, 1, -2 … become 0, 1, 2, 3 …
@inline(__always)
func zigzag(_ number: Int64) -> UInt64 {
    UInt64(bitPattern: number << 1 ^ number >> 63)
}

/// Undoes `zigzag`.
@inline(__always)
func unzigzag(_ number: UInt64) -> Int64 {
    Int64(bitPattern: number >> 1) ^ -Int64(bitPattern: number & 1)
}
