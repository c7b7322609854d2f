import FeatureModel
import OnlineStore
import Sync
import Testing
import TidemarkTesting

@Suite(.timeLimit(.minutes(1)))
struct RunRequestTests {
    /// A view whose turn comes once an hour.
    private static let hourly: FeatureView = {
        let view = EngineFixture.view()
        return FeatureView(
            name: view.name, entity: view.entity, source: view.source, every: .seconds(3_600), ttl: view.ttl,
            sweep: view.sweep, features: view.features)
    }()

    /// Asks again and again while other tasks run, a bounded number of times.
    private static func becomesTrue(_ condition: () async throws -> Bool) async throws -> Bool {
        for _ in 0..<20_000 {
            if try await condition() { return true }
            await Task.yield()
        }
        return false
    }

    @Test
    func aRunThatIsAskedForDoesNotWaitForItsTurn() async throws {
        try await EngineFixture.with(Self.hourly) { fixture async throws in
            let requests = RunRequests(fixture.store)
            try await fixture.insert(1...1)
            let service = SyncService(engine: fixture.engine) {}
            let running = Task { try await service.run() }
            defer { running.cancel() }
            let start = fixture.clock.now
            #expect(try await Self.passes(fixture) { try await fixture.stored(1) != nil })

            try await fixture.insert(2...2)
            try await requests.add(["thing"], at: 1)
            #expect(
                try await Self.passes(fixture) {
                    let isStored = try await fixture.stored(2) != nil
                    return try await requests.stamp(of: "thing") == nil && isStored
                })
            #expect(fixture.clock.now - start < .seconds(3_600), "the view's own turn had not come")
        }
    }

    /// Moves the clock on by the interval at which requests are looked for, until the condition holds.
    private static func passes(
        _ fixture: EngineFixture, _ condition: () async throws -> Bool
    ) async throws -> Bool {
        for _ in 0..<50 {
            if try await becomesTrue(condition) { return true }
            try await fixture.clock.waitForSleepers(2)
            fixture.clock.advance(by: .seconds(5))
        }
        return false
    }
}
