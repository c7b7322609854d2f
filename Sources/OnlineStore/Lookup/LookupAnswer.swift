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

    private let plan: LookupPlan
    private let keys: LookupKeys
    /// Read, and not looked into before a value is wanted: most of a pipeline's values become numbers, nothing else.
    private let packed: PackedRows
    private let now: Int64
    /// Views that could not be read, with the reason.
    package let failures: [String: String]

    /// What was asked for, in that order.
    package var features: [FeatureReference] { plan.features }
    /// How many values of each view had which status.
    package var counts: LookupCounts { packed.counts }
    /// The version of each view that was read.
    package var versions: [String: Int] { plan.versions }

    /// Reads the rows of a request. `now` is in microseconds since 1970, for ages. With `keepsStale` a row that is too old is
    /// as good as any.
    package init(
        _ plan: LookupPlan, _ keys: LookupKeys, _ packed: inout PackedRows, now: Int64, keepsStale: Bool = false
    ) {
        packed.decode(plan, keys, now: now, keepsStale: keepsStale)
        self.plan = plan
        self.keys = keys
        self.packed = packed
        self.now = now
        failures = packed.failures(in: plan)
    }

    /// How many entities were asked for.
    package var count: Int { keys.entityCount }

    /// A row an entity asked for.
    package var rows: [[Value]] {
        packed.withDecoded(keys) { decoded in
            (0..<count).map { row in plan.columns.map { Self.value(decoded, plan, $0, row, now: now) } }
        }
    }

    /// The value of the feature in that place, `0..<features.count`, of the entity in that place, `0..<count`.
    package func value(_ column: Int, at row: Int) -> Value {
        packed.withDecoded(keys) { Self.value($0, plan, plan.columns[column], row, now: now) }
    }

    /// Calls `body` with the numbers of a feature, for many rows after each other; `false` for a feature that is no number.
    package func withNumbers(_ column: Int, _ body: (borrowing Numbers) -> Void) -> Bool {
        let column = plan.columns[column]
        switch column.kind {
        case .int32, .int64, .float32, .float64: break
        default: return false
        }
        let part = plan.parts[Int(column.part)]
        let defaultNumber = part.view.features[part.features[Int(column.slot)]].defaultValue?.number
        packed.withDecoded(keys) { body(Numbers(rows: $0, column: column, defaultNumber: defaultNumber)) }
        return true
    }

    /// The numbers of one feature.
    package struct Numbers: ~Copyable {
        fileprivate let rows: DecodedRows
        fileprivate let column: LookupPlan.Column
        fileprivate let defaultNumber: Double?

        /// That of the entity in that place, `0..<count`; `nil` where it is neither PRESENT nor DEFAULTED.
        package func number(at row: Int) -> Double? {
            let index = column.start(rows.entityCount) + row * Int(column.slotCount)
            switch ValueMark.status(rows.mark(index)) {
            case .defaulted: return defaultNumber
            case .present: break
            default: return nil
            }
            let word = rows.word(index)
            return switch column.kind {
            case .int32, .int64: Double(word.integer)
            case .float32: Double(word.float)
            default: word.isRawDouble ? rows.rawDouble(word) : word.decimalDouble
            }
        }
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
