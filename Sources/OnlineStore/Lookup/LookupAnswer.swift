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
        let rows = packed
        features = plan.features
        self.rows = (0..<keys.entityCount).map { entity in
            plan.columns.map { column in
                let part = plan.parts[column.part]
                let index = keys.entityCount * part.slotBase + entity * part.slotCount + column.slot
                let facts = rows.facts[column.part * keys.entityCount + entity]
                let status = ValueMark.status(rows.marks[index])
                let value: FeatureValue =
                    switch status {
                    case .present: rows.value(at: index, column)
                    case .defaulted: part.view.features[part.features[column.slot]].defaultValue ?? .null
                    default: .null
                    }
                return Value(
                    value: value, status: status,
                    age: facts.hasEventTime ? .microseconds(PackedRows.age(facts.eventTime, now)) : nil)
            }
        }
        versions = plan.versions
        failures = rows.failures(in: plan)
    }
}

extension PackedRows {
    /// Views that could not be read, with the reason.
    package func failures(in plan: LookupPlan) -> [String: String] {
        Dictionary(
            failures.map { (plan.parts[$0.part].view.name, $0.reason) }, uniquingKeysWith: { first, _ in first })
    }

    /// A value that is PRESENT.
    func value(at index: Int, _ column: LookupPlan.Column) -> FeatureValue {
        unsafe withArena { unsafe Self.value(words[index], column.kind, column.element, column.dimension, $0) }
    }

    private static func value(
        _ word: ValueWord, _ kind: ValueKind, _ element: ScalarType, _ dimension: Int, _ arena: UnsafeRawBufferPointer
    ) -> FeatureValue {
        switch kind {
        case .bool: return .bool(word.bits == 1)
        case .int32: return .int32(Int32(truncatingIfNeeded: word.integer))
        case .int64: return .int64(word.integer)
        case .timestamp: return .timestamp(word.integer)
        case .float32: return .float32(word.float)
        case .float64:
            guard word.isRawDouble else { return .float64(word.decimalDouble) }
            let bits = unsafe arena.loadUnaligned(fromByteOffset: word.offset, as: UInt64.self).bigEndian
            return .float64(Double(bitPattern: bits))
        case .string:
            return unsafe .string(String(decoding: arena[word.offset..<word.offset + word.count], as: UTF8.self))
        case .bytes: return unsafe .bytes([UInt8](arena[word.offset..<word.offset + word.count]))
        case .list:
            var walk = unsafe RowWalk(bytes: arena, index: word.offset, end: arena.count)
            let elements = (0..<word.count).map { _ -> FeatureValue in
                guard let word = walk.word(element) else { return .null }
                return unsafe value(word, ValueKind(element), element, 0, arena)
            }
            return .list(elements)
        case .vector:
            return .vector(
                (0..<dimension).map { index in
                    let offset = word.offset + 4 * index
                    return Float(
                        bitPattern: unsafe arena.loadUnaligned(fromByteOffset: offset, as: UInt32.self).littleEndian)
                })
        }
    }
}
