import FeatureModel
import OnlineStore
import RedisClient
import Serving
import Testing
import TidemarkTesting

/// A daemon follows what the store says, and goes on with what was good when the store says nothing of use.
@Suite(.timeLimit(.minutes(2))) struct CatalogWatcherTests {
    private let memory = MemoryStore()
    private var fixture: CatalogFixture { CatalogFixture(store: memory) }
    private let clock = ManualClock()

    private func filled() async throws -> CatalogWatcher {
        try await fixture.publish(["activity", "prices"], services: ["ranker": ["prices:last"]])
        try await fixture.fill(CatalogFixture.view("activity"))
        try await fixture.fill(CatalogFixture.view("prices"))
        let watcher = fixture.watcher(clock)
        #expect(watcher.current == nil)
        #expect(watcher.generation == 0)
        #expect(await watcher.look())
        return watcher
    }

    @Test func aFlipIsSeenAndNothingElseSwaps() async throws {
        let watcher = try await filled()
        let first = try #require(watcher.current)
        #expect(watcher.generation == 1)
        for _ in 0..<3 { await watcher.look() }
        #expect(watcher.generation == 1)
        #expect(watcher.current === first)
        try await fixture.fill(CatalogFixture.view("activity", ["more"]), activating: false)
        await watcher.look()
        #expect(watcher.current?.versions["activity"] == 1, "what is being built is not read")
        try await fixture.fill(CatalogFixture.view("activity", ["more"]))
        await watcher.look()
        let flipped = try #require(watcher.current)
        #expect(flipped.generation == watcher.generation)
        #expect(flipped.versions == ["activity": 3, "prices": 1])
        #expect(words { try flipped.plan(features: [.init(view: "activity", feature: "more")]) }.isEmpty)
        #expect(first.versions == ["activity": 1, "prices": 1], "who holds the old one keeps it whole")
    }

    @Test func viewsComeAndGoWithTheCatalog() async throws {
        let watcher = try await filled()
        try await fixture.fill(CatalogFixture.view("new"))
        try await fixture.publish(["activity", "new"], hash: "h2")
        await watcher.look()
        #expect(watcher.current?.viewNames == ["activity", "new"])
        #expect(watcher.current?.versions == ["activity": 1, "new": 1])
        #expect(watcher.current?.hash == "h2")
        #expect(watcher.current?.services.isEmpty == true)
        #expect(watcher.status.problems.isEmpty)
    }

    @Test func aStoreThatIsDownLeavesTheLastGoodOneAndItsAge() async throws {
        let watcher = try await filled()
        #expect(watcher.status.age(at: clock.now) == .zero)
        memory.failNext(1_000, .unavailable)
        for second in 1...3 {
            clock.advance(by: .seconds(1))
            #expect(await watcher.look(), "there is still a catalog")
            #expect(watcher.status.age(at: clock.now) == .seconds(second))
        }
        #expect(watcher.current?.versions == ["activity": 1, "prices": 1])
        #expect(watcher.status.problems.first?.contains("unavailable") == true)
        #expect(watcher.status.failures == 3)
        memory.failNext(0, .unavailable)
        await watcher.look()
        #expect(watcher.status.problems.isEmpty)
        #expect(watcher.status.age(at: clock.now) == .zero)
        #expect(watcher.status.looks == 5)
        #expect(watcher.generation == 1)
    }

    @Test func aStoreThatIsDownFromTheStartHasNoCatalogUntilItComes() async throws {
        let watcher = fixture.watcher(clock)
        memory.failNext(1, .unavailable)
        #expect(await watcher.look() == false)
        #expect(watcher.status.age(at: clock.now) == nil)
        #expect(await watcher.look() == false)
        #expect(watcher.status.problems == ["nothing is applied to the store"])
        try await fixture.publish([])
        #expect(await watcher.look())
    }

    @Test func aCatalogThatMakesNoSenseLeavesTheOldOneAndIsNamed() async throws {
        let watcher = try await filled()
        try await fixture.spoil("catalog")
        try await fixture.fill(CatalogFixture.view("activity"))
        for _ in 0..<2 {
            clock.advance(by: .seconds(1))
            await watcher.look()
            #expect(watcher.status.problems.count == 1)
            #expect(watcher.status.problems.first?.hasPrefix("the catalog can't be read: ") == true)
            #expect(watcher.status.age(at: clock.now) ?? .zero > .zero)
        }
        #expect(watcher.current?.versions == ["activity": 2, "prices": 1], "versions that can be read are followed")
    }

    @Test func versionsThatMakeNoSenseLeaveTheirViewAndNoOther() async throws {
        let watcher = try await filled()
        let good = try await memory.document("view:activity")
        try await fixture.spoil("view:activity")
        try await fixture.fill(CatalogFixture.view("prices"))
        await watcher.look()
        #expect(watcher.current?.versions == ["activity": 1, "prices": 2])
        let generation = watcher.generation
        for _ in 0..<2 {
            await watcher.look()
            #expect(watcher.status.problems.first?.hasPrefix("view activity can't be read: ") == true)
            #expect(watcher.generation == generation, "what stays bad swaps nothing")
        }
        try await fixture.restore("view:activity", good)
        await watcher.look()
        #expect(watcher.status.problems.isEmpty)
        #expect(watcher.current?.versions == ["activity": 1, "prices": 2])
    }

    @Test func aStoreThatCameBackEmptyIsSaidAndNotBelieved() async throws {
        let watcher = try await filled()
        memory.loseEverything()
        await watcher.look()
        #expect(watcher.current?.versions == ["activity": 1, "prices": 1])
        #expect(watcher.current?.services.count == 1)
        #expect(watcher.status.problems.first == "the store lost its catalog")
        // The sync service puts the definitions back and begins to fill; until that is done nothing newer can be read.
        try await fixture.publish(["activity", "prices"], services: ["ranker": ["prices:last"]])
        await watcher.look()
        #expect(watcher.status.problems == ["activity", "prices"].map { "the store lost the versions of view \($0)" })
        try await fixture.fill(CatalogFixture.view("activity"), activating: false)
        await watcher.look()
        #expect(watcher.current?.versions == ["activity": 1, "prices": 1])
        #expect(watcher.status.problems.count == 2)
        for name in ["activity", "prices"] { try await fixture.fill(CatalogFixture.view(name, ["views"])) }
        await watcher.look()
        #expect(watcher.status.problems.isEmpty)
        #expect(watcher.current?.versions == ["activity": 2, "prices": 1])
    }

    @Test func itLooksInItsIntervalUntilItIsStopped() async throws {
        let watcher = fixture.watcher(clock, interval: .seconds(2), random: 0)
        let service = Task { try await watcher.run() }
        try await clock.waitForSleepers(1)
        #expect(watcher.status.looks == 1)
        // A quarter early at the least.
        clock.advance(by: .milliseconds(1_499))
        #expect(watcher.status.looks == 1)
        watcher.setInterval(.seconds(4))
        clock.advance(by: .milliseconds(1))
        try await clock.waitForSleepers(1)
        #expect(watcher.status.looks == 2)
        clock.advance(by: .seconds(3))
        try await clock.waitForSleepers(1)
        #expect(watcher.status.looks == 3)
        service.cancel()
        try await service.value
    }

    // Needs redis-server; `ops/test` installs it.
    @Test(.enabled(if: RedisServer.isAvailable, "redis-server is not installed"))
    func aRedisIsFollowedThroughAFlipAStopAndAnEmptyRestart() async throws {
        try await RedisServer.with { server in
            var configuration = RedisStore.Configuration(project: "shop", topology: server.topology)
            configuration.connectTimeout = .seconds(10)
            configuration.callTimeout = .seconds(20)
            configuration.connectsPerSecond = 1_000
            let store = try await RedisStore(configuration: configuration)
            let fixture = CatalogFixture(store: store)
            let names = (0..<70).map { "view_\($0)" }
            for name in names { try await fixture.fill(CatalogFixture.view(name)) }
            try await fixture.publish(names)
            let watcher = fixture.watcher(clock)
            await watcher.look()
            #expect(watcher.current?.versions == Dictionary(uniqueKeysWithValues: names.map { ($0, 1) }))
            try await fixture.fill(CatalogFixture.view("view_69"))
            await watcher.look()
            #expect(watcher.current?.versions["view_69"] == 2)
            server.stop(.kill)
            await watcher.look()
            #expect(watcher.current?.versions["view_69"] == 2)
            #expect(watcher.status.failures == 1)
            try server.start(erasing: true)
            while watcher.status.problems.first != "the store lost its catalog" { await watcher.look() }
            #expect(watcher.current?.versions.count == 70)
            await store.close()
        }
    }
}
