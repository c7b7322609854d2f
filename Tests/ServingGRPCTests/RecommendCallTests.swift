import FeatureModel
import GRPCCore
import NIOCore
import OnlineStore
import Recommend
import ServiceLifecycle
import Serving
import ServingProtos
import Synchronization
import Telemetry
import Testing
import TidemarkTesting

@testable import ServingGRPC

/// Items over gRPC: those of HTTP, in time, each answer logged once.
@Suite(.timeLimit(.minutes(2)))
struct RecommendCallTests {
    @Test(arguments: StoreKind.here, SeededGenerator.seeds(2))
    func answersAreThoseOfHTTP(_ kind: StoreKind, _ seed: UInt64) async throws {
        try await GRPCFixture.withShop(kind, overHTTP: true) { fixture, _ async throws in
            let http = try RawClient(port: fixture.httpPort)
            var generator = SeededGenerator(seed: seed)
            var rungs: [Tidemark_V1_Rung: Int] = [:]
            for number in 0..<150 {
                let question = RecommendQuestion.random(&generator)
                let answer = try await fixture.recommend(question, id: "r\(number)")
                let other = try await http.ask(
                    "POST", "/v1/recommend", question.body, headers: ["x-request-id: r\(number)"])
                #expect(other.status == 200, "\(question)")
                #expect(Plain(answer) == (try Plain(body: other.body)), "seed \(seed): \(question)")
                #expect(answer.requestID == "r\(number)")
                rungs[answer.rung, default: 0] += 1
            }
            // Both pipelines were asked, and the one with a model has used it.
            #expect(rungs[.ranking, default: 0] > 50 && rungs[.recall, default: 0] > 0, "\(rungs)")
            let ids = fixture.pipelines.exposures.map(\.requestID)
            #expect(ids == (0..<150).flatMap { ["r\($0)", "r\($0)"] })
        }
    }

    @Test func requestIDsAreTheCallersOrNew() async throws {
        try await GRPCFixture.withShop(.memory) { fixture, _ async throws in
            func ask(_ ids: [String]) async throws -> (message: String, metadata: [String]) {
                var metadata: Metadata = [:]
                for id in ids { metadata.addString(id, forKey: "x-request-id") }
                return try await fixture.recommending.recommend(RecommendQuestion().message, metadata: metadata) {
                    (try $0.message.requestID, Array($0.metadata[stringValues: "x-request-id"]))
                }
            }
            let own = try await ask(["a/b=1", "other"])
            #expect(own.message == "a/b=1" && own.metadata == ["a/b=1"])
            let (first, second) = (try await ask(["not safe"]), try await ask([]))
            #expect(first.message.utf8.count == 13 && first.metadata == [first.message])
            #expect(second.message.utf8.count == 13 && second.message != first.message)
            #expect(fixture.pipelines.exposures.map(\.requestID) == ["a/b=1", first.message, second.message])
        }
    }

    @Test func eachOfManyAnswersAtOnceIsLoggedOnce() async throws {
        try await GRPCFixture.withShop(.memory) { fixture, _ async throws in
            let answered = try await withThrowingTaskGroup(of: String.self) { calls in
                for number in 0..<100 {
                    // Requests of one user for the same share a run.
                    let question = RecommendQuestion(user: Int64(number % 3 + 1))
                    calls.addTask { try await fixture.recommend(question, id: "r\(number)").requestID }
                }
                return try await calls.reduce(into: []) { $0.append($1) }
            }
            #expect(Set(answered).count == 100)
            #expect(fixture.pipelines.exposures.map(\.requestID).sorted() == answered.sorted())
            let page = fixture.serving.metrics.registry.render(.prometheus)
            #expect(page.contains("{method=\"tidemark.v1.RecommendService/Recommend\",code=\"OK\"} 100\n"))
            #expect(page.contains("tidemark_recommend_rung_total{pipeline=\"home\",rung=\"ranking\"} 100\n"))
            #expect(fixture.serving.recommending.status.inFlight == 0)
            #expect(fixture.serving.recommending.status.strays == 0)
        }
    }

    // MARK: Deadlines

    @Test(.enabled(if: RedisServer.isAvailable, "redis-server is not installed"), arguments: [false, true])
    func aSilentStoreCostsTheRungAndNoAnswer(_ overHTTP: Bool) async throws {
        try await GRPCFixture.withShop(.redis, overHTTP: overHTTP) { fixture, server async throws in
            let server = try #require(server)
            #expect(await PolicyRefresher(fixture.pipelines.recommender).refresh())
            let known = try await fixture.recommend(RecommendQuestion(user: 1))
            #expect(known.rung == .ranking && known.degraded.isEmpty)
            server.pause()
            // By one way to say it and the other, and by the smaller of both.
            for (timeout, milliseconds) in [("800m", nil), (nil, "800"), ("20S", "800"), ("800m", "20000")] {
                let last = try await fixture.recommend(
                    RecommendQuestion(user: 1), timeout: timeout, milliseconds: milliseconds)
                #expect(last.rung == .lastGood && last.items == known.items, "\(last)")
                let popular = try await fixture.recommend(
                    RecommendQuestion(user: 2), timeout: timeout, milliseconds: milliseconds)
                #expect(popular.rung == .popularity && popular.items.count == 5, "\(popular)")
                #expect(popular.degraded["user"] != nil && !popular.hasModel)
                // Policy holds on the last rung, too.
                #expect(popular.items.allSatisfy { !$0.id.integer.isMultiple(of: 4) })
            }
            server.resume()
            #expect(fixture.pipelines.exposures.count == 9)
            #expect(fixture.serving.recommending.status.inFlight == 0)
        }
    }

    @Test func aCallWithoutAnyTimeIsLate() async throws {
        try await GRPCFixture.withShop(.memory) { fixture, _ async throws in
            let code = await GRPCFixture.code { _ = try await fixture.recommend(RecommendQuestion(), timeout: "0m") }
            #expect(code == .deadlineExceeded && fixture.pipelines.exposures.isEmpty)
        }
    }

    @Test func theShorterTimeCounts() throws {
        func time(_ timeout: String?, _ milliseconds: [String]) throws -> Duration? {
            var metadata: Metadata = timeout.map { ["grpc-timeout": .string($0)] } ?? [:]
            for value in milliseconds { metadata.addString(value, forKey: "x-request-timeout-ms") }
            return try CallTimeout.of(CallTimeout.hide(metadata))
        }
        #expect(try time(nil, []) == nil)
        #expect(try time("5S", []) == .seconds(5))
        #expect(try time("5S", ["30"]) == .milliseconds(30))
        #expect(try time("5m", ["30"]) == .milliseconds(5))
        #expect(try time(nil, ["30", "20", "600000"]) == .milliseconds(20))
        for wrong in ["", "0", "-1", "1.5", "600001", "1s"] {
            let error = #expect(throws: RPCError.self) { _ = try time("5S", [wrong]) }
            #expect(error?.code == .invalidArgument)
        }
    }

    // MARK: The end

    @Test func whatIsUnderWayIsAnsweredWhenItEnds() async throws {
        try await GRPCFixture.withShop(.memory) { fixture, _ async throws in
            let hold = fixture.pipelines.hold
            hold.shut()
            try await withThrowingTaskGroup(of: String.self) { calls in
                for user in 1...4 {
                    calls.addTask { try await fixture.recommend(RecommendQuestion(user: Int64(user))).requestID }
                }
                await hold.untilHeld(4)
                fixture.serving.beginDrain()
                await fixture.group.triggerGracefulShutdown()
                hold.open()
                let answered = try await calls.reduce(into: []) { $0.append($1) }
                #expect(answered.count == 4)
                #expect(fixture.pipelines.exposures.map(\.requestID).sorted() == answered.sorted())
                #expect(fixture.pipelines.exposures.allSatisfy { $0.answer.rung == .ranking })
            }
        }
    }

    @Test func stagesAreSpansOfTheCall() async throws {
        let registry = MetricRegistry()
        let tracer = Tracer(ratio: 1, registry: registry)
        let store = MemoryStore()
        try await TestPipelines.fill(store)
        try await OTLPReceiver.with { receiver in
            var settings = TraceSettings(endpoint: receiver.endpoint + "/v1/traces")
            settings.interval = .milliseconds(5)
            let exporter = TraceExporter(tracer, settings, registry: registry, logger: GRPCFixture.logger)
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                tasks.addTask { try await exporter.run() }
                try await GRPCFixture.with(store, tracer: tracer, pipelines: TestPipelines.config) {
                    fixture async throws in
                    _ = try await fixture.recommend(RecommendQuestion(), id: "r1")
                    let spans = await receiver.spans(6)
                    #expect(
                        spans.map(\.name)
                            == [
                                "user", "recall", "rows", "rank", "recommend", "tidemark.v1.RecommendService/Recommend",
                            ])
                    #expect(spans[..<4].allSatisfy { $0.parentID == spans[4].spanID })
                    #expect(spans[4].parentID == spans[5].spanID && spans[5].status == 0)
                    #expect(spans[4].attributes["tidemark.rung"] == "ranking")
                    #expect(spans[5].attributes["tidemark.request_id"] == "r1")
                }
                tasks.cancelAll()
            }
        }
    }
}
