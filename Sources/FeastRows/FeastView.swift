package import FeatureModel
import ServingProtos
import SwiftProtobuf

/// One feature view of a registry, as far as reading its rows needs it.
package struct FeastView: Sendable, Hashable {
    /// A feature.
    package struct Column: Sendable, Hashable {
        package let name: String
        package let type: FeatureType
    }

    /// A join key.
    package struct Key: Sendable, Hashable {
        package let name: String
        package let type: KeyType

        package init(name: String, type: KeyType) {
            self.name = name
            self.type = type
        }
    }

    /// The types that a join key may have.
    package enum KeyType: Sendable, Hashable {
        case string, bytes, int32, int64
        /// Seconds since 1970.
        case timestamp
    }

    /// The join key that Feast gives to rows of views without entities; its value is the empty text.
    package static let noEntity = Key(name: "__dummy_id", type: .string)

    package let name: String
    /// What rows are stored under: with `_vN` behind it where versions are.
    package let storedName: String
    /// Feast's number of the view's version, from 0.
    package let version: Int
    /// In the order of the view; `noEntity` for a view without entities. Never empty.
    package let keys: [Key]
    package let features: [Column]
    /// How old rows may be; `nil` for any age.
    package let maxAge: Duration?

    /// The feature of that name, if there is one.
    package func feature(_ name: String) -> Column? { features.first { $0.name == name } }

    /// Reads a view, and says which of its features can't be served: `view:feature` → the reason.
    static func read(
        _ view: Feast_Core_FeatureView, _ entities: [String: Feast_Core_EntitySpec], versionedNames: Bool
    ) throws(FeastRegistry.DecodingError) -> (FeastView, refused: [String: String]) {
        let name = view.spec.name
        guard !name.isEmpty, !name.contains(":") else {
            throw FeastRegistry.DecodingError(description: "no lookup can name it")
        }
        var features: [Column] = []
        var refused: [String: String] = [:]
        for feature in view.spec.features {
            if let type = FeatureType(feast: feature.valueType.rawValue) {
                features.append(Column(name: feature.name, type: type))
            } else {
                let type = ValueTypeName.name(feature.valueType.rawValue)
                refused["\(name):\(feature.name)"] = "it is of Feast's type \(type), which is not served here"
            }
        }
        guard !features.isEmpty else {
            throw FeastRegistry.DecodingError(
                description: refused.first.map { "\($0.key): \($0.value)" } ?? "it has no features")
        }
        let version = Int(view.meta.currentVersionNumber)
        let ttl = Duration.seconds(view.spec.ttl.seconds) + .nanoseconds(Int64(view.spec.ttl.nanos))
        let read = FeastView(
            name: name, storedName: versionedNames && version > 0 ? "\(name)_v\(version)" : name,
            version: max(0, version), keys: try keys(view, entities), features: features,
            maxAge: ttl > .zero ? min(ttl, longestAge) : nil)
        return (read, refused)
    }

    /// About a thousand years, beyond which no age is told apart.
    private static let longestAge = Duration.seconds(31_000_000_000)

    private static func keys(
        _ view: Feast_Core_FeatureView, _ entities: [String: Feast_Core_EntitySpec]
    ) throws(FeastRegistry.DecodingError) -> [Key] {
        var keys: [Key] = []
        for entity in view.spec.entities where entity != "__dummy" {
            guard let spec = entities[entity] else {
                throw FeastRegistry.DecodingError(description: "entity \(entity) isn't in the registry")
            }
            let key = spec.joinKey.isEmpty ? spec.name : spec.joinKey
            let declared = view.spec.entityColumns.first { $0.name == key }?.valueType ?? spec.valueType
            guard let type = KeyType(declared) else {
                throw FeastRegistry.DecodingError(description: "join key \(key) is of a type that no key can have")
            }
            keys.append(Key(name: key, type: type))
        }
        return keys.isEmpty ? [noEntity] : keys
    }
}

extension FeastView.KeyType {
    fileprivate init?(_ type: Feast_Types_ValueType.Enum) {
        switch type {
        case .string: self = .string
        case .bytes: self = .bytes
        case .int32: self = .int32
        case .int64: self = .int64
        case .unixTimestamp: self = .timestamp
        default: return nil
        }
    }

    /// How callers give it.
    package var entityKeyType: EntityKeyType {
        switch self {
        case .string: .string
        case .bytes: .bytes
        case .int32: .int32
        case .int64, .timestamp: .int64
        }
    }
}

/// The types of Feast by number. Numbers are those of the fields of `feast.types.Value`.
enum ValueTypeName {
    private static let names: [Int: String] = [
        0: "INVALID", 19: "NULL", 20: "MAP", 21: "MAP_LIST", 34: "STRUCT", 35: "STRUCT_LIST", 42: "VALUE_LIST",
        43: "VALUE_SET", 47: "SCALAR_MAP", 48: "ZONED_TIMESTAMP",
    ]

    static func name(_ number: Int) -> String { names[number] ?? "number \(number)" }
}

extension FeatureType {
    /// The type that values of Feast's type `number` are served as; `nil` where there is none. Texts with a meaning (JSON, UUID,
    /// decimal) are texts, sets are lists: as in the JSON of Feast's own server.
    init?(feast number: Int) {
        switch number {
        case 1: self = .scalar(.bytes)
        case 2, 32, 36, 37, 44: self = .scalar(.string)
        case 3: self = .scalar(.int32)
        case 4: self = .scalar(.int64)
        case 5: self = .scalar(.float64)
        case 6: self = .scalar(.float32)
        case 7: self = .scalar(.bool)
        case 8: self = .scalar(.timestamp)
        case 11, 22: self = .list(.bytes)
        case 12, 23, 33, 38, 39, 40, 41, 45, 46: self = .list(.string)
        case 13, 24: self = .list(.int32)
        case 14, 25: self = .list(.int64)
        case 15, 26: self = .list(.float64)
        case 16, 27: self = .list(.float32)
        case 17, 28: self = .list(.bool)
        case 18, 29: self = .list(.timestamp)
        default: return nil
        }
    }
}
