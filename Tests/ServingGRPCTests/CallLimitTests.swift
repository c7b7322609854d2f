import FeatureModel
import GRPCCore
import NIOCore
import OnlineStore
import RedisClient
import Resilience
import Serving
import ServingProtos
import SwiftProtobuf
import Synchronization
import Telemetry
import Testing
import TidemarkTesting

@testable import ServingGRPC

/// Calls that can't be answered, or not in time: each with its status code.
@Suite(.timeLimit(.minutes(2)))
struct CallLimitTests {
    /// A request and what it is answered with.
    struct Case: CustomTestStringConvertible, Sendable {
        let testDescription: String
        let code: RPCError.Code
        let request: Tidemark_V1_LookupRequest
    }

    static let cases: [Case] = {
        func question(_ change: (inout Tidemark_V1_LookupRequest) -> Void) -> Tidemark_V1_LookupRequest {
            var request = GRPCFixture.question(["activity:views"], users: [1])
            change(&request)
            return request
        }
        return [
            Case(testDescription: "no features", code: .invalidArgument, request: question { $0.features = [] }),
            Case(testDescription: "no view:feature", code: .invalidArgument, request: question { $0.features = ["x"] }),
            Case(testDescription: "both", code: .invalidArgument, request: question { $0.service = "all" }),
            Case(testDescription: "no keys", code: .invalidArgument, request: question { $0.keys = [:] }),
            Case(
                testDescription: "no values", code: .invalidArgument, request: question { $0.keys["user_id"] = .init() }
            ),
            Case(
                testDescription: "a key of another type", code: .invalidArgument,
                request: question { $0.keys["user_id"] = .with { $0.strings.values = ["1"] } }),
            Case(
                testDescription: "columns of two lengths", code: .invalidArgument,
                request: GRPCFixture.question(["prices:price"], users: [1, 2], items: ["a"])),
            Case(
                testDescription: "a key that is too long", code: .invalidArgument,
                request: GRPCFixture.question(
                    ["prices:price"], users: [1], items: [String(repeating: "a", count: 2_000)])),
            Case(
                testDescription: "unknown view", code: .notFound, request: question { $0.features = ["activty:views"] }),
            Case(
                testDescription: "unknown feature", code: .notFound,
                request: question { $0.features = ["activity:view"] }),
            Case(
                testDescription: "unknown service", code: .notFound,
                request: question {
                    $0.features = []
                    $0.service = "rankr"
                }),
            Case(testDescription: "unfilled view", code: .unavailable, request: question { $0.features = ["empty:x"] }),
            Case(
                testDescription: "too many entities", code: .resourceExhausted,
                request: GRPCFixture.question(["activity:views"], users: Array(1...11))),
            Case(
                testDescription: "too many features", code: .resourceExhausted,
                request: question { $0.features = Array(repeating: "activity:views", count: 6) }),
            Case(
                testDescription: "too many values", code: .resourceExhausted,
                request: GRPCFixture.question(Array(repeating: "activity:views", count: 5), users: Array(1...9))),
            Case(
                testDescription: "too large a message", code: .resourceExhausted,
                request: question { $0.service = String(repeating: "x", count: 70_000) }),
        ]
    }()

    @Test func wrongRequestsHaveTheirCodes() async throws {
        let store = MemoryStore()
        try await Rows(store: store).apply()
        try await GRPCFixture.with(store) {
            ($0.entities, $0.features, $0.values, $0.bodyBytes) = (10, 5, 40, 65_536)
        } _: { fixture async throws in
            for wrong in Self.cases {
                let code = await GRPCFixture.code { _ = try await fixture.features.lookup(wrong.request) }
                #expect(code == wrong.code, "\(wrong.testDescription)")
            }
            // One at each limit is answered.
            let all = try await fixture.lookup(Array(repeating: "activity:views", count: 4), users: Array(1...10))
            #expect(all.rows.count == 10 && all.rows[9].values.count == 4)
            #expect(try await fixture.lookup(["activity:views"], users: []).rows.isEmpty)
        }
    }

    @Test func wrongFeastRequestsHaveTheirCodes() async throws {
        let store = MemoryStore()
        try await Rows(store: store).apply()
        try await GRPCFixture.with(store) { fixture async throws in
            func code(_ change: (inout Feast_Serving_GetOnlineFeaturesRequest) -> Void) async -> RPCError.Code? {
                var request = GRPCFixture.feastQuestion(["activity:views"], users: [1])
                change(&request)
                let wrong = request
                return await GRPCFixture.code { _ = try await fixture.feast.getOnlineFeatures(wrong) }
            }
            #expect(await code { $0.kind = nil } == .invalidArgument)
            #expect(await code { $0.featureService = "nope" } == .notFound)
            #expect(await code { $0.features.val = ["nope:x"] } == .notFound)
            #expect(await code { $0.entities = [:] } == .invalidArgument)
            #expect(await code { $0.entities["user_id"] = .with { $0.val = [.init()] } } == .invalidArgument)
            #expect(
                await code { $0.entities["user_id"] = .with { $0.val = [.with { $0.doubleVal = 1 }] } }
                    == .invalidArgument)
            let collision = ["activity:views", "prices:views"]
            #expect(
                await code {
                    $0.features.val = collision
                    $0.entities["item"] = .with { $0.val = [.with { $0.stringVal = "a" }] }
                } == .invalidArgument)
            #expect(
                await code { $0.entities["user_id"] = .with { $0.val = [.with { $0.int32Val = 1 }] } } == nil)
        }
    }

    @Test func withoutACatalogNothingIsServed() async throws {
        try await GRPCFixture.with(MemoryStore(), readsCatalog: false) { fixture async throws in
            let code = await GRPCFixture.code { _ = try await fixture.lookup(["activity:views"], users: [1]) }
            #expect(code == .unavailable)
            #expect(try await fixture.health.check(.init()).status == .notServing)
        }
    }

    @Test func callsAboveTheLimitAreRefused() async throws {
        let store = MemoryStore()
        try await Rows(store: store).apply()
        try await GRPCFixture.with(store) {
            $0.maximumInFlight = .fixed(1)
        } _: { fixture async throws in
            guard case .admitted(let permit) = fixture.serving.admission.acquire(at: .now()) else {
                Issue.record("nothing is under way, and yet there is no room")
                return
            }
            let code = await GRPCFixture.code { _ = try await fixture.lookup(["activity:views"], users: [1]) }
            #expect(code == .unavailable)
            #expect(try await fixture.health.check(.init()).status == .serving)
            let page = fixture.serving.metrics.registry.render(.prometheus)
            #expect(
                page.contains("code=\"UNAVAILABLE\",method=\"tidemark.v1.FeatureService/Lookup\"} 1")
                    || page.contains("method=\"tidemark.v1.FeatureService/Lookup\",code=\"UNAVAILABLE\"} 1"))
            fixture.serving.admission.finished(permit, .success, at: .now())
            #expect(try await fixture.lookup(["activity:views"], users: [1]).rows.count == 1)
            #expect(fixture.serving.admission.status.inFlight == 0)
        }
    }

    private static func call(_ calls: CallGuard, _ messages: SlowMessages, timeout: String? = nil) async throws -> Int {
        let metadata: Metadata = timeout.map { ["grpc-timeout": .string($0)] } ?? [:]
        let request = StreamingServerRequest(
            metadata: CallTimeout.hide(metadata), messages: RPCAsyncSequence(wrapping: messages))
        return try await withServerContextRPCCancellationHandle { handle in
            let context = ServerContext(
                descriptor: Tidemark_V1_FeatureService.Method.Lookup.descriptor, remotePeer: "a", localPeer: "b",
                cancellation: handle)
            let answered = Mutex(0)
            _ = try await calls.unary(request, context) { message, _ in
                answered.withLock { $0 = message }
                return message
            }
            return answered.withLock { $0 }
        }
    }

    @Test func callsWithoutTheirMessageHoldNoPlaceOfOthers() async throws {
        var settings = ServerSettings()
        (settings.timeout, settings.maximumTimeout) = (.seconds(40), .seconds(40))
        settings.maximumInFlight = .fixed(1)
        let serving = GRPCFixture.context(MemoryStore(), settings)
        let calls = CallGuard(serving, callsBeingRead: 2)
        let (asked, ask) = AsyncStream.makeStream(of: Void.self)
        let clients = (0..<2).map { _ in AsyncThrowingStream<Int, any Error>.makeStream() }
        await withThrowingTaskGroup(of: Int.self) { group in
            for (messages, _) in clients {
                group.addTask { try await Self.call(calls, SlowMessages(messages: messages, asked: ask)) }
            }
            var silent = asked.makeAsyncIterator()
            for _ in 0..<2 { await silent.next() }
            // As an HTTP lookup asks, which is counted with these calls.
            guard case .admitted(let permit) = serving.admission.acquire(at: .now()) else {
                Issue.record("calls that said nothing hold what is there for lookups")
                return group.cancelAll()
            }
            serving.admission.finished(permit, .success, at: .now())
            let (other, _) = AsyncThrowingStream<Int, any Error>.makeStream()
            let code = await GRPCFixture.code {
                _ = try await Self.call(calls, SlowMessages(messages: other, asked: ask))
            }
            #expect(code == .unavailable)
            group.cancelAll()
        }
        // What was given up is counted no more.
        for _ in 0..<3 {
            let (late, _) = AsyncThrowingStream<Int, any Error>.makeStream()
            let code = await GRPCFixture.code {
                _ = try await Self.call(calls, SlowMessages(messages: late, asked: ask), timeout: "1m")
            }
            #expect(code == .deadlineExceeded)
        }
        let (last, sender) = AsyncThrowingStream<Int, any Error>.makeStream()
        sender.yield(41)
        sender.finish()
        #expect(try await Self.call(calls, SlowMessages(messages: last, asked: ask)) == 41)
        #expect(serving.admission.status.inFlight == 0 && serving.admission.status.strays == 0)
        // The clients' silence says nothing of how much can be done at once.
        #expect(serving.admission.status.limit == 1)
    }

    // MARK: The store

    @Test func aViewThatFailsBesideOthersIsAStatus() async throws {
        let store = MemoryStore()
        let rows = Rows(store: store)
        try await rows.apply()
        try await rows.put(Rows.activity, [.integer(1)], [.int64(3), .null])
        try await rows.put(Rows.prices, [.integer(1), .text("a")], [.float64(3), .null])
        let reads = Mutex(0)
        try await GRPCFixture.with(store) { fixture async throws in
            store.setFaultHook { operation, moment throws(StoreError) in
                guard operation == .read, moment == .before else { return }
                let isSecond = reads.withLock { reads in
                    reads += 1
                    return reads == 2
                }
                if isSecond { throw StoreError(.unavailable, "not there") }
            }
            let answer = try await fixture.lookup(["activity:views", "prices:price"], users: [1], items: ["a"])
            #expect(answer.degraded.stage == "store")
            #expect(answer.degraded.views.count == 1)
            #expect(Set(answer.rows[0].statuses) == [.present, .failed])
            reads.withLock { $0 = 1 }
            let feast = try await fixture.feast.getOnlineFeatures(
                GRPCFixture.feastQuestion(["activity:views", "prices:price"], users: [1], items: ["a"]))
            #expect(Set([feast.results[2].statuses[0], feast.results[3].statuses[0]]).contains(.invalid))
        }
    }

    @Test(arguments: [
        (StoreError.Code.unavailable, RPCError.Code.unavailable), (.deadlineExceeded, .deadlineExceeded),
        (.corrupt, .unavailable),
    ])
    func aStoreThatFailsIsACode(_ store: StoreError.Code, _ expected: RPCError.Code) async throws {
        let memory = MemoryStore()
        try await Rows(store: memory).apply()
        try await GRPCFixture.with(memory) { fixture async throws in
            memory.failNext(2, store)
            let code = await GRPCFixture.code {
                _ = try await fixture.lookup(["activity:views", "prices:price"], users: [1], items: ["a"])
            }
            #expect(code == expected)
            #expect(try await fixture.lookup(["activity:views"], users: [1]).rows.count == 1)
        }
    }

    @Test(.enabled(if: RedisServer.isAvailable, "redis-server is not installed"))
    func aSilentStoreIsGivenUpAtTheDeadline() async throws {
        try await RedisServer.with { server async throws in
            var configuration = RedisStore.Configuration(project: "shop", topology: server.topology)
            configuration.connectTimeout = .seconds(10)
            configuration.callTimeout = .seconds(20)
            let store = try await RedisStore(configuration: configuration)
            let rows = Rows(store: store)
            try await rows.apply()
            try await rows.put(Rows.activity, [.integer(1)], [.int64(3), .null])
            try await GRPCFixture.with(store) {
                $0.maximumTimeout = .milliseconds(300)
            } _: { fixture async throws in
                server.pause()
                let start = ContinuousClock.now
                // The daemon's own: this client has no timer for either.
                for timeout in ["100m", "99999999H"] {
                    let code = await GRPCFixture.code {
                        _ = try await fixture.lookup(["activity:views"], users: [1], timeout: timeout)
                    }
                    #expect(code == .deadlineExceeded)
                }
                // Far below what the store's own deadline allows.
                #expect(ContinuousClock.now - start < .seconds(15))
                server.resume()
                let answer = try await fixture.features.lookup(GRPCFixture.question(["activity:views"], users: [1]))
                #expect(answer.rows[0].values[0].int64 == 3)
            }
            await store.close()
        }
    }

    // MARK: grpc-timeout

    @Test(arguments: ["9999999H", "99999999H", "99999999n", "1S", "00000001M"])
    func timeoutsOfTheProtocolAreTaken(_ timeout: String) async throws {
        #expect(CallTimeout.parse(timeout) != nil)
        let store = MemoryStore()
        try await Rows(store: store).apply()
        try await GRPCFixture.with(store) { fixture async throws in
            #expect(try await fixture.lookup(["activity:views"], users: [1], timeout: timeout).rows.count == 1)
        }
    }

    @Test func timeoutsOfNoProtocolAreRefused() async throws {
        let wrong = ["", "1", "S", "1x", "-1m", "+1m", "1.5S", "999999999S", "1 S", "１S", "0x1S"]
        for timeout in wrong { #expect(CallTimeout.parse(timeout) == nil, "\(timeout)") }
        #expect(CallTimeout.parse("0n") == .zero)
        #expect(CallTimeout.parse("2H") == .seconds(7_200))
        #expect(CallTimeout.parse("3M") == .seconds(180))
        #expect(CallTimeout.parse("4S") == .seconds(4))
        #expect(CallTimeout.parse("5m") == .milliseconds(5))
        #expect(CallTimeout.parse("6u") == .microseconds(6))
        #expect(CallTimeout.parse("7n") == .nanoseconds(7))
        let store = MemoryStore()
        try await Rows(store: store).apply()
        try await GRPCFixture.with(store) { fixture async throws in
            for timeout in ["1x", "-1m", "999999999S"] {
                let code = await GRPCFixture.code {
                    _ = try await fixture.lookup(["activity:views"], users: [1], timeout: timeout)
                }
                #expect(code == .invalidArgument, "\(timeout)")
            }
            var twice: Metadata = ["grpc-timeout": "5S"]
            twice.addString("6S", forKey: "grpc-timeout")
            let both = twice
            let code = await GRPCFixture.code {
                _ = try await fixture.features.lookup(
                    GRPCFixture.question(["activity:views"], users: [1]), metadata: both)
            }
            #expect(code == .invalidArgument)
            // Not ours: whoever sends it gets no deadline by it.
            let own = try await fixture.features.lookup(
                GRPCFixture.question(["activity:views"], users: [1]), metadata: ["tidemark-call-timeout": "0m"])
            #expect(own.rows.count == 1)
            let late = await GRPCFixture.code {
                _ = try await fixture.lookup(["activity:views"], users: [1], timeout: "0m")
            }
            #expect(late == .deadlineExceeded)
        }
    }
}
