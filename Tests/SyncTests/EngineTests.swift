import FeatureModel
import OnlineStore
import RowCodec
import Sync
import Testing
import TidemarkTesting

@Suite(.timeLimit(.minutes(2))) struct EngineTests {
    @Test func firstLoadThenOnlyChanges() async throws {
        try await EngineFixture.with { fixture in
            try await fixture.insert(1...50)
            let load = try await fixture.sync()
            #expect(load.created == 50)
            #expect(load.work.contains(.load))
            #expect(try await fixture.versions.current?.number == 1)
            try await fixture.sql(
                "UPDATE things SET n = -1 WHERE id IN (3, 4); DELETE FROM things WHERE id = 5; INSERT INTO things VALUES (99, 7, 'x')"
            )
            let changes = try await fixture.sync()
            #expect(changes.written == 4)
            #expect(changes.removed == 1)
            #expect(changes.read <= 4)
            #expect(try await fixture.everything() == fixture.source())
            let idle = try await fixture.sync()
            #expect(idle.read == 0)
            #expect(idle.written == 0)
        }
    }

    @Test func aChangedKeyMovesTheRow() async throws {
        try await EngineFixture.with { fixture in
            try await fixture.insert(1...3)
            try await fixture.sync()
            try await fixture.sql("UPDATE things SET id = 30 WHERE id = 3")
            try await fixture.sync()
            #expect(try await fixture.stored(3) == nil)
            #expect(try await fixture.stored(30) == .int64(30))
        }
    }

    @Test func badRowsAreQuarantinedAndHealed() async throws {
        var contract = FeatureContract()
        contract.minimum = 0
        let view = EngineFixture.view(features: [
            Feature(name: "n", type: .scalar(.int64), contract: contract), Feature(name: "s", type: .scalar(.string)),
        ])
        try await EngineFixture.with(view) { fixture in
            try await fixture.insert(1...20)
            try await fixture.sql("UPDATE things SET n = -5 WHERE id = 2; UPDATE things SET n = 'text' WHERE id = 3")
            let run = try await fixture.sync()
            #expect(run.quarantined == 2)
            #expect(run.created == 18)
            let entries = try await fixture.engine.context.quarantine.entries(of: "thing")
            #expect(Set(entries.map(\.rule)) == ["min", "type"])
            #expect(Set(entries.compactMap(\.entity)) == ["2", "3"])
            // The next good value takes the entry away by itself; retry finds what was mended unseen.
            try await fixture.sql("UPDATE things SET n = 5 WHERE id = 2")
            try await fixture.sync()
            #expect(try await fixture.engine.context.quarantine.ids(of: "thing") == ["3"])
            #expect(try await fixture.stored(2) == .int64(5))
            let wrong = try await fixture.engine.retryQuarantine("thing", ids: [])
            #expect(wrong.written == 0 && wrong.wrong == 1)
            try await fixture.sql("UPDATE things SET n = 6 WHERE id = 3")
            let right = try await fixture.engine.retryQuarantine("thing", ids: ["3"])
            #expect(right.written == 1 && right.wrong == 0)
            #expect(try await fixture.stored(3) == .int64(6))
            #expect(try await fixture.engine.context.quarantine.count(of: "thing") == 0)
        }
    }

    @Test func aBreachedRateStopsBeforeTheChunkIsWritten() async throws {
        var contract = FeatureContract()
        contract.minimum = 0
        var viewContract = ViewContract()
        viewContract.maximumQuarantineRate = 0.1
        let view = EngineFixture.view(
            features: [
                Feature(name: "n", type: .scalar(.int64), contract: contract),
                Feature(name: "s", type: .scalar(.string)),
            ], contract: viewContract)
        try await EngineFixture.with(view, chunkRows: 100) { fixture in
            try await fixture.insert(1...100)
            try await fixture.sync()
            let before = try await fixture.engine.markerState(of: view, version: 1)
            try await fixture.sql("UPDATE things SET n = -1 WHERE id <= 11; UPDATE things SET n = 1 WHERE id > 50")
            await #expect(throws: SyncError.self) { try await fixture.sync() }
            #expect(try await fixture.stored(60) == .int64(600))
            #expect(try await fixture.engine.markerState(of: view, version: 1)?.cursor == before?.cursor)
            #expect(try await fixture.engine.context.ledger.entries(limit: 1)[0].outcome == "contract_breached")
            try await fixture.sql("UPDATE things SET n = 2 WHERE id <= 11")
            try await fixture.sync()
            #expect(try await fixture.everything() == fixture.source())
        }
    }

    @Test func aBreachedNullRateStops() async throws {
        var contract = FeatureContract()
        contract.maximumNullRate = 0.5
        let view = EngineFixture.view(features: [
            Feature(name: "n", type: .scalar(.int64), contract: contract), Feature(name: "s", type: .scalar(.string)),
        ])
        try await EngineFixture.with(view, chunkRows: 200) { fixture in
            try await fixture.insert(1...200)
            try await fixture.sql("UPDATE things SET n = NULL WHERE id <= 101")
            await #expect(throws: SyncError.self) { try await fixture.sync() }
            #expect(try await fixture.versions.current == nil)
            try await fixture.sql("UPDATE things SET n = 1 WHERE id = 101")
            try await fixture.sync()
            #expect(try await fixture.versions.current?.number == 1)
        }
    }

    @Test func aFullQuarantineStopsTheView() async throws {
        var viewContract = ViewContract()
        viewContract.maximumQuarantineRate = 1
        try await EngineFixture.with(EngineFixture.view(contract: viewContract), quarantineLimit: 3) { fixture in
            try await fixture.insert(1...10)
            try await fixture.sync()
            try await fixture.sql("UPDATE things SET n = 'bad' WHERE id <= 4")
            await #expect(throws: SyncError.self) { try await fixture.sync() }
            #expect(try await fixture.engine.context.ledger.entries(limit: 1)[0].outcome == "quarantine_full")
            try await fixture.sql("UPDATE things SET n = 1 WHERE id <= 2")
            try await fixture.sync()
            #expect(try await fixture.engine.context.quarantine.count(of: "thing") == 2)
        }
    }

    @Test func twoEnginesShareAViewByLease() async throws {
        try await EngineFixture.with { fixture in
            let lease = try await fixture.store.acquireLease("thing", owner: "other", duration: .seconds(30))
            #expect(lease != nil)
            await #expect(throws: SyncError.self) { try await fixture.sync() }
            fixture.clock.advance(by: .seconds(31))
            try await fixture.sync()
        }
    }

    @Test func aPausedViewIsLeftAlone() async throws {
        try await EngineFixture.with { fixture in
            try await fixture.insert(1...3)
            _ = try await fixture.engine.context.catalog.updateVersions(of: "thing") { versions in
                versions.isPaused = true
                return true
            }
            await #expect(throws: SyncError.self) { try await fixture.sync() }
            #expect(try await fixture.everything().isEmpty)
        }
    }

    @Test func anErasedEntityStaysErased() async throws {
        try await EngineFixture.with { fixture in
            try await fixture.insert(1...10)
            try await fixture.sync()
            let gone = try await fixture.engine.erase(EntityKey(canonical: "4"), entity: "thing")
            #expect(gone.map(\.rows) == [1])
            #expect(try await fixture.store.read([EntityKey(canonical: "4")], in: fixture.space(1)) == [nil])
            try await fixture.sql("UPDATE things SET n = 5 WHERE id = 4")
            let run = try await fixture.sync()
            #expect(run.erased == 1)
            try await fixture.engine.requestSweep("thing")
            try await fixture.sync()
            try await fixture.engine.resetWatermark("thing")
            try await fixture.sync()
            #expect(try await fixture.store.read([EntityKey(canonical: "4")], in: fixture.space(1)) == [nil])
            let digest = fixture.engine.context.erasures.digest(EntityKey(canonical: "4"), entity: "thing")
            try await fixture.engine.context.erasures.remove(digest, entity: "thing")
            try await fixture.engine.requestSweep("thing")
            try await fixture.sync()
            #expect(try await fixture.stored(4) == .int64(5))
        }
    }

    @Test func aDroppedColumnIsOneClearErrorAndNothingIsLost() async throws {
        try await EngineFixture.with { fixture in
            try await fixture.insert(1...5)
            try await fixture.sync()
            try await fixture.sql("UPDATE things SET n = 77 WHERE id = 1; ALTER TABLE things RENAME COLUMN s TO t")
            do {
                try await fixture.sync()
                Issue.record("a missing column went unnoticed")
            } catch {
                let words = "\(SyncError(error))"
                #expect(words.contains("thing") && words.contains("s"))
            }
            #expect(try await fixture.stored(1) == .int64(10))
            try await fixture.sql("ALTER TABLE things RENAME COLUMN t TO s")
            try await fixture.sync()
            #expect(try await fixture.everything() == fixture.source())
        }
    }
}
