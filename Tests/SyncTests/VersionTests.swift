import FeatureModel
import OnlineStore
import Sync
import Testing
import TidemarkTesting

@Suite(.timeLimit(.minutes(2))) struct VersionTests {
    private static let wider = EngineFixture.view(
        features: [
            Feature(name: "n", type: .scalar(.int64)), Feature(name: "s", type: .scalar(.string)),
            Feature(name: "twice", type: .scalar(.int64)),
        ], query: "SELECT id, n, s, n * 2 AS twice FROM things")

    @Test func aChangedSchemaIsBuiltBesideTheLiveVersionAndFlips() async throws {
        try await EngineFixture.with { fixture in
            try await fixture.insert(1...30)
            try await fixture.sync()
            let plan = try await Planner(fixture.engine).plan(
                Catalog(project: "test", views: [Self.wider], services: []))
            #expect(plan.map(\.action) == [.newVersion])
            #expect(plan[0].reasons == ["feature twice is new", "the query changed"])
            #expect(plan[0].backfillRows ?? 0 > 0)
            #expect(plan[0].memory?.bytesPerRow ?? 0 > 50)
            try await fixture.apply(Self.wider)
            #expect(try await fixture.versions.current?.number == 1)
            try await fixture.sql("UPDATE things SET n = 5 WHERE id = 1")
            try await fixture.sync()
            let versions = try await fixture.versions
            #expect(versions.current?.number == 2)
            #expect(versions.previous?.number == 1)
            #expect(try await fixture.stored(1, version: 1) == .int64(5))
            #expect(try await fixture.stored(1, version: 2, view: Self.wider) == .int64(5))
        }
    }

    @Test func bothVersionsAreSyncedUntilThePreviousOneRetires() async throws {
        try await EngineFixture.with { fixture in
            try await fixture.insert(1...3)
            try await fixture.sync()
            _ = try await Planner(fixture.engine).beginBackfill(EngineFixture.view())
            try await fixture.sync()
            #expect(try await fixture.versions.current?.number == 2)
            try await fixture.sql("UPDATE things SET n = 1 WHERE id = 3")
            try await fixture.sync()
            #expect(try await fixture.stored(3, version: 1) == .int64(1))
            fixture.clock.advance(by: .seconds(86_401))
            try await fixture.sync()
            #expect(try await fixture.versions.previous == nil)
            try await fixture.sql("UPDATE things SET n = 2 WHERE id = 3")
            try await fixture.sync()
            #expect(try await fixture.stored(3, version: 2) == .int64(2))
            #expect(try await fixture.stored(3, version: 1) == nil)
        }
    }

    @Test func rollbackAndForthIsOneStepEach() async throws {
        try await EngineFixture.with { fixture in
            try await fixture.insert(1...3)
            try await fixture.sync()
            _ = try await Planner(fixture.engine).beginBackfill(EngineFixture.view())
            try await fixture.sync()
            for expected in [1, 2, 1, 2] {
                let now = fixture.engine.context.time.wall()
                let previous = try #require(await fixture.versions.previous?.number)
                let after = try await fixture.engine.context.catalog.updateVersions(of: "thing") {
                    $0.activate(previous, at: now, keepPrevious: .seconds(100))
                }
                #expect(after.current?.number == expected)
                try await fixture.sync()
            }
        }
    }

    @Test func aManualVersionWaitsToBeActivated() async throws {
        try await EngineFixture.with(EngineFixture.view(activation: .manual)) { fixture in
            try await fixture.insert(1...3)
            try await fixture.sync()
            #expect(try await fixture.versions.current?.number == 1)
            _ = try await Planner(fixture.engine).beginBackfill(EngineFixture.view(activation: .manual))
            try await fixture.sync()
            #expect(try await fixture.versions.current?.number == 1)
            #expect(try await fixture.versions.next?.state == .built)
        }
    }

    @Test func aVersionThatLostMostRowsIsNotActivatedByItself() async throws {
        var contract = ViewContract()
        contract.maximumRowCountChange = 0.2
        let view = EngineFixture.view(contract: contract)
        try await EngineFixture.with(view) { fixture in
            try await fixture.insert(1...50)
            try await fixture.sync()
            try await fixture.sql("DELETE FROM things WHERE id > 39")
            _ = try await Planner(fixture.engine).beginBackfill(view)
            try await fixture.sync()
            #expect(try await fixture.versions.current?.number == 1)
            #expect(try await fixture.versions.next?.state == .built)
            #expect(fixture.events.all.contains { if case .breached = $0 { true } else { false } })
        }
    }

    @Test func limitsChangeInPlace() async throws {
        try await EngineFixture.with { fixture in
            try await fixture.insert(1...3)
            try await fixture.sync()
            var contract = ViewContract()
            contract.maximumQuarantineRate = 0.5
            let view = EngineFixture.view(contract: contract)
            let plan = try await Planner(fixture.engine).plan(Catalog(project: "test", views: [view], services: []))
            #expect(plan.map(\.action) == [.update])
            try await fixture.apply(view)
            let versions = try await fixture.versions
            #expect(versions.versions.count == 1)
            #expect(try fixture.engine.definition(of: versions.versions[0]).contract.maximumQuarantineRate == 0.5)
        }
    }

    @Test func aVersionBeingBuiltIsNeverActivated() {
        var versions = ViewVersions(view: "v")
        let first = versions.begin(definition: "", fingerprint: "a", reason: "", at: 1)
        let steps = [
            versions.activate(first, at: 2, keepPrevious: .seconds(1)), versions.finishBuilding(first),
            versions.finishBuilding(first), versions.activate(first, at: 2, keepPrevious: .seconds(1)),
            versions.activate(first, at: 2, keepPrevious: .seconds(1)),
            versions.activate(77, at: 2, keepPrevious: .seconds(1)),
        ]
        #expect(steps == [false, true, false, true, false, false])
    }

    @Test func aNewerBuildRetiresTheUnfinishedOne() {
        var versions = ViewVersions(view: "v")
        for number in 1...20 {
            let begun = versions.begin(definition: "", fingerprint: "a", reason: "", at: 1)
            #expect(begun == number)
        }
        #expect(versions.next?.number == 20)
        #expect(versions.versions.count == ViewVersions.rememberedRetired + 1)
    }
}
