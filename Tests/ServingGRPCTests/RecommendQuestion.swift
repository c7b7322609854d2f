import GRPCCore
import OnlineStore
import RedisClient
import Serving
import ServingProtos
import SwiftProtobuf
import TidemarkTesting

/// A request for items, as both listeners take it.
struct RecommendQuestion: CustomStringConvertible {
    var pipeline = "home"
    var user: Int64? = 1
    var k: Int32?
    var candidates: [Int64]?
    var exclude: [Int64] = []
    /// The `recent:items` of the request.
    var items: [Int64]?
    /// The `recent:visits` of the request.
    var visits: Int64?
    var explain = false

    /// One among many; some users and items are nobody's.
    static func random(_ generator: inout SeededGenerator) -> RecommendQuestion {
        func list(_ count: ClosedRange<Int>) -> [Int64] {
            (0..<Int.random(in: count, using: &generator)).map { _ in .random(in: 1...210, using: &generator) }
        }
        var question = RecommendQuestion()
        question.user = .random(in: 1...24, using: &generator)
        if Bool.random(using: &generator) { question.k = .random(in: 1...50, using: &generator) }
        if Int.random(in: 0..<3, using: &generator) == 0 { question.candidates = list(1...60) }
        if Int.random(in: 0..<3, using: &generator) == 0 { question.exclude = list(0...30) }
        if Int.random(in: 0..<4, using: &generator) == 0 { question.items = list(0...3) }
        if Int.random(in: 0..<4, using: &generator) == 0 { question.visits = .random(in: 0...100, using: &generator) }
        question.explain = Int.random(in: 0..<3, using: &generator) == 0
        if Int.random(in: 0..<8, using: &generator) == 0 {
            question = RecommendQuestion(pipeline: "words", k: question.k.map { min($0, 9) }, explain: question.explain)
        }
        return question
    }

    var message: Tidemark_V1_RecommendRequest {
        .with {
            $0.pipeline = pipeline
            if let user { $0.entity["user_id"] = .with { $0.integer = user } }
            if let k { $0.k = k }
            if let candidates { $0.candidates.integers.values = candidates }
            if !exclude.isEmpty { $0.exclude.integers.values = exclude }
            if let items {
                $0.context["recent:items"] = .with {
                    $0.list = .with { $0.values = items.map { item in .with { $0.int64 = item } } }
                }
            }
            if let visits { $0.context["recent:visits"] = .with { $0.int64 = visits } }
            $0.explain = explain
        }
    }

    var body: String {
        var fields = ["\"pipeline\":\"\(pipeline)\"", "\"entity\":{\(user.map { "\"user_id\":\($0)" } ?? "")}"]
        if let k { fields.append("\"k\":\(k)") }
        if let candidates { fields.append("\"candidates\":\(candidates)") }
        if !exclude.isEmpty { fields.append("\"exclude\":\(exclude)") }
        var context: [String] = []
        if let items { context.append("\"recent:items\":\(items)") }
        if let visits { context.append("\"recent:visits\":\(visits)") }
        if !context.isEmpty { fields.append("\"context\":{\(context.joined(separator: ","))}") }
        if explain { fields.append("\"explain\":true") }
        return "{\(fields.joined(separator: ","))}"
    }

    var description: String { body }
}

extension GRPCFixture {
    /// Serves the shop of `TestPipelines` over a store of its own; over Redis as the daemon does, by lanes where HTTP is there, too.
    static func withShop(
        _ kind: StoreKind, overHTTP: Bool = false, _ change: (inout ServerSettings) -> Void = { _ in },
        _ body: (GRPCFixture, RedisServer?) async throws -> Void
    ) async throws {
        guard kind == .redis else {
            let store = MemoryStore()
            try await TestPipelines.fill(store)
            return try await with(store, change, pipelines: TestPipelines.config, overHTTP: overHTTP) {
                try await body($0, nil)
            }
        }
        try await RedisServer.with { server async throws in
            var configuration = RedisStore.Configuration(project: "shop", topology: server.topology)
            configuration.connectTimeout = .seconds(10)
            configuration.callTimeout = .seconds(20)
            let store = try await RedisStore(configuration: configuration)
            try await TestPipelines.fill(store)
            try await with(
                store, change, lane: RedisClient.Configuration(topology: server.topology),
                pipelines: TestPipelines.config, overHTTP: overHTTP
            ) { try await body($0, server) }
            await store.close()
        }
    }

    /// Recommends over gRPC.
    func recommend(
        _ question: RecommendQuestion, id: String? = nil, timeout: String? = nil, milliseconds: String? = nil
    ) async throws -> Tidemark_V1_RecommendResponse {
        var metadata: Metadata = [:]
        if let id { metadata.addString(id, forKey: "x-request-id") }
        if let timeout { metadata.addString(timeout, forKey: "grpc-timeout") }
        if let milliseconds { metadata.addString(milliseconds, forKey: "x-request-timeout-ms") }
        return try await recommending.recommend(question.message, metadata: metadata)
    }
}
