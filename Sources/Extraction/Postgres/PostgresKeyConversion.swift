import FeatureModel

/// Turns cells into key values.
struct PostgresKeyConversion: Sendable {
    private let kind: PostgresType.Kind
    private let type: EntityKeyType

    /// - Returns: `nil` when the column's values can't be keys of that type.
    init?(_ column: PostgresType, to type: EntityKeyType) {
        kind = column.kind
        self.type = type
        switch (type, column.kind) {
        case (.int32, .integer), (.int64, .integer), (.int32, .numeric), (.int64, .numeric), (.bytes, .bytes),
            (.string, .text), (.string, .padded), (.string, .uuid), (.string, .enumeration):
            break
        default: return nil
        }
    }

    /// Texts that come without a column: those of the log of deletes.
    init(logged type: EntityKeyType) {
        kind = .text
        self.type = type
    }

    /// The key value of a cell.
    func value(_ cell: PostgresCell) throws(CellFault) -> EntityKeyValue {
        switch cell {
        case .null: throw CellFault("null_key", "expected \(type.rawValue), found null")
        case .undecodable: throw CellFault("encoding", "expected UTF-8")
        case .text(let text):
            switch type {
            case .int64: return .integer(try PostgresConversion.integer(text))
            case .int32:
                let value = try PostgresConversion.integer(text)
                guard Int32(exactly: value) != nil else { throw CellFault("range", "expected int32, found \(value)") }
                return .integer(value)
            case .string: return .text(try PostgresConversion.string(text, kind))
            case .bytes: return .bytes(try PostgresConversion.bytes(text))
            }
        }
    }
}

/// Turns cells of a time column into microseconds since 1970.
struct PostgresTimeConversion: Sendable {
    private let unit: TimeColumn.Unit?

    /// - Returns: `nil` when the column holds no times, or integers without a unit.
    init?(_ column: PostgresType, unit: TimeColumn.Unit?) {
        switch column.kind {
        case .time, .text, .padded: self.unit = nil
        case .integer:
            guard let unit else { return nil }
            self.unit = unit
        default: return nil
        }
    }

    /// Microseconds since 1970.
    func value(_ cell: PostgresCell) throws(CellFault) -> Int64 {
        guard case .text(let text) = cell else {
            throw CellFault("null_time", cell == .null ? "expected a time, found null" : "expected UTF-8")
        }
        guard let unit else { return try PostgresConversion.time(text) }
        let (value, isOver) = try PostgresConversion.integer(text).multipliedReportingOverflow(by: unit.microseconds)
        guard !isOver, Timestamps.range.contains(value) else {
            throw CellFault("range", "expected a time in the years 1 to 9999, found \(text)\(unit.rawValue)")
        }
        return value
    }
}

extension PostgresType.Kind {
    /// Whether a cell of a soft-delete column says "deleted": not null, not 0, not false, not empty.
    func isTrue(_ cell: PostgresCell) -> Bool {
        guard case .text(let text) = cell else { return cell == .undecodable }
        switch self {
        case .bool: return text == "t"
        case .integer, .numeric, .float4, .float8: return Double(text) != 0
        case .padded: return text.contains { $0 != " " }
        case .bytes: return text != "\\x"
        default: return !text.isEmpty
        }
    }
}
