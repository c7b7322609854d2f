import FeatureModel
import LocalDatabase

/// What a watermark column holds, found out from its values, and the bounds that follow.
enum SQLiteWatermark: Hashable, Sendable {
    case sequence
    case integerTime(TimeColumn.Unit)
    case textTime(TextTimeStyle)

    /// A value that all rows lie below that may be read at `time`: the unit that `time` falls into may still grow.
    func upperBound(_ time: Int64) -> SQLiteValue {
        switch self {
        // Every number is less than every text.
        case .sequence: .text("")
        case .integerTime(let unit): .integer(Self.floor(time, unit.microseconds))
        case .textTime(let style): .text(style.render(time))
        }
    }

    /// `value` less the view's lookback; `nil` when there is none, or the value is no watermark.
    func lookback(from value: SQLiteValue, _ column: WatermarkColumn) -> SQLiteValue? {
        switch (self, value) {
        case (.sequence, .integer(let number)):
            guard column.lookbackCount > 0 else { return nil }
            let (bound, overflow) = number.subtractingReportingOverflow(column.lookbackCount)
            return .integer(overflow ? .min : bound)
        case (.integerTime(let unit), .integer(let number)):
            guard column.lookback > .zero else { return nil }
            let units = (column.lookback.wholeMicroseconds + unit.microseconds - 1) / unit.microseconds
            let (bound, overflow) = number.subtractingReportingOverflow(units)
            return .integer(overflow ? .min : bound)
        case (.textTime(let style), .text(let text)):
            guard column.lookback > .zero, let time = Timestamps.parse(text) else { return nil }
            return .text(style.render(time - column.lookback.wholeMicroseconds))
        default: return nil
        }
    }

    /// The time of a watermark, in microseconds since 1970; `nil` for sequences.
    func time(of value: SQLiteValue) -> Int64? {
        switch (self, value) {
        case (.integerTime(let unit), .integer(let number)):
            let (micros, overflow) = number.multipliedReportingOverflow(by: unit.microseconds)
            return overflow ? nil : micros
        case (.textTime, .text(let text)): return Timestamps.parse(text)
        default: return nil
        }
    }

    private static func floor(_ value: Int64, _ unit: Int64) -> Int64 {
        value / unit - (value % unit < 0 ? 1 : 0)
    }

    /// How many of the greatest, and of the least, values decide.
    static let sample = 100

    /// Finds out from the values of `column` in `subquery`; `nil` when there are none yet.
    ///
    /// - Throws: `schemaMismatch` when the values are neither integers nor RFC 3339 text.
    static func find(
        _ column: WatermarkColumn, in subquery: String, future: Int64, view: String, _ connection: SQLiteConnection
    ) throws -> SQLiteWatermark? {
        if let unit = column.unit { return .integerTime(unit) }
        var found = try census(column, in: subquery, "DESC", future: future, connection)
        if found.isUnclear { found = try census(column, in: subquery, "ASC", future: future, connection) }
        if found.integers > 0, found.integers >= found.styles.values.reduce(0, +) { return .sequence }
        let candidates = found.styles.isEmpty ? found.futureStyles : found.styles
        if let style = candidates.max(by: { $0.value < $1.value })?.key { return .textTime(style) }
        guard let strange = found.strange else { return nil }
        throw ExtractionError(
            .schemaMismatch, "the watermark column has unusable values",
            detail: "view \(view), column \(column.column): expected integers or RFC 3339 text, found \(strange)")
    }

    /// Looks at the least and the greatest values together.
    ///
    /// - Throws: `schemaMismatch` when times are written in several styles: their texts don't sort as their times do.
    static func requireOneStyle(
        _ column: WatermarkColumn, in subquery: String, future: Int64, view: String, _ connection: SQLiteConnection
    ) throws {
        guard column.unit == nil else { return }
        let greatest = try census(column, in: subquery, "DESC", future: future, connection)
        let least = try census(column, in: subquery, "ASC", future: future, connection)
        let styles = greatest.styles.merging(least.styles, uniquingKeysWith: +)
        guard styles.count > 1 else { return }
        let examples = styles.keys.map { $0.render(0) }.sorted().joined(separator: "' and '")
        throw ExtractionError(
            .schemaMismatch, "the watermark column has times in several styles",
            detail: "view \(view), column \(column.column): expected one, found '\(examples)'")
    }

    private struct Census {
        var integers = 0
        var styles: [TextTimeStyle: Int] = [:]
        var futureStyles: [TextTimeStyle: Int] = [:]
        var strange: String?
        var isUnclear: Bool { integers == 0 && styles.isEmpty }
    }

    private static func census(
        _ column: WatermarkColumn, in subquery: String, _ direction: String, future: Int64,
        _ connection: SQLiteConnection
    ) throws -> Census {
        let name = SQLiteQueries.ordered(column.column)
        let values = try connection.rows(
            """
            SELECT \(name) FROM (\n\(subquery)\n) AS _r WHERE \(name) IS NOT NULL
            ORDER BY \(name) \(direction) LIMIT \(sample)
            """)
        var found = Census()
        for value in values.compactMap(\.first) {
            switch value {
            case .integer: found.integers += 1
            case .text(let text):
                if let style = TextTimeStyle(text), let time = Timestamps.parse(text) {
                    if time < future {
                        found.styles[style, default: 0] += 1
                    } else {
                        found.futureStyles[style, default: 0] += 1
                    }
                } else {
                    found.strange = "text that is not RFC 3339"
                }
            case .real: found.strange = "REAL"
            case .blob, .null: found.strange = "BLOB"
            }
        }
        return found
    }
}
