package import FeatureModel
import ServingProtos
import SwiftProtobuf

/// What a Feast registry file says of the rows of one project.
package struct FeastRegistry: Sendable {
    /// What is wrong with a registry.
    package struct DecodingError: Error, Hashable, CustomStringConvertible {
        package let description: String
    }

    /// The largest file that is read, in bytes.
    package static let maximumBytes = 256 << 20

    /// By name.
    package let views: [String: FeastView]
    /// Service name → `view:feature`, in order.
    package let services: [String: [String]]
    /// Views that can't be served, with the reason.
    package let refused: [String: String]

    /// Reads the definitions of a project out of a registry's bytes.
    ///
    /// - Throws: For bytes that are no registry, and for a registry without the project.
    package init(_ bytes: [UInt8], project: String) throws(DecodingError) {
        guard bytes.count <= Self.maximumBytes else {
            throw DecodingError(description: "the registry is over \(Self.maximumBytes) bytes")
        }
        let registry: Feast_Core_Registry
        do {
            var options = BinaryDecodingOptions()
            options.discardUnknownFields = true
            registry = try Feast_Core_Registry(serializedBytes: bytes, options: options)
        } catch {
            throw DecodingError(description: "the file is no registry of Feast")
        }
        let entities = Self.entities(registry, project)
        var views: [String: FeastView] = [:]
        var refused: [String: String] = [:]
        for view in registry.featureViews where view.spec.project == project {
            do {
                views[view.spec.name] = try FeastView(view, entities)
            } catch {
                refused[view.spec.name] = error.description
            }
        }
        guard !views.isEmpty || !refused.isEmpty else {
            throw DecodingError(description: "the registry has no feature views of project \(project)")
        }
        self.views = views
        self.refused = refused
        services = Self.services(registry, project)
    }

    private static func entities(_ registry: Feast_Core_Registry, _ project: String) -> [String: Feast_Core_EntitySpec]
    {
        Dictionary(
            registry.entities.map(\.spec).filter { $0.project == project }.map { ($0.name, $0) },
            uniquingKeysWith: { first, _ in first })
    }

    private static func services(_ registry: Feast_Core_Registry, _ project: String) -> [String: [String]] {
        var services: [String: [String]] = [:]
        for service in registry.featureServices.map(\.spec) where service.project == project {
            services[service.name] = service.features.flatMap { projection in
                projection.featureColumns.map { "\(projection.featureViewName):\($0.name)" }
            }
        }
        return services
    }
}

/// One feature view of a registry, as far as reading its rows needs it.
package struct FeastView: Sendable, Hashable {
    /// A join key or a feature.
    package struct Column: Sendable, Hashable {
        package let name: String
        package let type: FeatureType
    }

    /// The types that a join key may have.
    package enum KeyType: Sendable, Hashable {
        case string, bytes, int32, int64, timestamp
    }

    package let name: String
    /// What rows are stored under: with `_vN` behind it for a version above 0.
    package let storedName: String
    /// By name, in the order of the view. Empty for a view without entities.
    package let joinKeys: [String]
    /// By join key.
    package let keyTypes: [String: KeyType]
    package let features: [Column]
    /// How old rows may be; `nil` for any age.
    package let maxAge: Duration?

    init(
        _ view: Feast_Core_FeatureView, _ entities: [String: Feast_Core_EntitySpec]
    ) throws(FeastRegistry.DecodingError) {
        name = view.spec.name
        let version = view.meta.currentVersionNumber
        storedName = version > 0 ? "\(name)_v\(version)" : name
        var types: [String: KeyType] = [:]
        var keys: [String] = []
        for entity in view.spec.entities where entity != "__dummy" {
            guard let spec = entities[entity] else {
                throw FeastRegistry.DecodingError(description: "entity \(entity) isn't in the registry")
            }
            let key = spec.joinKey.isEmpty ? spec.name : spec.joinKey
            let declared = view.spec.entityColumns.first { $0.name == key }?.valueType ?? spec.valueType
            guard let type = KeyType(declared) else {
                throw FeastRegistry.DecodingError(description: "join key \(key) is of a type that no key can have")
            }
            keys.append(key)
            types[key] = type
        }
        joinKeys = keys
        keyTypes = types
        var features: [Column] = []
        for feature in view.spec.features {
            guard let type = FeatureType(feature.valueType) else {
                throw FeastRegistry.DecodingError(
                    description: "feature \(feature.name) is of a type that no feature here has")
            }
            features.append(Column(name: feature.name, type: type))
        }
        self.features = features
        let ttl = Duration.seconds(view.spec.ttl.seconds) + .nanoseconds(Int64(view.spec.ttl.nanos))
        maxAge = ttl > .zero ? ttl : nil
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
}

extension FeatureType {
    fileprivate init?(_ type: Feast_Types_ValueType.Enum) {
        switch type {
        case .bytes: self = .scalar(.bytes)
        case .string: self = .scalar(.string)
        case .int32: self = .scalar(.int32)
        case .int64: self = .scalar(.int64)
        case .double: self = .scalar(.float64)
        case .float: self = .scalar(.float32)
        case .bool: self = .scalar(.bool)
        case .unixTimestamp: self = .scalar(.timestamp)
        case .bytesList: self = .list(.bytes)
        case .stringList: self = .list(.string)
        case .int32List: self = .list(.int32)
        case .int64List: self = .list(.int64)
        case .doubleList: self = .list(.float64)
        case .floatList: self = .list(.float32)
        case .boolList: self = .list(.bool)
        case .unixTimestampList: self = .list(.timestamp)
        default: return nil
        }
    }
}
