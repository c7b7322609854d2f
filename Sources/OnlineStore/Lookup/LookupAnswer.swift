package import FeatureModel
import RowCodec

/// The answer to a lookup as values: one row an entity asked for, one value and status a feature asked for.
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

    /// Reads the rows of a request. `now` is in microseconds since 1970, for ages. With `keepsStale` a row that is too old is
    /// as good as any.
    package init(
        _ plan: LookupPlan, _ keys: LookupKeys, _ packed: inout PackedRows, now: Int64, keepsStale: Bool = false
    ) {
        packed.decode(plan, keys, now: now, keepsStale: keepsStale)
        features = plan.features
        rows = packed.withDecoded(keys) { rows in
            (0..<keys.entityCount).map { entity in
                plan.columns.map { Self.value(rows, plan, $0, entity, now: now) }
            }
        }
        versions = plan.versions
        failures = packed.failures(in: plan)
    }

    private static func value(
        _ rows: DecodedRows, _ plan: LookupPlan, _ column: LookupPlan.Column, _ entity: Int, now: Int64
    ) -> Value {
        let index = column.start(rows.entityCount) + entity * Int(column.slotCount)
        let facts = rows.facts(Int(column.part), entity)
        let status = ValueMark.status(rows.mark(index))
        let part = plan.parts[Int(column.part)]
        let value: FeatureValue =
            switch status {
            case .present: rows.value(rows.word(index), column.kind, column.element, Int(column.dimension))
            case .defaulted: part.view.features[part.features[Int(column.slot)]].defaultValue ?? .null
            default: .null
            }
        let age = facts.hasEventTime ? Duration.microseconds(PackedRows.age(facts.eventTime, now)) : nil
        return Value(value: value, status: status, age: age)
    }
}

extension PackedRows {
    /// Views that could not be read, with the reason.
    package func failures(in plan: LookupPlan) -> [String: String] {
        Dictionary(
            failures.map { (plan.parts[$0.part].view.name, $0.reason) }, uniquingKeysWith: { first, _ in first })
    }
}

extension DecodedRows {
    /// A value that is PRESENT.
    fileprivate func value(
        _ word: ValueWord, _ kind: ValueKind, _ element: ScalarType, _ dimension: Int
    ) -> FeatureValue {
        switch kind {
        case .bool: return .bool(word.bits == 1)
        case .int32: return .int32(Int32(truncatingIfNeeded: word.integer))
        case .int64: return .int64(word.integer)
        case .timestamp: return .timestamp(word.integer)
        case .float32: return .float32(word.float)
        case .float64: return .float64(word.isRawDouble ? rawDouble(word) : word.decimalDouble)
        case .string: return .string(unsafe String(decoding: contents(word), as: UTF8.self))
        case .bytes: return .bytes(unsafe [UInt8](contents(word)))
        case .list:
            var walk = walk(word)
            return .list(
                (0..<word.count).map { _ in
                    walk.word(element).map { value($0, ValueKind(element), element, 0) } ?? .null
                })
        case .vector: return .vector((0..<dimension).map { self.element(word, $0) })
        }
    }
}
