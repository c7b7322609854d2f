/// Reads the values that stand in a definition by the feature's type.
enum ValueReader {
    /// The value, or what was expected.
    enum Reading {
        case value(FeatureValue)
        case expected(String)
    }

    static func read(_ node: YAMLNode, as type: FeatureType) -> Reading {
        switch type {
        case .scalar(let scalar): return read(node, as: scalar)
        case .list(let scalar):
            guard case .sequence(let elements) = node.content else { return .expected("a list of \(scalar.rawValue)") }
            var values: [FeatureValue] = []
            for element in elements {
                guard case .value(let value) = read(element, as: scalar) else {
                    return .expected("a list of \(scalar.rawValue)")
                }
                values.append(value)
            }
            return .value(.list(values))
        case .vector(let dimension):
            let numbers = node.elements.compactMap { $0.isNull ? nil : $0.text.flatMap(Literal.float) }
            guard numbers.count == dimension, node.elements.count == dimension else {
                return .expected("a list of \(dimension) numbers of type float32")
            }
            return .value(.vector(numbers))
        }
    }

    private static func read(_ node: YAMLNode, as type: ScalarType) -> Reading {
        guard let text = node.text else { return .expected(expected(type)) }
        guard case .scalar(_, let isPlain) = node.content, let value = value(text, isPlain, type) else {
            return .expected(expected(type))
        }
        return .value(value)
    }

    private static func value(_ text: String, _ isPlain: Bool, _ type: ScalarType) -> FeatureValue? {
        switch type {
        case .string: .string(text)
        case .bytes: Literal.base64(text).map(FeatureValue.bytes)
        case .timestamp: Timestamps.parse(text).map(FeatureValue.timestamp)
        case _ where !isPlain: nil
        case .bool: Literal.flag(text).map(FeatureValue.bool)
        case .int32: Literal.integer(text).flatMap { Int32(exactly: $0) }.map(FeatureValue.int32)
        case .int64: Literal.integer(text).map(FeatureValue.int64)
        case .float32: Literal.float(text).map(FeatureValue.float32)
        case .float64: Literal.number(text).map(FeatureValue.float64)
        }
    }

    private static func expected(_ type: ScalarType) -> String {
        switch type {
        case .bool: "true or false"
        case .int32: "a whole number of type int32, from \(Int32.min) to \(Int32.max)"
        case .int64: "a whole number of type int64, from \(Int64.min) to \(Int64.max)"
        case .float32: "a finite number of type float32"
        case .float64: "a finite number of type float64"
        case .string: "text"
        case .bytes: "bytes in Base64"
        case .timestamp: "a time in RFC 3339, such as 2026-01-31T08:00:00Z"
        }
    }
}

extension FeatureValue {
    /// The value as a contract's bounds see it; `nil` for what has no order, and where a `Double` isn't exact.
    var bound: Double? {
        switch self {
        case .int32(let value): Double(value)
        case .int64(let value), .timestamp(let value): value.magnitude <= 1 << 53 ? Double(value) : nil
        case .float32(let value): Double(value)
        case .float64(let value): value
        default: nil
        }
    }

    /// The length as a contract sees it; `nil` for what has none.
    var length: Int? {
        switch self {
        case .string(let text): text.utf8.count
        case .bytes(let bytes): bytes.count
        case .list(let elements): elements.count
        case .vector(let elements): elements.count
        default: nil
        }
    }
}
