import FeatureModel
import OnlineStore
import RowCodec
import Sync
import Testing

/// `explain` tells a row that a caller pushed from one that the source has.
@Suite(.timeLimit(.minutes(1)))
struct ExplainPushTests {
    @Test
    func aPushedRowIsSaidToBeOneUntilTheSourceConfirmsIt() async throws {
        try await EngineFixture.with { fixture async throws in
            try await fixture.insert(1...1)
            try await fixture.sync()
            let key = EntityKey(canonical: "1")
            let version = try #require(try await fixture.versions.current)
            func explain() async throws -> RowExplanation {
                try await Explainer(fixture.engine).explain(key, version: version)
            }
            let before = try await explain()
            #expect(before.pushed == false && !before.text.contains("pushed"))
            let session = try await fixture.store.openSession(Lease(name: "thing", owner: "push", token: 0))
            var batch = RowBatch()
            try batch.append(key, ttlMilliseconds: 60_000) { bytes throws(RowCodecError) in
                try RowEncoder(view: EngineFixture.view()).encode(
                    key: key, order: RowOrder(epoch: 1, eventTime: 1_800_000_000_000_000, position: 1),
                    values: [.int64(7), .string("pushed")], isPushed: true, into: &bytes)
            }
            _ = try await session.write(batch, in: fixture.space(1), mode: .push)
            let after = try await explain()
            #expect(after.pushed == true && after.found == "row")
            #expect(after.eventTime == "2027-01-15T08:00:00Z")
            #expect(after.text.contains("\n  pushed           past its source"), "\(after.text)")
        }
    }
}
