import FeatureModel
import GRPCCore
import Glibc
import NIOCore
import NIOPosix
import OnlineStore
import ServiceLifecycle
import Serving
import ServingGRPC
import ServingProtos
import SwiftProtobuf
import Testing
import TidemarkTesting

/// The listener's life, and what it says of its health.
@Suite(.timeLimit(.minutes(2)))
struct GRPCDaemonTests {
    private func store() async throws -> MemoryStore {
        let store = MemoryStore()
        try await Rows(store: store).apply()
        return store
    }

    @Test func healthFollowsReadiness() async throws {
        try await GRPCFixture.with(try await store()) { fixture async throws in
            for service in [
                "", "tidemark.v1.FeatureService", "tidemark.v1.RecommendService", "feast.serving.ServingService",
                "grpc.health.v1.Health",
            ] {
                #expect(try await fixture.health.check(.with { $0.service = service }).status == .serving)
            }
            let code = await GRPCFixture.code {
                _ = try await fixture.health.check(.with { $0.service = "tidemark.v1.Nothing" })
            }
            #expect(code == .notFound)
            fixture.serving.beginDrain()
            #expect(try await fixture.health.check(.init()).status == .notServing)
            // What is under way, and what still comes, is answered.
            #expect(try await fixture.lookup(["activity:views"], users: [1]).rows.count == 1)
        }
    }

    @Test func watchersHearOfTheEnd() async throws {
        try await GRPCFixture.with(try await store()) { fixture async throws in
            let heard: [Grpc_Health_V1_HealthCheckResponse.ServingStatus] = try await fixture.health.watch(.init()) {
                response in
                var heard: [Grpc_Health_V1_HealthCheckResponse.ServingStatus] = []
                do {
                    for try await message in response.messages {
                        heard.append(message.status)
                        fixture.serving.beginDrain()
                    }
                } catch let error as RPCError {
                    #expect(error.code == .unavailable)
                }
                return heard
            }
            #expect(heard == [.serving, .notServing])
        }
    }

    @Test func watchesAreLimitedAndUnknownServicesSaySo() async throws {
        try await GRPCFixture.with(
            try await store(), grpc: { $0.healthWatches = 1 }
        ) { fixture async throws in
            try await fixture.health.watch(.with { $0.service = "nothing" }) { response in
                for try await message in response.messages {
                    #expect(message.status == .serviceUnknown)
                    let code = await GRPCFixture.code {
                        try await fixture.health.watch(.init()) { response in for try await _ in response.messages {} }
                    }
                    #expect(code == .resourceExhausted)
                    break
                }
            }
        }
    }

    @Test func gracefulStopLetsCallsEnd() async throws {
        let store = try await store()
        try await GRPCFixture.with(store) { fixture async throws in
            try await withThrowingTaskGroup(of: Int.self) { calls in
                for _ in 0..<50 {
                    calls.addTask { try await fixture.lookup(["activity:views"], users: [1, 2]).rows.count }
                }
                // Some are under way by now, and none may be cut off.
                _ = try await calls.next()
                await fixture.group.triggerGracefulShutdown()
                var ended = 1
                while let result = await calls.nextResult() {
                    switch result {
                    case .success(let count): #expect(count == 2)
                    // Not yet sent when the listener went: the client may safely send it again.
                    case .failure(let error as RPCError): #expect(error.code == .unavailable, "\(error)")
                    case .failure(let error): throw error
                    }
                    ended += 1
                }
                #expect(ended == 50)
            }
        }
    }

    @Test func behindAClosedDoorNoConnectionBegins() async throws {
        try await GRPCFixture.with(try await store()) { fixture async throws in
            #expect(try await fixture.health.check(.init()).status == .serving)
            await fixture.serving.closeDoor()
            // Dropped by the kernel, not refused; whoever is connected is answered.
            await #expect(throws: (any Error).self) {
                try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                    .connectTimeout(.milliseconds(500))
                    .connect(host: "127.0.0.1", port: fixture.address.port).get()
            }
            #expect(try await fixture.lookup(["activity:views"], users: [1]).rows.count == 1)
        }
    }

    /// Ends once it was told to and its friend was, too.
    private struct Friend: Service {
        let told: AsyncStream<Void>.Continuation
        let friend: AsyncStream<Void>

        func run() async throws {
            try await gracefulShutdown()
            told.finish()
            for await _ in friend {}
        }
    }

    @Test func listenersHearOfTheEndAtTheSameTime() async throws {
        let (ones, one) = AsyncStream.makeStream(of: Void.self)
        let (others, other) = AsyncStream.makeStream(of: Void.self)
        let group = ServiceGroup(
            services: [ListenerGroup([Friend(told: one, friend: others), Friend(told: other, friend: ones)])],
            logger: GRPCFixture.logger)
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await group.run() }
            await group.triggerGracefulShutdown()
            try await tasks.waitForAll()
        }
    }

    private struct Failing: Service {
        struct Failure: Error {}
        func run() async throws { throw Failure() }
    }

    @Test func aListenerThatFailsEndsTheOthers() async throws {
        try await GRPCFixture.with(try await store()) { fixture async throws in
            var settings = GRPCSettings(fixture.serving.settings, address: fixture.address)
            settings.address = NetworkAddress(host: "127.0.0.1", port: 0)
            let other = GRPCDaemon(
                fixture.serving, store: fixture.store, recommender: fixture.pipelines.recommender, settings: settings,
                version: "1")
            await #expect(throws: Failing.Failure.self) { try await ListenerGroup([other, Failing()]).run() }
        }
    }

    @Test func aTakenAddressIsAnErrorWithItsReason() async throws {
        let store = try await store()
        try await GRPCFixture.with(store) { fixture async throws in
            var settings = GRPCSettings(fixture.serving.settings, address: fixture.address)
            settings.drain = .seconds(1)
            let second = GRPCDaemon(
                fixture.serving, store: store, recommender: fixture.pipelines.recommender, settings: settings,
                version: "1")
            let error = await #expect(throws: GRPCDaemon.ListenError.self) { try await second.run() }
            #expect(error?.errnoCode == EADDRINUSE)
            #expect(error?.address == fixture.address)
        }
    }

    @Test func anAddressOfNobodyIsAnError() async throws {
        let store = try await store()
        let serving = GRPCFixture.context(store)
        let settings = GRPCSettings(serving.settings, address: NetworkAddress(host: "no-such-host.invalid", port: 0))
        let daemon = GRPCDaemon(
            serving, store: store, recommender: try TestPipelines(serving, nil).recommender, settings: settings,
            version: "1")
        await #expect(throws: GRPCDaemon.ListenError.self) { try await daemon.run() }
    }

    @Test func connectionsAboveTheLimitAreClosed() async throws {
        try await GRPCFixture.with(
            try await store(), grpc: { $0.connections = 0 }
        ) { fixture async throws in
            let options = CallOptions.with { $0.timeout = .milliseconds(500) }
            let code = await GRPCFixture.code { _ = try await fixture.health.check(.init(), options: options) }
            #expect(code == .deadlineExceeded || code == .unavailable)
        }
    }
}

extension CallOptions {
    fileprivate static func with(_ change: (inout CallOptions) -> Void) -> CallOptions {
        var options = CallOptions.defaults
        change(&options)
        return options
    }
}
