package import FeatureModel
import RowCodec

/// The answer to a lookup: one row an entity asked for, one value and status a feature asked for.
package struct LookupAnswer: Sendable {
    /// One value with its honest word.
    package struct Value: Hashable, Sendable {
        package let value: FeatureValue
        package let status: FeatureStatus
        /// How long ago the row's event was; `nil` without an event time or row.
        package let age: Duration?
    }

    package let features: [FeatureReference]
    package let rows: [[Value]]
    package let versions: [String: Int]
    /// Views that could not be read, with the reason.
    package let failures: [String: String]
}

/// Reads features of entities out of an online store.
package struct FeatureLookup: Sendable {
    private let store: any OnlineStore

    package init(_ store: any OnlineStore) {
        self.store = store
    }

    /// Looks up every feature of the plan for every entity. What fails is a status in the answer, not an error.
    ///
    /// Each entity is key column → value and must hold every key column of the plan, else it is a `LookupError`. `now` is in
    /// microseconds since 1970, for ages.
    package func lookup(
        _ plan: LookupPlan, entities: [[String: EntityKeyValue]], now: Int64
    ) async throws(LookupError) -> LookupAnswer {
        let nothing = LookupAnswer.Value(value: .null, status: .failed, age: nil)
        var rows = Array(repeating: Array(repeating: nothing, count: plan.features.count), count: entities.count)
        var failures: [String: String] = [:]
        for part in plan.parts {
            let keys = try Self.keys(of: part.view.entity, entities)
            do {
                let packed = try await store.read(keys, in: part.space)
                for index in entities.indices {
                    Self.fill(&rows[index], part, key: keys[index], packed: packed[index], now: now)
                }
            } catch {
                failures[part.view.name] = "\(error)"
            }
        }
        return LookupAnswer(features: plan.features, rows: rows, versions: plan.versions, failures: failures)
    }

    private static func keys(
        of entity: Entity, _ entities: [[String: EntityKeyValue]]
    ) throws(LookupError) -> [EntityKey] {
        var keys: [EntityKey] = []
        for (index, values) in entities.enumerated() {
            var parts: [EntityKeyValue] = []
            for column in entity.keys {
                guard let value = values[column.name] else {
                    throw LookupError("entity \(index) has no \(column.name), a key of \(entity.name)")
                }
                parts.append(value)
            }
            guard let key = EntityKey(parts) else {
                throw LookupError("entity \(index): the key of \(entity.name) is over \(EntityKey.maximumBytes) bytes")
            }
            keys.append(key)
        }
        return keys
    }

    private static func fill(
        _ row: inout [LookupAnswer.Value], _ part: LookupPlan.Part, key: EntityKey, packed: [UInt8]?, now: Int64
    ) {
        guard let packed else { return fillMissing(&row, part) }
        // A row that can't be decoded is never a value: it stays FAILED for every feature of the view.
        guard let decoded = try? part.decoder.decode(packed, key: key) else { return }
        if decoded.isTombstone { return fillMissing(&row, part) }
        let age = decoded.order.eventTime.map { Duration.microseconds(now - $0) }
        let tooOld = if let age, let limit = part.view.maxAge { age > limit } else { false }
        for (answer, feature) in part.columns {
            let value = decoded.values[feature]
            if tooOld {
                row[answer] = standIn(part.view.features[feature], .outsideMaxAge, age)
            } else if value.isNull {
                row[answer] = standIn(part.view.features[feature], .nullValue, age)
            } else {
                row[answer] = LookupAnswer.Value(value: value, status: .present, age: age)
            }
        }
    }

    private static func fillMissing(_ row: inout [LookupAnswer.Value], _ part: LookupPlan.Part) {
        for (answer, feature) in part.columns {
            row[answer] = standIn(part.view.features[feature], .notFound, nil)
        }
    }

    /// The default where the feature has one, and the plain word where it has none.
    private static func standIn(
        _ feature: Feature, _ status: FeatureStatus, _ age: Duration?
    ) -> LookupAnswer.Value {
        guard let value = feature.defaultValue, !value.isNull else {
            return LookupAnswer.Value(value: .null, status: status, age: age)
        }
        return LookupAnswer.Value(value: value, status: .defaulted, age: age)
    }
}
