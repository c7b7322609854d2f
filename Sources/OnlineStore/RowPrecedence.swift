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
        case .newest, .repair: return decision
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
        case .newest:
            if newHeader.order.precedes(storedHeader.order) { return RowPrecedence(outcome: .older, action: .keep) }
            if storedHeader.order.precedes(newHeader.order) {
                return RowPrecedence(outcome: isSame ? .renewed : .replaced, action: .put)
            }
            return RowPrecedence(outcome: isSame ? .renewed : .conflict, action: .renewExpiry)
        case .repair, .compare:
            if newHeader.order.precedesByPosition(storedHeader.order) {
                return RowPrecedence(outcome: .older, action: .keep)
            }
            return RowPrecedence(outcome: isSame ? .renewed : .replaced, action: .put)
        }
    }

    /// Whether two rows differ at most in epoch, position and check.
    private static func haveSameContent(
        _ left: Span<UInt8>, _ leftHeader: RowHeader, _ right: Span<UInt8>, _ rightHeader: RowHeader
    ) -> Bool {
        guard leftHeader.flags == rightHeader.flags, left.count == right.count,
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
