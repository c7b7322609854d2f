import FeatureModel
import LocalDatabase

/// A value that is not what the view describes.
struct ValueFault: Error {
    let column: String
    let rule: String
    let reason: String

    /// This fault as a row's.
    func rowFault(key: EntityKey?, position: String) -> RowFault {
        RowFault(key: key, column: column, rule: rule, reason: String(reason.prefix(200)), position: position)
    }
}

/// SQLite's values as features, strictly: nothing is guessed, rounded or cut.
enum SQLiteConversion {
    /// The longest text or blob taken from one column, in bytes.
    static let maximumBytes = 1 << 20

    /// The entity of the row. The key columns are the first ones.
    static func key(of row: SQLiteStatement, _ keys: [Entity.Key]) -> Result<EntityKey, ValueFault> {
        if keys.count == 1, case .integer = row.storage(0), keys[0].type == .int64 {
            return .success(EntityKey(canonical: String(row.integer(0))))
        }
        var values: [EntityKeyValue] = []
        values.reserveCapacity(keys.count)
        for (column, key) in keys.enumerated() {
            switch keyValue(row, column, key) {
            case .success(let value): values.append(value)
            case .failure(let fault): return .failure(fault)
            }
        }
        guard let key = EntityKey(values) else {
            return .failure(
                ValueFault(
                    column: keys[0].name, rule: "too_large",
                    reason: "the entity key is longer than \(EntityKey.maximumBytes) bytes"))
        }
        return .success(key)
    }

    /// One key column.
    static func keyValue(
        _ row: SQLiteStatement, _ column: Int, _ key: Entity.Key
    ) -> Result<EntityKeyValue, ValueFault> {
        func fault(_ rule: String, _ reason: String) -> Result<EntityKeyValue, ValueFault> {
            .failure(ValueFault(column: key.name, rule: rule, reason: reason))
        }
        let storage = row.storage(column)
        if case .null = storage { return fault("null_key", "the entity key is null") }
        switch (key.type, storage) {
        case (.int64, .integer): return .success(.integer(row.integer(column)))
        case (.int32, .integer):
            let number = row.integer(column)
            guard Int32(exactly: number) != nil else { return fault("range", "expected int32, found \(number)") }
            return .success(.integer(number))
        case (.int32, .real), (.int64, .real):
            guard let number = Int64(exactly: row.real(column)),
                key.type == .int64 || Int32(exactly: number) != nil
            else { return fault("type", "expected \(key.type.rawValue), found REAL \(row.real(column))") }
            return .success(.integer(number))
        case (.string, .text):
            guard row.byteCount(column) <= EntityKey.maximumBytes else {
                return fault("too_large", "a key of \(row.byteCount(column)) bytes")
            }
            guard let text = row.validText(column) else { return fault("encoding", "the key is not UTF-8") }
            return .success(.text(text))
        case (.bytes, .blob):
            guard row.byteCount(column) <= EntityKey.maximumBytes else {
                return fault("too_large", "a key of \(row.byteCount(column)) bytes")
            }
            return .success(.bytes(row.blob(column)))
        default: return fault("type", "expected \(key.type.rawValue), found \(storage.name)")
        }
    }

    /// Appends a number that is stored as its feature's type says, as most are; `false` leaves any other to `append`.
    @inline(__always)
    static func appendNumber(
        _ row: SQLiteStatement, _ column: Int, _ type: FeatureType, to values: inout [FeatureValue]
    ) -> Bool {
        switch (type, row.storage(column)) {
        case (.scalar(.int64), .integer):
            values.append(.int64(row.integer(column)))
            return true
        case (.scalar(.float64), .real):
            let number = row.real(column)
            guard number.isFinite else { return false }
            values.append(.float64(number))
            return true
        default: return false
        }
    }

    /// Appends the feature in `column`, or nothing and says why.
    static func append(
        _ row: SQLiteStatement, _ column: Int, _ feature: Feature, to values: inout [FeatureValue]
    ) -> ValueFault? {
        let storage = row.storage(column)
        if case .null = storage {
            values.append(.null)
            return nil
        }
        switch feature.type {
        case .scalar(let scalar):
            switch storage {
            case .integer: return integer(row.integer(column), scalar, feature, &values)
            case .real: return real(row.real(column), scalar, feature, &values)
            case .text: return text(row, column, scalar, feature, &values)
            case .blob:
                guard scalar == .bytes else { break }
                guard row.byteCount(column) <= maximumBytes else { return tooLarge(row, column, feature) }
                values.append(.bytes(row.blob(column)))
                return nil
            case .null: break
            }
        case .list, .vector: return collection(row, column, storage, feature, &values)
        }
        return mismatch(feature, storage.name)
    }

    private static func integer(
        _ number: Int64, _ type: ScalarType, _ feature: Feature, _ values: inout [FeatureValue]
    ) -> ValueFault? {
        switch type {
        case .int64: values.append(.int64(number))
        case .int32:
            guard let small = Int32(exactly: number) else { return outOfRange(feature, number) }
            values.append(.int32(small))
        case .float64:
            guard let exact = Double(exactly: number) else { return outOfRange(feature, number) }
            values.append(.float64(exact))
        case .float32:
            guard let exact = Float(exactly: number) else { return outOfRange(feature, number) }
            values.append(.float32(exact))
        case .bool:
            guard number == 0 || number == 1 else { return mismatch(feature, "INTEGER \(number)") }
            values.append(.bool(number == 1))
        case .timestamp:
            guard Timestamps.range.contains(number) else { return outOfRange(feature, number) }
            values.append(.timestamp(number))
        case .string, .bytes: return mismatch(feature, "INTEGER")
        }
        return nil
    }

    private static func real(
        _ number: Double, _ type: ScalarType, _ feature: Feature, _ values: inout [FeatureValue]
    ) -> ValueFault? {
        guard number.isFinite else {
            return ValueFault(column: feature.name, rule: "not_finite", reason: "expected a finite number")
        }
        switch type {
        case .float64: values.append(.float64(number))
        case .float32:
            let rounded = Float(number)
            guard rounded.isFinite else { return outOfRange(feature, number) }
            values.append(.float32(rounded))
        case .int64, .int32:
            guard let exact = Int64(exactly: number) else { return mismatch(feature, "REAL \(number)") }
            return integer(exact, type, feature, &values)
        case .bool, .string, .bytes, .timestamp: return mismatch(feature, "REAL")
        }
        return nil
    }

    private static func text(
        _ row: SQLiteStatement, _ column: Int, _ type: ScalarType, _ feature: Feature, _ values: inout [FeatureValue]
    ) -> ValueFault? {
        guard type == .string || type == .timestamp else { return mismatch(feature, "TEXT") }
        guard row.byteCount(column) <= maximumBytes else { return tooLarge(row, column, feature) }
        guard let text = row.validText(column) else {
            return ValueFault(column: feature.name, rule: "encoding", reason: "the text is not UTF-8")
        }
        if type == .string {
            values.append(.string(text))
        } else if let time = text.utf8.count <= 40 ? Timestamps.parse(text) : nil {
            values.append(.timestamp(time))
        } else {
            return mismatch(feature, "text that is not RFC 3339")
        }
        return nil
    }

    private static func collection(
        _ row: SQLiteStatement, _ column: Int, _ storage: SQLiteStorage, _ feature: Feature,
        _ values: inout [FeatureValue]
    ) -> ValueFault? {
        guard row.byteCount(column) <= maximumBytes else { return tooLarge(row, column, feature) }
        switch (feature.type, storage) {
        case (.list(let scalar), .text):
            guard let elements = FlatJSON.list(row.textBytes(column), of: scalar) else {
                return mismatch(feature, "text that is not a JSON array of \(scalar.rawValue)")
            }
            values.append(.list(elements))
        case (.vector(let dimension), .text):
            guard let elements = FlatJSON.vector(row.textBytes(column)) else {
                return mismatch(feature, "text that is not a JSON array of numbers")
            }
            return vector(elements, dimension, feature, &values)
        case (.vector(let dimension), .blob):
            guard row.byteCount(column) == 4 * dimension else {
                return dimensionFault(feature, dimension, "\(row.byteCount(column)) bytes")
            }
            return vector(row.withBytes(column, littleEndianFloats), dimension, feature, &values)
        default: return mismatch(feature, storage.name)
        }
        return nil
    }

    private static func littleEndianFloats(_ bytes: Span<UInt8>) -> [Float] {
        var floats: [Float] = []
        floats.reserveCapacity(bytes.count / 4)
        for start in stride(from: 0, to: bytes.count - 3, by: 4) {
            var bits: UInt32 = 0
            for offset in 0..<4 { bits |= UInt32(bytes[start + offset]) << UInt32(8 * offset) }
            floats.append(Float(bitPattern: bits))
        }
        return floats
    }

    private static func vector(
        _ elements: [Float], _ dimension: Int, _ feature: Feature, _ values: inout [FeatureValue]
    ) -> ValueFault? {
        guard elements.count == dimension else {
            return dimensionFault(feature, dimension, "\(elements.count) elements")
        }
        guard elements.allSatisfy(\.isFinite) else {
            return ValueFault(column: feature.name, rule: "not_finite", reason: "expected finite numbers")
        }
        values.append(.vector(elements))
        return nil
    }

    private static func dimensionFault(_ feature: Feature, _ dimension: Int, _ found: String) -> ValueFault {
        ValueFault(column: feature.name, rule: "dimension", reason: "expected vector(\(dimension)), found \(found)")
    }

    private static func mismatch(_ feature: Feature, _ found: String) -> ValueFault {
        ValueFault(column: feature.name, rule: "type", reason: "expected \(feature.type.spelling), found \(found)")
    }

    private static func outOfRange(_ feature: Feature, _ found: some CustomStringConvertible) -> ValueFault {
        ValueFault(
            column: feature.name, rule: "range", reason: "\(found) does not fit \(feature.type.spelling) exactly")
    }

    private static func tooLarge(_ row: SQLiteStatement, _ column: Int, _ feature: Feature) -> ValueFault {
        ValueFault(
            column: feature.name, rule: "too_large",
            reason: "\(row.byteCount(column)) bytes; at most \(maximumBytes) are taken")
    }
}

extension SQLiteStorage {
    /// SQLite's name of the storage class.
    var name: String {
        switch self {
        case .null: "NULL"
        case .integer: "INTEGER"
        case .real: "REAL"
        case .text: "TEXT"
        case .blob: "BLOB"
        }
    }
}
