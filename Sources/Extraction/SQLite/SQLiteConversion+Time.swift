import FeatureModel
import LocalDatabase

extension SQLiteConversion {
    /// Whether a soft-delete mark is set: not null, not 0, not empty, not `false`.
    static func isTrue(_ row: SQLiteStatement, _ column: Int) -> Bool {
        switch row.storage(column) {
        case .null: return false
        case .integer: return row.integer(column) != 0
        case .real: return row.real(column) != 0
        case .blob: return row.byteCount(column) > 0
        case .text:
            guard row.byteCount(column) <= 8 else { return true }
            return !["", "0", "false", "f"].contains(row.text(column).lowercased())
        }
    }

    /// A time: RFC 3339 text, or an integer that counts as the column says (microseconds where it says nothing).
    static func time(_ row: SQLiteStatement, _ column: Int, _ time: TimeColumn) -> Result<Int64, ValueFault> {
        func fault(_ rule: String, _ reason: String) -> Result<Int64, ValueFault> {
            .failure(ValueFault(column: time.column, rule: rule, reason: reason))
        }
        switch row.storage(column) {
        case .null: return fault("null_time", "the time is null")
        case .integer:
            let number = row.integer(column)
            let (micros, overflow) = number.multipliedReportingOverflow(by: (time.unit ?? .microseconds).microseconds)
            guard !overflow, Timestamps.range.contains(micros) else { return fault("range", "\(number) is no time") }
            return .success(micros)
        case .text:
            guard time.unit == nil else { return fault("type", "expected an integer time, found TEXT") }
            guard row.byteCount(column) <= 40, let micros = Timestamps.parse(row.text(column)) else {
                return fault("type", "expected an RFC 3339 time, found other text")
            }
            return .success(micros)
        case .real, .blob: return fault("type", "expected a time, found \(row.storage(column).name)")
        }
    }

    /// What is wrong with a row's watermark, if anything. `style` is the one that texts must have, where it is known.
    static func watermarkFault(
        _ row: SQLiteStatement, _ column: Int, _ watermark: WatermarkColumn, style: TextTimeStyle?, future: Int64
    ) -> ValueFault? {
        func fault(_ rule: String, _ reason: String) -> ValueFault {
            ValueFault(column: watermark.column, rule: rule, reason: reason)
        }
        let storage = row.storage(column)
        switch storage {
        case .null: return fault("null_watermark", "the watermark is null: the row can't be found by it")
        case .integer where watermark.unit == nil: return nil
        case .integer, .text:
            switch time(row, column, TimeColumn(column: watermark.column, unit: watermark.unit)) {
            case .failure(let broken): return broken
            case .success(let found) where found >= future:
                return fault("future", "\(Timestamps.format(found)) is in the future")
            case .success: break
            }
            if let style, storage.name == "TEXT", !row.withBytes(column, style.matches) {
                return fault("style", "the watermark is written unlike others, such as \(style.render(0))")
            }
            return nil
        case .real, .blob: return fault("type", "expected a watermark, found \(storage.name)")
        }
    }
}
