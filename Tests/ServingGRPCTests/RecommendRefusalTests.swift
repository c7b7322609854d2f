import FeatureModel
import GRPCCore
import GRPCProtobuf
import NIOCore
import OnlineStore
import Recommend
import Resilience
import Serving
import ServingProtos
import SwiftProtobuf
import Synchronization
import Telemetry
import Testing
import TidemarkTesting

@testable import ServingGRPC

/// Requests for items that get none: by which code, for which field, and what they leave behind, which is nothing.
@Suite(.timeLimit(.minutes(2)))
struct RecommendRefusalTests {
    /// A wrong request, over both listeners where JSON can say it.
    struct Case: CustomTestStringConvertible, Sendable {
        let testDescription: String
        let code: RPCError.Code
        let field: String
        var body: String?
        /// Of HTTP.
        var pointer = ""
        let message: Tidemark_V1_RecommendRequest

        /// One whose fields are those of the body.
        init(
            _ name: String, _ code: RPCError.Code, _ field: String, _ pointer: String,
            _ change: (inout RecommendQuestion) -> Void
        ) {
            var question = RecommendQuestion()
            change(&question)
            self.init(name, code, field, message: question.message)
            (body, self.pointer) = (question.body, pointer)
        }

        init(_ name: String, _ code: RPCError.Code, _ field: String, message: Tidemark_V1_RecommendRequest) {
            (testDescription, self.code, self.field, self.message) = (name, code, field, message)
        }

        init(
            _ name: String, _ code: RPCError.Code, _ field: String,
            only change: (inout Tidemark_V1_RecommendRequest) -> Void
        ) {
            var message = RecommendQuestion().message
            change(&message)
            self.init(name, code, field, message: message)
        }
    }

    private static let many = Array(repeating: Int64(1), count: 10_001)

    static let shared: [Case] = [
        Case("an unknown pipeline", .notFound, "pipeline", "/pipeline") { $0.pipeline = "hom" },
        Case("k is 0", .invalidArgument, "k", "/k") { $0.k = 0 },
        Case("k below 0", .invalidArgument, "k", "/k") { $0.k = -1 },
        Case("k over the limit", .resourceExhausted, "k", "/k") { $0.k = 51 },
        Case("no user", .invalidArgument, "entity[\"user_id\"]", "/entity/user_id") { $0.user = nil },
        Case("candidates of nothing", .invalidArgument, "candidates", "/candidates") { $0.candidates = [] },
        Case("too many candidates", .resourceExhausted, "candidates", "/candidates") { $0.candidates = many },
        Case("too many excluded", .resourceExhausted, "exclude", "/exclude") { $0.exclude = many },
        Case("numbers where items are words", .invalidArgument, "candidates[0]", "/candidates/0") {
            ($0.pipeline, $0.candidates) = ("words", [1, 2])
        },
    ]

    static let own: [Case] = [
        Case("nothing at all", .invalidArgument, "pipeline", message: .init()),
        Case("a long name", .resourceExhausted, "pipeline") { $0.pipeline = String(repeating: "x", count: 4_097) },
        // Its name comes back in the error, as much of it as clients take.
        Case("a pipeline of a very long name", .notFound, "pipeline") {
            $0.pipeline = String(repeating: "é\r\n", count: 1_000)
        },
        Case("a key without a value", .invalidArgument, "entity[\"user_id\"]") { $0.entity["user_id"] = .init() },
        Case("a key of another type", .invalidArgument, "entity[\"user_id\"]") {
            $0.entity["user_id"] = .with { $0.string = "1" }
        },
        Case("a key that is nobody's", .invalidArgument, "entity[\"usr_id\"]") {
            $0.entity["usr_id"] = .with { $0.integer = 1 }
        },
        Case("too many keys", .resourceExhausted, "entity") {
            for number in 0..<17 { $0.entity["k\(number)"] = .with { $0.integer = 1 } }
        },
        Case("candidates without values", .invalidArgument, "candidates") { $0.candidates = .init() },
        Case("an item of another type", .invalidArgument, "exclude[0]") { $0.exclude.strings.values = ["a"] },
        Case("an item that is too long", .resourceExhausted, "candidates[1]") {
            $0.candidates.strings.values = ["a", String(repeating: "x", count: 4_097)]
        },
        Case("no view:feature", .invalidArgument, "context[\"visits\"]") { $0.context["visits"] = .init() },
        Case("too much context", .resourceExhausted, "context") {
            for number in 0..<257 { $0.context["recent:f\(number)"] = .init() }
        },
        Case("a number that is none", .invalidArgument, "context[\"item:price\"]") {
            $0.context["item:price"] = .with { $0.float64 = .nan }
        },
        Case("an infinite element", .invalidArgument, "context[\"item:price\"][1]") {
            $0.context["item:price"] = .with { $0.vector.values = [1, .infinity] }
        },
        Case("a list in a list", .invalidArgument, "context[\"recent:items\"][0]") {
            $0.context["recent:items"] = .with { $0.list.values = [.with { $0.list = .init() }] }
        },
        Case("too many elements", .resourceExhausted, "context[\"recent:items\"]") {
            $0.context["recent:items"] = .with { $0.list.values = Array(repeating: .init(), count: 10_001) }
        },
        Case("a time of no calendar", .invalidArgument, "context[\"recent:at\"]") {
            $0.context["recent:at"] = .with { $0.timestamp.seconds = .max }
        },
    ]

    private static func error(_ call: () async throws -> Void) async -> RPCError? {
        do { try await call() } catch { return error as? RPCError }
        return nil
    }

    private static func fields(_ error: RPCError?) throws -> [String] {
        try error?.unpackGoogleRPCStatus()?.details.compactMap(\.badRequest).flatMap(\.violations).map(\.field) ?? []
    }

    @Test func wrongRequestsHaveTheirCodeAndField() async throws {
        try await GRPCFixture.withShop(.memory, overHTTP: true) { fixture, _ async throws in
            let http = try RawClient(port: fixture.httpPort)
            for wrong in Self.shared + Self.own {
                let error = await Self.error {
                    _ = try await fixture.recommending.recommend(wrong.message, metadata: ["x-request-id": "w1"])
                }
                #expect(error?.code == wrong.code, "\(wrong.testDescription): \(String(describing: error))")
                #expect(try Self.fields(error) == [wrong.field], "\(wrong.testDescription)")
                #expect(error?.message.hasPrefix("\(wrong.field): ") == true, "\(wrong.testDescription)")
                #expect(error.map { $0.message.utf8.count < 1_100 } == true, "\(wrong.testDescription)")
                #expect(error.map { Array($0.metadata[stringValues: "x-request-id"]) } == ["w1"])
                guard let body = wrong.body else { continue }
                let answer = try await http.ask("POST", "/v1/recommend", body)
                let status = [RPCError.Code.invalidArgument: 400, .notFound: 404, .resourceExhausted: 422][wrong.code]
                #expect(answer.status == status, "\(wrong.testDescription): \(answer.body)")
                #expect(answer.body.contains("\"pointer\":\"\(wrong.pointer)\""), "\(answer.body)")
            }
            try Self.expectNothingLeft(fixture)
        }
    }

    /// Nothing holds a place, nothing was logged, and one that is right is answered.
    private static func expectNothingLeft(_ fixture: GRPCFixture) throws {
        for gate in [fixture.serving.admission, fixture.serving.recommending] {
            #expect(gate.status.inFlight == 0 && gate.status.strays == 0)
        }
        #expect(fixture.pipelines.exposures.isEmpty)
    }

    @Test func messagesThatAreTooLargeOrNoneHoldNothing() async throws {
        try await GRPCFixture.withShop(.memory) {
            ($0.bodyBytes, $0.maximumInFlight) = (65_536, .fixed(1))
        } _: { fixture, _ async throws in
            var large = RecommendQuestion().message
            large.entity["user_id"] = .with { $0.string = String(repeating: "x", count: 70_000) }
            let (oversize, method) = (large, Tidemark_V1_RecommendService.Method.Recommend.descriptor)
            for _ in 0..<3 {
                let code = await GRPCFixture.code { _ = try await fixture.recommending.recommend(oversize) }
                #expect(code == .resourceExhausted)
                // Bytes that are no message of the service.
                let rubbish = await Self.error {
                    try await fixture.client.unary(
                        request: ClientRequest(message: [UInt8(0xFF), 0xFF, 0xFF]), descriptor: method,
                        serializer: Bytes(), deserializer: Bytes(), options: .defaults
                    ) { _ = try $0.message }
                }
                let words = String(describing: rubbish)
                #expect(rubbish != nil, "\(words)")
                #expect(rubbish?.code != .unavailable, "\(words)")
            }
            try Self.expectNothingLeft(fixture)
            #expect(try await fixture.recommend(RecommendQuestion()).rung == .ranking)
        }
    }

    private struct Bytes: MessageSerializer, MessageDeserializer {
        func serialize<Out: GRPCContiguousBytes>(_ message: [UInt8]) throws -> Out { Out(message) }
        func deserialize<In: GRPCContiguousBytes>(_ bytes: In) throws -> [UInt8] {
            unsafe bytes.withUnsafeBytes { unsafe Array($0) }
        }
    }

    // MARK: Room

    @Test func callsAboveTheLimitAreToldWhenToAskAgain() async throws {
        try await GRPCFixture.withShop(.memory, overHTTP: true) {
            $0.maximumInFlight = .fixed(1)
        } _: { fixture, _ async throws in
            guard case .admitted(let permit) = fixture.serving.recommending.acquire(at: .now()) else {
                Issue.record("nothing is under way, and yet there is no room")
                return
            }
            let error = await Self.error { _ = try await fixture.recommend(RecommendQuestion()) }
            #expect(error?.code == .unavailable)
            let delay = try error?.unpackGoogleRPCStatus()?.details.compactMap(\.retryInfo).first?.delay
            #expect(delay.map { (.seconds(1)...(.seconds(5))).contains($0) } == true)
            // The same place that HTTP waits for, and another than that of lookups.
            let http = try RawClient(port: fixture.httpPort)
            #expect(try await http.ask("POST", "/v1/recommend", RecommendQuestion().body).status == 503)
            #expect(try await fixture.lookup(["recent:visits"], users: [1]).rows.count == 1)
            fixture.serving.recommending.finished(permit, .success, at: .now())
            #expect(try await fixture.recommend(RecommendQuestion()).rung == .ranking)
            #expect(fixture.serving.recommending.status.inFlight == 0)
        }
    }

    @Test func callsWithoutTheirMessageHoldNoPlace() async throws {
        var settings = ServerSettings()
        (settings.timeout, settings.maximumTimeout) = (.seconds(40), .seconds(40))
        settings.maximumInFlight = .fixed(1)
        let serving = GRPCFixture.context(MemoryStore(), settings)
        let calls = CallGuard(serving, callsBeingRead: 2)
        let intake = RecommendIntake(serving, try TestPipelines(serving, nil).recommender)
        let (asked, ask) = AsyncStream.makeStream(of: Void.self)
        let clients = (0..<2).map { _ in AsyncThrowingStream<Int, any Error>.makeStream() }
        await withThrowingTaskGroup(of: Int.self) { group in
            for (messages, _) in clients {
                group.addTask { try await Self.call(calls, intake, SlowMessages(messages: messages, asked: ask)) }
            }
            var silent = asked.makeAsyncIterator()
            for _ in 0..<2 { await silent.next() }
            #expect(serving.recommending.status.inFlight == 0 && serving.admission.status.inFlight == 0)
            let (other, _) = AsyncThrowingStream<Int, any Error>.makeStream()
            let code = await GRPCFixture.code {
                _ = try await Self.call(calls, intake, SlowMessages(messages: other, asked: ask))
            }
            #expect(code == .unavailable)
            group.cancelAll()
        }
        // Silence ends with the call's own time, an end without a message at once.
        let (late, _) = AsyncThrowingStream<Int, any Error>.makeStream()
        let silence = await GRPCFixture.code {
            _ = try await Self.call(calls, intake, SlowMessages(messages: late, asked: ask), timeout: "1m")
        }
        #expect(silence == .deadlineExceeded)
        let (none, ending) = AsyncThrowingStream<Int, any Error>.makeStream()
        ending.finish()
        let nothing = await GRPCFixture.code {
            _ = try await Self.call(calls, intake, SlowMessages(messages: none, asked: ask))
        }
        #expect(nothing != nil)
        let (last, sender) = AsyncThrowingStream<Int, any Error>.makeStream()
        sender.yield(41)
        sender.finish()
        #expect(try await Self.call(calls, intake, SlowMessages(messages: last, asked: ask)) == 41)
        #expect(serving.recommending.status.inFlight == 0 && serving.recommending.status.strays == 0)
        #expect(serving.recommending.status.refusals == 0)
    }

    private static func call(
        _ calls: CallGuard, _ intake: RecommendIntake, _ messages: SlowMessages, timeout: String? = nil
    ) async throws -> Int {
        let metadata: Metadata = timeout.map { ["grpc-timeout": .string($0)] } ?? [:]
        let request = StreamingServerRequest(
            metadata: CallTimeout.hide(metadata), messages: RPCAsyncSequence(wrapping: messages))
        return try await withServerContextRPCCancellationHandle { handle in
            let context = ServerContext(
                descriptor: Tidemark_V1_RecommendService.Method.Recommend.descriptor, remotePeer: "a", localPeer: "b",
                cancellation: handle)
            var answered = 0
            _ = try await calls.received(request, context) { message, _ in
                answered = try await intake.admitted { (message, isWhole: true) }
                return message
            }
            return answered
        }
    }
}
