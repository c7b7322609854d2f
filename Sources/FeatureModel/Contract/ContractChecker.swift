/// A view's contract over its feature values, compiled for a walk along the flat values of a chunk.
package struct ContractChecker: Sendable {
    /// The rules of one feature that has any.
    private struct Rules: Sendable {
        let column: Int
        let name: String
        let contract: FeatureContract
        let allowed: Set<FeatureValue>
    }

    private let rules: [Rules]
    private let width: Int
    /// Feature indexes whose null rate is bounded.
    package let nullBounded: [Int]

    package init(_ view: FeatureView) {
        width = view.features.count
        rules = view.features.enumerated().compactMap { column, feature in
            let contract = feature.contract
            let hasRules =
                !contract.nullable || contract.minimum != nil || contract.maximum != nil || !contract.oneOf.isEmpty
                || contract.maximumLength != nil
            guard hasRules else { return nil }
            return Rules(
                column: column, name: feature.name, contract: contract, allowed: Set(contract.oneOf))
        }
        nullBounded = view.features.indices.filter { view.features[$0].contract.maximumNullRate != nil }
    }

    /// Whether no row can break a rule.
    package var isEmpty: Bool { rules.isEmpty }

    /// The first rule that a row breaks, if any. `start` is the index of the row's first value.
    package func violation(
        in values: [FeatureValue], at start: Int
    ) -> (column: String, rule: String, reason: String)? {
        for rules in rules {
            if let broken = Self.broken(rules, values[start + rules.column]) {
                return (rules.name, broken.rule, broken.reason)
            }
        }
        return nil
    }

    private static func broken(_ rules: Rules, _ value: FeatureValue) -> (rule: String, reason: String)? {
        let contract = rules.contract
        if value.isNull {
            return contract.nullable ? nil : ("nullable", "null, where the contract allows none")
        }
        if let number = number(value) {
            if let minimum = contract.minimum, !(number >= minimum) { return ("min", "\(number) is below \(minimum)") }
            if let maximum = contract.maximum, !(number <= maximum) { return ("max", "\(number) is above \(maximum)") }
        }
        if !rules.allowed.isEmpty, !rules.allowed.contains(value) {
            return ("one_of", "not one of the \(rules.allowed.count) values allowed")
        }
        if let limit = contract.maximumLength, let length = length(value), length > limit {
            return ("max_length", "length \(length) is above \(limit)")
        }
        return nil
    }

    private static func number(_ value: FeatureValue) -> Double? {
        switch value {
        case .int32(let number): Double(number)
        case .int64(let number), .timestamp(let number): Double(number)
        case .float32(let number): Double(number)
        case .float64(let number): number
        case .null, .bool, .string, .bytes, .list, .vector: nil
        }
    }

    private static func length(_ value: FeatureValue) -> Int? {
        switch value {
        case .string(let text): text.utf8.count
        case .bytes(let bytes): bytes.count
        case .list(let elements): elements.count
        case .vector(let elements): elements.count
        case .null, .bool, .int32, .int64, .float32, .float64, .timestamp: nil
        }
    }
}
