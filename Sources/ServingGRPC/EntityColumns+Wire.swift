import FeatureModel
import FoundationEssentials
import GRPCCore
import OnlineStore
import ServingProtos

extension EntityColumns {
    /// The key columns of a request to `tidemark.v1.FeatureService`, those that the plan needs.
    ///
    /// - Throws: INVALID_ARGUMENT for a column that is missing, of another type, or longer than the others.
    init(_ keys: [Entity.Key], _ columns: [String: Tidemark_V1_KeyColumn]) throws(RPCError) {
        self.init()
        for key in keys {
            guard let column = columns[key.name] else { throw RPCError.invalid("there is no key column \(key.name)") }
            do throws(LookupError) {
                switch column.values {
                case .integers(let integers): add(key.name, integers: integers.values)
                case .strings(let strings): try add(key.name, strings.values)
                case .bytes(let bytes): try add(key.name, bytes.values)
                case nil: throw LookupError("key column \(key.name) has no values")
                }
            } catch {
                throw RPCError(error)
            }
        }
    }

    /// The key columns of a request to Feast's service, those that the plan needs. `context` is looked at where `entities`
    /// lacks one.
    ///
    /// - Throws: INVALID_ARGUMENT for a column that is missing, of another type, or with a null in it.
    init(
        _ keys: [Entity.Key], _ entities: [String: Feast_Types_RepeatedValue],
        context: [String: Feast_Types_RepeatedValue]
    ) throws(RPCError) {
        self.init()
        for key in keys {
            guard let column = entities[key.name] ?? context[key.name] else {
                throw RPCError.invalid("there is no join key \(key.name)")
            }
            do throws(LookupError) {
                try add(key, column.val)
            } catch {
                throw RPCError(error)
            }
        }
    }

    private mutating func add(_ key: Entity.Key, _ values: [Feast_Types_Value]) throws(LookupError) {
        switch key.type {
        case .int32, .int64:
            add(key.name, integers: try Self.all(key, values) { Self.integer($0) })
        case .string:
            try add(
                key.name,
                try Self.all(key, values) { value in
                    if case .stringVal(let text) = value.val { text } else { nil }
                })
        case .bytes:
            try add(
                key.name,
                try Self.all(key, values) { value in
                    if case .bytesVal(let bytes) = value.val { bytes } else { nil }
                })
        }
    }

    private static func all<Element>(
        _ key: Entity.Key, _ values: [Feast_Types_Value], _ read: (Feast_Types_Value) -> Element?
    ) throws(LookupError) -> [Element] {
        var elements: [Element] = []
        elements.reserveCapacity(values.count)
        for (entity, value) in values.enumerated() {
            guard let element = read(value) else {
                throw LookupError("entity \(entity): \(key.name) is not of its type, \(key.type.rawValue)")
            }
            elements.append(element)
        }
        return elements
    }

    private static func integer(_ value: Feast_Types_Value) -> Int64? {
        switch value.val {
        case .int64Val(let number), .unixTimestampVal(let number): number
        case .int32Val(let number): Int64(number)
        default: nil
        }
    }

    private mutating func add(_ name: String, _ texts: [String]) throws(LookupError) {
        var bytes: [UInt8] = []
        var ends: [Int] = []
        for text in texts {
            bytes += text.utf8
            ends.append(bytes.count)
        }
        try add(name, texts: bytes, ends: ends)
    }

    private mutating func add(_ name: String, _ values: [Data]) throws(LookupError) {
        var bytes: [UInt8] = []
        var ends: [Int] = []
        for value in values {
            bytes += value
            ends.append(bytes.count)
        }
        try add(name, bytes: bytes, ends: ends)
    }
}
