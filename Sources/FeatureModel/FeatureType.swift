/// What a single value of a feature is.
package enum ScalarType: String, CaseIterable, Sendable, Codable {
    case bool
    case int32
    case int64
    case float32
    case float64
    case string
    case bytes
    case timestamp
}

/// What a feature holds: one scalar, a list of scalars, or a vector of `float32` with a fixed dimension.
package enum FeatureType: Hashable, Sendable {
    case scalar(ScalarType)
    case list(ScalarType)
    /// The dimension is in `1...FeatureType.maximumDimension`.
    case vector(Int)

    /// The largest dimension a `vector(n)` may declare.
    package static let maximumDimension = 65_536

    /// Parses the spelling used in definitions: `int64`, `[string]`, `vector(128)`; `nil` for anything else.
    package init?(spelling: String) {
        if let scalar = ScalarType(rawValue: spelling) {
            self = .scalar(scalar)
        } else if spelling.hasPrefix("["), spelling.hasSuffix("]"),
            let element = ScalarType(rawValue: String(spelling.dropFirst().dropLast()))
        {
            self = .list(element)
        } else if spelling.hasPrefix("vector("), spelling.hasSuffix(")"),
            let dimension = Int(spelling.dropFirst(7).dropLast()),
            (1...Self.maximumDimension).contains(dimension)
        {
            self = .vector(dimension)
        } else {
            return nil
        }
    }

    /// The spelling used in definitions.
    package var spelling: String {
        switch self {
        case .scalar(let scalar): scalar.rawValue
        case .list(let scalar): "[\(scalar.rawValue)]"
        case .vector(let dimension): "vector(\(dimension))"
        }
    }
}
