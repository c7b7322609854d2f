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
        case .created, .renewed, .replaced: return .row(row)
        }
    }

    private static func hasSameContent(_ old: PackedRow, _ new: PackedRow) -> Bool {
        old.isTombstone == new.isTombstone && old.order.eventTime == new.order.eventTime && old.body == new.body
    }
}

/// SplitMix64.
struct Seeded: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}
