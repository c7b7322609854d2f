import FeatureModel
import OnlineStore
import Testing

// What callers push past the source: `schemas/row-format.md` has the rules.
extension StoreConformance {
    struct PushCase: Sendable {
        let name: String
        let stored: RowSample
        let new: RowSample
        let mode: WriteMode
        let outcome: WriteOutcome
        /// Whether the new row lies there afterwards.
        let isPut: Bool
    }

    private static func source(
        _ eventTime: Int64?, _ value: Int64?, epoch: UInt16 = 3, position: UInt64 = 50
    ) -> RowSample {
        RowSample(epoch: epoch, eventTime: eventTime, position: position, value: value)
    }

    private static func pushed(
        _ eventTime: Int64, _ value: Int64, epoch: UInt16 = 3, position: UInt64 = 50
    ) -> RowSample {
        RowSample(epoch: epoch, eventTime: eventTime, position: position, value: value, isPushed: true)
    }

    static let pushCases: [PushCase] = {
        let table: [(String, RowSample, RowSample, WriteMode, WriteOutcome, Bool)] = [
            ("later event over the source's row", source(100, 1), pushed(101, 2), .push, .replaced, true),
            ("same event over the source's row", source(100, 1), pushed(100, 2), .push, .replaced, true),
            ("earlier event", source(100, 1), pushed(99, 2), .push, .older, false),
            ("what the source had said", source(100, 1), pushed(100, 1), .push, .renewed, false),
            ("over a row of an unknown time", source(nil, 1), pushed(1, 2), .push, .replaced, true),
            ("over a soft delete", source(100, nil), pushed(101, 2), .push, .replaced, true),
            ("from before a soft delete", source(100, nil), pushed(99, 2), .push, .older, false),
            ("over a hard delete", source(nil, nil), pushed(900, 2), .push, .older, false),
            ("over another push", pushed(100, 1), pushed(100, 2), .push, .replaced, true),
            ("before another push", pushed(100, 1), pushed(99, 2), .push, .older, false),
            ("when the source wrote meanwhile", source(100, 1), pushed(101, 2, position: 49), .push, .conflict, false),
            ("in a new epoch", source(100, 1), pushed(101, 2, epoch: 2, position: 90), .push, .conflict, false),
            ("older, and the source wrote meanwhile", source(100, 1), pushed(99, 2, position: 0), .push, .older, false),

            ("source, later event", pushed(100, 1), source(101, 2), .newest, .replaced, true),
            (
                "source, earlier event, later position", pushed(100, 1), source(99, 2, position: 90), .newest, .older,
                false
            ),
            ("source, earlier event, later epoch", pushed(100, 1), source(99, 2, epoch: 9), .newest, .older, false),
            ("source, same event, later", pushed(100, 1), source(100, 2, position: 51), .newest, .replaced, true),
            ("source confirms, later", pushed(100, 1), source(100, 1, position: 51), .newest, .renewed, true),
            ("source, same event, read before", pushed(100, 1), source(100, 2, position: 50), .newest, .older, false),
            (
                "hard delete after the row replaced", pushed(100, 1), source(nil, nil, position: 51), .newest,
                .replaced, true
            ),
            (
                "hard delete before the row replaced", pushed(100, 1), source(nil, nil, position: 49), .newest, .older,
                false
            ),
            ("soft delete, later event", pushed(100, 1), source(101, nil), .newest, .replaced, true),

            ("sweep, earlier event", pushed(100, 1), source(99, 2, position: 90), .repair, .older, false),
            ("sweep, earlier event, later epoch", pushed(100, 1), source(99, 2, epoch: 9), .repair, .older, false),
            ("sweep, same event", pushed(100, 1), source(100, 2, position: 90), .repair, .replaced, true),
            ("sweep confirms", pushed(100, 1), source(100, 1, position: 90), .repair, .renewed, true),
            ("sweep finds nothing", pushed(100, 1), source(nil, nil, position: 90), .repair, .older, false),
            ("comparison, earlier event", pushed(100, 1), source(99, 2, position: 90), .compare, .older, false),
            ("comparison, later event", pushed(100, 1), source(101, 2, position: 90), .compare, .replaced, false),
        ]
        return table.map {
            PushCase(name: $0.0, stored: $0.1, new: $0.2, mode: $0.3, outcome: $0.4, isPut: $0.5)
        }
    }()

    @Test(arguments: StoreHome.available)
    func pushesAndTheSourceNeverReplaceWhatIsNewer(home: StoreHome) async throws {
        try await home.withStore { store async throws in
            let space = Self.uniqueSpace()
            let session = try await Self.openSession(store)
            for (index, sample) in Self.pushCases.enumerated() {
                let key = Self.entity(index)
                let planting: WriteMode = sample.stored.isPushed ? .push : .newest
                #expect(try await session.write(key, sample.stored, in: space, mode: planting) == .created)
                let outcome = try await session.write(key, sample.new, in: space, mode: sample.mode)
                #expect(outcome == sample.outcome, "\(sample.name)")
                let expected = sample.isPut ? sample.new : sample.stored
                #expect(try await store.row(key, in: space) == expected, "\(sample.name)")
            }
        }
    }

    @Test(arguments: StoreHome.available)
    func aPushNeedsNoLeaseAndTakesNone(home: StoreHome) async throws {
        try await home.withStore { store async throws in
            let space = Self.uniqueSpace()
            let sync = try await Self.openSession(store)
            let push = try await store.openSession(Lease(name: sync.lease.name, owner: "push", token: 0))
            #expect(
                try await push.write(Self.entity(1), Self.pushed(1, 1, position: 0), in: space, mode: .push) == .created
            )
            await expectCode(.fenced) {
                _ = try await push.write(Self.entity(1), Self.source(2, 2), in: space, mode: .newest)
            }
            #expect(try await sync.write(Self.entity(1), Self.source(2, 2), in: space) == .replaced)
        }
    }
}
