import FeatureModel
import RowCodec

/// What a store does with one row it is asked to write. The rules of every home, but Redis' script has its own copy of
/// them. `schemas/row-format.md` has the table.
package struct RowPrecedence: Sendable, Equatable {
    /// What happens to the stored row.
    package enum Action: Sendable {
        /// Nothing, not even to its expiry.
        case keep
        /// Its bytes stay; it lives as long as the new one would.
        case renewExpiry
        /// The new bytes and expiry take its place.
        case put
    }

    /// What the writer is told.
    package let outcome: WriteOutcome
    /// What the store does.
    package let action: Action

    /// Decides between a stored row, `nil` for none, and a new one.
    ///
    /// - Throws: `corrupt` when the new bytes are not a packed row; `tooLarge` when they exceed the limit.
    package static func decide(
        stored: Span<UInt8>?, new: Span<UInt8>, mode: WriteMode
    ) throws(StoreError) -> RowPrecedence {
        let newHeader = try header(ofNew: new)
        let decision = decide(stored, new, newHeader, mode)
        switch mode {
        case .newest, .repair, .push: return decision
        case .compare: return RowPrecedence(outcome: decision.outcome, action: .keep)
        }
    }

    private static func decide(
        _ stored: Span<UInt8>?, _ new: Span<UInt8>, _ newHeader: RowHeader, _ mode: WriteMode
    ) -> RowPrecedence {
        guard let stored else { return RowPrecedence(outcome: .created, action: .put) }
        let storedHeader: RowHeader
        do {
            storedHeader = try RowHeader(stored)
        } catch {
            // What nobody can read is worth less than any row.
            return RowPrecedence(outcome: .replaced, action: .put)
        }
        let isSame = haveSameContent(stored, storedHeader, new, newHeader)
        switch mode {
        case .push: return decidePush(storedHeader, newHeader, isSame)
        case .newest, .repair, .compare: break
        }
        switch standing(storedHeader, newHeader, mode) {
        case .later: return RowPrecedence(outcome: .older, action: .keep)
        case .earlier: return RowPrecedence(outcome: isSame ? .renewed : .replaced, action: .put)
        case .equal: return RowPrecedence(outcome: isSame ? .renewed : .conflict, action: .renewExpiry)
        }
    }

    /// How a stored row stands to a new one.
    private enum Standing {
        case earlier
        case equal
        case later
    }

    private static func standing(_ stored: RowHeader, _ new: RowHeader, _ mode: WriteMode) -> Standing {
        let events: (stored: Int64, new: Int64)? =
            if let old = stored.order.eventTime, let young = new.order.eventTime { (old, young) } else { nil }
        if case .newest = mode {
            if stored.isPushed, let events {
                // What was pushed knows no history of the source: the event decides, and at the same one the source.
                if events.stored != events.new { return events.stored < events.new ? .earlier : .later }
                return stored.order.precedesByPosition(new.order) ? .earlier : .later
            }
            if stored.order.precedes(new.order) { return .earlier }
            return new.order.precedes(stored.order) ? .later : .equal
        }
        // The source's truth has not seen what was pushed ahead of it.
        if stored.isPushed, events.map({ $0.stored > $0.new }) ?? true { return .later }
        return new.order.precedesByPosition(stored.order) ? .later : .earlier
    }

    private static func decidePush(_ stored: RowHeader, _ new: RowHeader, _ isSame: Bool) -> RowPrecedence {
        if let old = stored.order.eventTime, let young = new.order.eventTime {
            if young < old { return RowPrecedence(outcome: .older, action: .keep) }
        } else if stored.isTombstone {
            return RowPrecedence(outcome: .older, action: .keep)
        }
        // It doesn't carry the place of what it would replace: another write came between.
        if new.order.precedesByPosition(stored.order) { return RowPrecedence(outcome: .conflict, action: .keep) }
        return isSame
            ? RowPrecedence(outcome: .renewed, action: .renewExpiry) : RowPrecedence(outcome: .replaced, action: .put)
    }

    /// Whether two rows differ at most in epoch, position, check and in who wrote them.
    private static func haveSameContent(
        _ left: Span<UInt8>, _ leftHeader: RowHeader, _ right: Span<UInt8>, _ rightHeader: RowHeader
    ) -> Bool {
        guard leftHeader.flags.content == rightHeader.flags.content, left.count == right.count,
            leftHeader.order.eventTime == rightHeader.order.eventTime
        else { return false }
        for index in leftHeader.bodyOffset..<left.count where left[index] != right[index] { return false }
        return true
    }

    private static func header(ofNew row: Span<UInt8>) throws(StoreError) -> RowHeader {
        do {
            return try RowHeader(row)
        } catch {
            if error.code == .tooLarge { throw StoreError(.tooLarge, "a row to write is too large") }
            throw StoreError(.corrupt, "a row to write is not a packed row", detail: error.description)
        }
    }
}
