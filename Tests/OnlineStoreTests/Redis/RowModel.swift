import FeatureModel
import OnlineStore

/// What the write script must do, said once more in Swift by the words of `RowOrder`.
enum RowModel {
    /// What lies under a key.
    enum Stored {
        case nothing
        case row(PackedRow)
        /// Another type or format.
        case foreign
    }

    static func outcome(_ stored: Stored, _ row: PackedRow, _ mode: WriteMode) -> WriteOutcome {
        switch stored {
        case .nothing: return .created
        case .foreign: return .replaced
        case .row(let old):
            let isOlder: Bool =
                switch mode {
                case .newest: row.order.precedes(old.order)
                case .repair, .compare: row.order.precedesByPosition(old.order)
                }
            if isOlder { return .older }
            if hasSameContent(old, row) { return .renewed }
            if case .newest = mode, !old.order.precedes(row.order) { return .conflict }
            return .replaced
        }
    }

    /// What lies under the key afterwards.
    static func result(_ stored: Stored, _ row: PackedRow, _ mode: WriteMode) -> Stored {
        if case .compare = mode { return stored }
        switch outcome(stored, row, mode) {
        case .older, .conflict: return stored
        // With the same order it is the same row: all rows of a key have one check.
        case .created, .renewed, .replaced: return .row(row)
        }
    }

    private static func hasSameContent(_ old: PackedRow, _ new: PackedRow) -> Bool {
        old.isTombstone == new.isTombstone && old.order.eventTime == new.order.eventTime && old.body == new.body
    }
}
