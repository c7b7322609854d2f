import FeatureModel
import Foundation
import OnlineStore
import Serving
import Sync

extension EntityKeyValue {
    /// The value as a person typed it.
    var words: String {
        switch self {
        case .integer(let number): "\(number)"
        case .text(let text): text
        case .bytes(let bytes): Data(bytes).base64EncodedString()
        }
    }
}

/// Turns what was typed into a lookup's plan and entities.
enum LookupRequest {
    /// The plan over the versions that are read.
    static func plan(_ engine: SyncEngine, features: [String], service: String?) async throws -> LookupPlan {
        let context = engine.context
        guard let catalog = try await ServingCatalog.read(from: context.store, project: context.project) else {
            throw SyncError.notApplied("project \(context.project)")
        }
        if let service { return try catalog.plan(features: catalog.features(ofService: service)) }
        let names = features.joined(separator: ",").split(separator: ",")
        return try catalog.plan(features: names.map { try FeatureReference.parse($0) })
    }

    /// `user_id=1,2` → entities. With several key columns the n-th values belong together.
    static func entities(
        _ typed: [String], _ columns: [Entity.Key]
    ) throws -> [[String: EntityKeyValue]] {
        var values: [String: [EntityKeyValue]] = [:]
        for text in typed {
            let (name, list) = try split(text)
            guard let column = columns.first(where: { $0.name == name }) else {
                let known = columns.map(\.name).joined(separator: ", ")
                throw UsageError("--entity \(text): there is no key \(name) here; the keys are: \(known)")
            }
            let parts =
                column.type == .string || column.type == .bytes
                ? strings(list) : list.split(separator: ",").map(String.init)
            values[name, default: []] += try parts.map { try value($0, column) }
        }
        for column in columns where values[column.name]?.isEmpty ?? true {
            let known = columns.map(\.name).joined(separator: ", ")
            throw UsageError("--entity \(column.name)=… is missing; the keys are: \(known)")
        }
        let counts = Set(values.values.map(\.count))
        guard counts.count == 1, let count = counts.first else {
            throw UsageError("the keys have different numbers of values; the n-th values of all keys belong together")
        }
        return (0..<count).map { index in values.mapValues { $0[index] } }
    }

    private static func split(_ text: String) throws -> (name: String, values: String) {
        guard let equals = text.firstIndex(of: "=") else {
            throw UsageError("--entity \(text): write KEY=VALUE, as in user_id=42")
        }
        return (String(text[..<equals]), String(text[text.index(after: equals)...]))
    }

    /// Splits at commas; `\,` is a comma inside a value.
    private static func strings(_ list: String) -> [String] {
        var parts = [""]
        var escaped = false
        for character in list {
            if escaped {
                parts[parts.count - 1].append(character)
                escaped = false
            } else if character == "\\" {
                escaped = true
            } else if character == "," {
                parts.append("")
            } else {
                parts[parts.count - 1].append(character)
            }
        }
        return parts
    }

    private static func value(_ text: String, _ column: Entity.Key) throws -> EntityKeyValue {
        switch column.type {
        case .string: return .text(text)
        case .bytes:
            guard let bytes = Base64.decode(Array(text.utf8)[...]) else {
                throw UsageError(
                    "--entity \(column.name)=\(text): the key is bytes, so it is given in Base64 with padding, as on the wire"
                )
            }
            return .bytes(bytes)
        case .int32, .int64:
            guard let number = Int64(text), column.type == .int64 || Int32(exactly: number) != nil else {
                throw UsageError("--entity \(column.name)=\(text): the key is \(column.type.rawValue), this is not")
            }
            return .integer(number)
        }
    }

    /// The one entity whose keys were typed.
    static func erasedEntity(_ typed: [String], _ catalog: Catalog) throws -> (name: String, key: EntityKey) {
        let names = Set(try typed.map { try split($0).name })
        let all = Dictionary(catalog.views.map { ($0.entity.name, $0.entity) }, uniquingKeysWith: { first, _ in first })
        let fitting = all.values.filter { Set($0.keys.map(\.name)) == names }
        guard let entity = fitting.first, fitting.count == 1 else {
            let known = all.values.map { "\($0.name) (\($0.keys.map(\.name).joined(separator: ", ")))" }.sorted()
            throw UsageError(
                fitting.isEmpty
                    ? "no entity has just these keys; there are: \(known.joined(separator: "; "))"
                    : "several entities have these keys: \(fitting.map(\.name).sorted().joined(separator: ", "))")
        }
        let values = try entities(typed, entity.keys)
        guard values.count == 1, let one = values.first, let key = EntityKey(entity.keys.compactMap { one[$0.name] })
        else {
            throw UsageError("erase takes one entity at a time; give one value for each key")
        }
        return (entity.name, key)
    }
}
