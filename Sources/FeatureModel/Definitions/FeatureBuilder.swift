/// Turns the declaration of one feature into a `Feature`, and checks what the declaration's shape can't say.
struct FeatureBuilder {
    let path: String

    /// - Returns: `nil` where the type is missing or wrong, which has been reported.
    func build(_ entry: YAMLNode.Entry, into diagnostics: inout Diagnostics) -> Feature? {
        let isShort = entry.value.entries.isEmpty
        guard let type = Self.type(isShort ? entry.value : entry.value["type"]) else { return nil }
        var standIn: FeatureValue?
        if let node = entry.value["default"] {
            standIn = read(node, as: type, at: "default", into: &diagnostics)
        }
        let contract = entry.value["contract"].map { build($0, type, into: &diagnostics) } ?? FeatureContract()
        if let standIn, let node = entry.value["default"] {
            check(standIn, node, contract, "default", into: &diagnostics)
        }
        return Feature(name: entry.key, type: type, defaultValue: standIn, contract: contract)
    }

    private static func type(_ node: YAMLNode?) -> FeatureType? {
        guard let node else { return nil }
        if let element = node.elements.first, node.elements.count == 1 {
            return element.text.flatMap(ScalarType.init(rawValue:)).map(FeatureType.list)
        }
        return node.text.flatMap(FeatureType.init(spelling:))
    }

    private func build(
        _ node: YAMLNode, _ type: FeatureType, into diagnostics: inout Diagnostics
    ) -> FeatureContract {
        var contract = FeatureContract()
        contract.nullable = node["nullable"]?.flag ?? true
        contract.maximumNullRate = node["max_null_rate"]?.number
        contract.maximumLength = node["max_length"]?.integer.map(Int.init)
        contract.minimum = bound(node, "min", type, into: &diagnostics)
        contract.maximum = bound(node, "max", type, into: &diagnostics)
        if let low = contract.minimum, let high = contract.maximum, low > high, let place = node["min"] {
            diagnostics.report(
                place.place, at("contract.min"), found: place.found,
                expected: "at most max = \(node["max"]?.found ?? "")")
        }
        if let rate = node["max_null_rate"], !contract.nullable {
            diagnostics.report(
                rate.place, at("contract.max_null_rate"), found: rate.found,
                expected: "no max_null_rate beside nullable: false, which quarantines every null")
        }
        if let length = node["max_length"], !type.hasLength {
            diagnostics.report(
                length.place, at("contract.max_length"), found: "a limit of length for \(type.spelling)",
                expected: "one only for string, bytes and lists")
        }
        contract.oneOf = choices(node, type, contract, into: &diagnostics)
        return contract
    }

    private func bound(
        _ node: YAMLNode, _ key: String, _ type: FeatureType, into diagnostics: inout Diagnostics
    ) -> Double? {
        guard let node = node[key] else { return nil }
        guard type.hasOrder else {
            diagnostics.report(
                node.place, at("contract.\(key)"), found: "a bound for \(type.spelling)",
                expected: "bounds only for int32, int64, float32, float64 and timestamp")
            return nil
        }
        guard let value = read(node, as: type, at: "contract.\(key)", into: &diagnostics) else { return nil }
        if value.bound == nil {
            diagnostics.report(
                node.place, at("contract.\(key)"), found: node.found,
                expected: "a bound that a float64 holds exactly: at most 2^53 = \(Int64(1) << 53)")
        }
        return value.bound
    }

    private func choices(
        _ node: YAMLNode, _ type: FeatureType, _ contract: FeatureContract, into diagnostics: inout Diagnostics
    ) -> [FeatureValue] {
        guard let list = node["one_of"] else { return [] }
        guard case .scalar = type else {
            diagnostics.report(
                list.place, at("contract.one_of"), found: "one_of for \(type.spelling)", expected: "it only for scalars"
            )
            return []
        }
        var values: [FeatureValue] = []
        for (index, element) in list.elements.enumerated() {
            let key = "contract.one_of[\(index)]"
            guard let value = read(element, as: type, at: key, into: &diagnostics) else { continue }
            if values.contains(value) {
                diagnostics.report(element.place, at(key), found: "\(element.found) twice", expected: "each value once")
            }
            check(value, element, contract, key, into: &diagnostics)
            values.append(value)
        }
        return values
    }

    /// Checks a value of the definition against the contract beside it.
    private func check(
        _ value: FeatureValue, _ node: YAMLNode, _ contract: FeatureContract, _ key: String,
        into diagnostics: inout Diagnostics
    ) {
        if let bound = value.bound, let low = contract.minimum, bound < low {
            diagnostics.report(node.place, at(key), found: node.found, expected: "at least the contract's min")
        }
        if let bound = value.bound, let high = contract.maximum, bound > high {
            diagnostics.report(node.place, at(key), found: node.found, expected: "at most the contract's max")
        }
        if let length = value.length, let limit = contract.maximumLength, length > limit {
            diagnostics.report(
                node.place, at(key), found: "a length of \(length)",
                expected: "at most the contract's max_length = \(limit)")
        }
        if !contract.oneOf.isEmpty, !contract.oneOf.contains(value) {
            diagnostics.report(node.place, at(key), found: node.found, expected: "one of the contract's one_of")
        }
    }

    private func read(
        _ node: YAMLNode, as type: FeatureType, at key: String, into diagnostics: inout Diagnostics
    ) -> FeatureValue? {
        switch ValueReader.read(node, as: type) {
        case .value(let value): return value
        case .expected(let expected):
            // A list of null or of mappings was reported by its shape.
            guard node.text != nil || node.elements.allSatisfy({ $0.text != nil }), !node.isNull else { return nil }
            diagnostics.report(node.place, at(key), found: node.found, expected: expected)
            return nil
        }
    }

    private func at(_ key: String) -> String { "\(path).\(key)" }
}

extension FeatureType {
    /// Whether values have bounds.
    var hasOrder: Bool {
        switch self {
        case .scalar(.int32), .scalar(.int64), .scalar(.float32), .scalar(.float64), .scalar(.timestamp): true
        default: false
        }
    }

    /// Whether values have a length that varies.
    var hasLength: Bool {
        switch self {
        case .scalar(.string), .scalar(.bytes), .list: true
        default: false
        }
    }
}
