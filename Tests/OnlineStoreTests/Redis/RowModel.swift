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
            if case .push = mode { return push(old, row) }
            let isOlder: Bool
            let isEqual: Bool
            switch mode {
            case .newest where old.isPushed && old.order.eventTime != nil && row.order.eventTime != nil:
                let (events, others) = (row.order.eventTime ?? 0, old.order.eventTime ?? 0)
                isOlder = events < others || (events == others && !old.order.precedesByPosition(row.order))
                isEqual = false
            case .newest:
                isOlder = row.order.precedes(old.order)
                isEqual = !old.order.precedes(row.order)
            case .repair, .compare, .push:
                isOlder = row.order.precedesByPosition(old.order) || (old.isPushed && !isEventSince(old, row))
                isEqual = false
            }
            if isOlder { return .older }
            if hasSameContent(old, row) { return .renewed }
            return isEqual ? .conflict : .replaced
        }
    }

    /// Whether both rows have an event time, the new one's no earlier.
    private static func isEventSince(_ old: PackedRow, _ new: PackedRow) -> Bool {
        guard let events = new.order.eventTime, let others = old.order.eventTime else { return false }
        return events >= others
    }

    private static func push(_ old: PackedRow, _ row: PackedRow) -> WriteOutcome {
        let areComparable = old.order.eventTime != nil && row.order.eventTime != nil
        if areComparable ? !isEventSince(old, row) : old.isTombstone { return .older }
        if row.order.precedesByPosition(old.order) { return .conflict }
        return hasSameContent(old, row) ? .renewed : .replaced
    }

    /// What lies under the key afterwards.
    static func result(_ stored: Stored, _ row: PackedRow, _ mode: WriteMode) -> Stored {
        if case .compare = mode { return stored }
        switch outcome(stored, row, mode) {
        case .older, .conflict: return stored
        case .renewed where mode == .push: return stored
        // With the same order it is the same row: all rows of a key have one check.
        case .created, .renewed, .replaced: return .row(row)
        }
    }

    private static func hasSameContent(_ old: PackedRow, _ new: PackedRow) -> Bool {
        old.isTombstone == new.isTombstone && old.order.eventTime == new.order.eventTime && old.body == new.body
    }
}
