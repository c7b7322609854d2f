import Extraction
import FeatureModel
import OnlineStore
import RowCodec
import Sync
import Testing
import TidemarkTesting

@Suite(.timeLimit(.minutes(2))) struct SweepTests {
    /// D24: of a thousand injected faults one pass finds and mends every one, and nothing else.
    @Test func everyInjectedFaultIsFoundAndMended() async throws {
        try await EngineFixture.with(chunkRows: 500) { fixture in
            try await fixture.insert(1...2_000)
            try await fixture.sync()
            try await Self.damage(fixture)
            let report = try await Verifier(fixture.engine).verify("thing")
            #expect(report.counts.missing == 300)
            #expect(report.counts.different == 400)
            #expect(report.counts.orphaned == 300)
            let repaired = try await Verifier(fixture.engine).repair("thing")
            #expect(repaired.map(\.counts.mismatches) == [1_000])
            #expect(try await fixture.everything() == fixture.source())
            #expect(try await Verifier(fixture.engine).verify("thing").counts.mismatches == 0)
        }
    }

    /// 300 rows go, 300 change content, 100 are garbage, 300 have no source.
    private static func damage(_ fixture: EngineFixture) async throws {
        let lease = try #require(
            await fixture.store.acquireLease("thing", owner: "vandal", duration: .seconds(30)))
        let session = try await fixture.store.openSession(lease)
        let encoder = RowEncoder(view: EngineFixture.view())
        var batch = RowBatch()
        func put(_ id: Int, _ number: Int64) throws {
            let key = EntityKey(canonical: "\(id)")
            try batch.append(key, ttlMilliseconds: 1_000_000) { (bytes) throws(RowCodecError) in
                try encoder.encode(
                    key: key, order: RowOrder(epoch: 1, eventTime: nil, position: 2_000),
                    values: [.int64(number), .string("vandal")][...], into: &bytes)
            }
        }
        for id in 301...600 { try put(id, -1) }
        for id in 5_001...5_300 { try put(id, -1) }
        for id in 601...700 {
            let key = EntityKey(canonical: "\(id)")
            // A row of another entity: packed well, but not this entity's.
            try batch.append(key, ttlMilliseconds: 1_000_000) { (bytes) throws(RowCodecError) in
                try encoder.encode(
                    key: EntityKey(canonical: "1"), order: RowOrder(epoch: 1, eventTime: nil, position: 2_000),
                    values: [.int64(10), .string("thing 1")][...], into: &bytes)
            }
        }
        _ = try await session.write(batch, in: fixture.space(1), mode: .repair)
        _ = try await fixture.store.remove((1...300).map { EntityKey(canonical: "\($0)") }, in: fixture.space(1))
        await session.close()
        try await fixture.store.releaseLease(lease)
    }

    /// D23: rows that never change outlive many times their ttl, because the sweep renews them.
    @Test func unchangedRowsOutliveTheirTTL() async throws {
        try await EngineFixture.with { fixture in
            try await fixture.insert(1...30)
            try await fixture.sync()
            for _ in 0..<72 {
                fixture.clock.advance(by: .seconds(3_600))
                try await fixture.sync()
            }
            #expect(try await fixture.everything() == fixture.source())
            #expect(fixture.events.sweeps.count >= 70)
            #expect(fixture.events.sweeps.allSatisfy { $0.mismatches == 0 })
        }
    }

    @Test func withoutASweepRowsLeaveByTheirTTL() async throws {
        try await EngineFixture.with { fixture in
            try await fixture.insert(1...3)
            try await fixture.sync()
            fixture.clock.advance(by: .seconds(86_401))
            #expect(try await fixture.everything().isEmpty)
        }
    }

    @Test func aSweepMakesRoomForChangesAndGoesOnWhereItWas() async throws {
        try await EngineFixture.with(chunkRows: 5) { fixture in
            try await fixture.insert(1...40)
            try await fixture.sync()
            try await fixture.engine.requestSweep("thing")
            // No time at all: the pass begins the sweep and leaves it.
            _ = try await fixture.engine.sync("thing", sweepUntil: fixture.clock.now)
            #expect(fixture.events.sweeps.isEmpty)
            #expect(try await fixture.engine.markerState(of: EngineFixture.view(), version: 1)?.sweep != nil)
            try await fixture.sync()
            #expect(fixture.events.sweeps.map(\.checked) == [40])
        }
    }

    @Test func anOlderCopyOfTheSourceIsABreakAndTheStoreFollowsIt() async throws {
        let source = ModelSource(mode: .exact)
        let view = ModelSource.view(mode: .exact, eventTime: true)
        let clock = ManualClock()
        let store = MemoryStore(now: { clock.now })
        let events = EventRecorder()
        let start = clock.now
        let time = SyncTime(
            wall: { 1_700_000_000_000_000 + (clock.now - start).wholeMicroseconds }, now: { clock.now },
            sleep: { try await clock.sleep(until: clock.now + $0, tolerance: nil) }, random: { 0.5 })
        let engine = SyncEngine(
            context: SyncContext(
                project: "test", store: store, settings: SyncSettings(owner: "test"), time: time, observer: events),
            sources: ["model": source])
        _ = try await Planner(engine).apply(Catalog(project: "test", views: [view], services: []), hash: "h")
        let keys = (1...3).map { EntityKey(canonical: "\($0)") }
        source.commit(source.begin([.put(keys[0], eventTime: 1), .put(keys[1], eventTime: 1)]))
        let backup = source.backup()
        source.commit(source.begin([.put(keys[0], eventTime: 9), .put(keys[2], eventTime: 9), .delete(keys[1])]))
        try await engine.sync("model")
        source.restore(backup)
        try await engine.sync("model")
        #expect(events.historyBreaks == 1)
        let space = KeySpace(project: "test", viewKey: "model", version: 1)
        let decoder = RowDecoder(view: view)
        var rows: [FeatureValue?] = []
        for (key, bytes) in zip(keys, try await store.read(keys, in: space)) {
            let row = try bytes.map { try decoder.decode($0, key: key) }
            rows.append(row.flatMap { $0.isTombstone ? nil : $0.values[0] })
        }
        #expect(rows == [.int64(1), .int64(2), nil])
    }

    @Test func changesForgottenBeforeTheyWereReadAreABreakToo() async throws {
        try await EngineFixture.with { fixture in
            try await fixture.insert(1...20)
            try await fixture.sync()
            try await fixture.sql("DELETE FROM things WHERE id IN (3, 4); UPDATE things SET n = -1 WHERE id = 5")
            // Another reader of the table came by four days later, and this view did not.
            let later = SQLiteConnector(
                path: "\(fixture.folder)/source.db",
                options: .init(now: { SQLiteConnector.Options.systemClock() + 4 * 86_400_000_000 }))
            let reader = try await later.open(EngineFixture.view())
            try await reader.prune(below: try await reader.startCursor())
            await reader.close()
            try await fixture.sync()
            #expect(fixture.events.historyBreaks == 1)
            #expect(try await fixture.everything() == (try await fixture.source()))
            try await fixture.sync()
            #expect(fixture.events.historyBreaks == 1, "once is enough")
        }
    }
}
