import FeatureModel
import OnlineStore
import Testing

/// The tables of outcomes are in the conformance suite; here is what only the function shows.
struct RowPrecedenceTests {
    let key = EntityKey(canonical: "1")

    private func decide(_ stored: [UInt8]?, _ new: [UInt8], _ mode: WriteMode) throws -> RowPrecedence {
        guard let stored else { return try RowPrecedence.decide(stored: nil, new: new.span, mode: mode) }
        return try RowPrecedence.decide(stored: stored.span, new: new.span, mode: mode)
    }

    @Test(arguments: [WriteMode.newest, .repair, .compare, .push])
    func storedGarbageIsReplaced(mode: WriteMode) throws {
        let row = try RowSample(value: 1).packed(key)
        var otherFormat = row
        otherFormat[0] ^= 0x30
        for garbage in [[], [0x10], Array(row.prefix(16)), Array("some text of another program".utf8), otherFormat] {
            let decision = try decide(garbage, row, mode)
            #expect(decision.outcome == .replaced)
            let isCompare = if case .compare = mode { true } else { false }
            #expect(decision.action == (isCompare ? .keep : .put))
        }
    }

    @Test func compareKeepsWhateverItSays() throws {
        let row = try RowSample(value: 1).packed(key)
        let other = try RowSample(position: 2, value: 2).packed(key)
        #expect(try decide(nil, row, .compare).action == .keep)
        #expect(try decide(row, other, .compare).action == .keep)
        #expect(try decide(row, row, .compare).action == .keep)
    }

    @Test func onlyNewBytesArePutAndEqualOrderRenewsTheExpiry() throws {
        let row = try RowSample(position: 5, value: 1).packed(key)
        let conflicting = try RowSample(position: 5, value: 2).packed(key)
        let later = try RowSample(position: 6, value: 1).packed(key)
        #expect(try decide(row, row, .newest).action == .renewExpiry)
        #expect(try decide(row, conflicting, .newest).action == .renewExpiry)
        #expect(try decide(row, later, .newest).action == .put)
        #expect(try decide(later, row, .newest).action == .keep)
        #expect(try decide(row, row, .repair).action == .put)
    }

    @Test func newGarbageIsAnError() throws {
        #expect(throws: StoreError.self) { try decide(nil, [0x10, 1, 2], .newest) }
    }
}
