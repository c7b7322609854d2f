/// One value of a feature. `null` is a value the source stated, not a missing row.
package enum FeatureValue: Hashable, Sendable {
    case null
    case bool(Bool)
    case int32(Int32)
    case int64(Int64)
    case float32(Float)
    case float64(Double)
    case string(String)
    case bytes([UInt8])
    /// Microseconds since 1970-01-01T00:00:00Z.
    case timestamp(Int64)
    /// Elements of one scalar type, none of them `null`.
    case list([FeatureValue])
    case vector([Float])

    /// Whether this is the value `null`.
    package var isNull: Bool {
        if case .null = self { true } else { false }
    }

    /// Whether the value is `null` or of the given type.
    package func matches(_ type: FeatureType) -> Bool {
        switch (self, type) {
        case (.null, _): true
        case (.vector(let elements), .vector(let dimension)): elements.count == dimension
        case (.list(let elements), .list(let scalar)): elements.allSatisfy { $0.matches(scalar) }
        case (_, .scalar(let scalar)): matches(scalar)
        default: false
        }
    }

    private func matches(_ scalar: ScalarType) -> Bool {
        switch (self, scalar) {
        case (.bool, .bool), (.int32, .int32), (.int64, .int64), (.float32, .float32), (.float64, .float64),
            (.string, .string), (.bytes, .bytes), (.timestamp, .timestamp):
            true
        default: false
        }
    }
}

extension FeatureValue {
    /// The value as a number; `nil` for what is none, as a flag or a time.
    package var number: Double? {
        switch self {
        case .int32(let number): Double(number)
        case .int64(let number): Double(number)
        case .float32(let number): Double(number)
        case .float64(let number): number
        default: nil
        }
    }

    /// The value as an entity's key; `nil` for what is none.
    package var key: EntityKeyValue? {
        switch self {
        case .int32(let number): .integer(Int64(number))
        case .int64(let number): .integer(number)
        case .string(let text): .text(text)
        case .bytes(let bytes): .bytes(bytes)
        default: nil
        }
    }

    /// The value as names of a recall list's segments: of a list one for each element, in its order. None for what is no name.
    package var segments: [String] {
        switch self {
        case .list(let elements): elements.compactMap(\.segment)
        default: segment.map { [$0] } ?? []
        }
    }

    private var segment: String? {
        switch key {
        case .integer(let number): "\(number)"
        case .text(let text): text
        default: nil
        }
    }
}
