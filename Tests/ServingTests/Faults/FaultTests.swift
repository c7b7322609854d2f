import Foundation
import NIOCore
import RedisClient
import Resilience
import Serving
import Testing
import TidemarkTesting

/// The daemon behind a network that misbehaves: what `ops/faults` measures, here for right and wrong alone.
@Suite(.enabled(if: DaemonStage.isPossible), .timeLimit(.minutes(3))) struct FaultTests {
    private static let milliseconds = 100
    /// Longer than any answer takes on the busiest machine: what isn't there by then never comes.
    private static let hang = Duration.seconds(8)
    private static let clients = 6
    private static let requests = 15

    private static func options() -> DaemonStage.Options {
        var options = DaemonStage.Options()
        options.usesProxy = true
        // So that what takes all of it counts against the store.
        options.settings.timeout = .milliseconds(milliseconds)
        return options
    }

    private enum Answer {
        case whole
        case failed
        case refused
    }

    /// Asks for two users in two views, and holds every value against what was written.
    private static func ask(_ client: RawClient, _ user: Int) async throws -> Answer {
        let users = [user, (user + 1) % DaemonStage.users]
        let began = ContinuousClock.now
        let answer = try await client.ask(
            "POST", "/v1/lookup",
            "{\"features\":[\"activity:activity_count\",\"stock:stock_count\"],"
                + "\"entities\":[\(users.map { "{\"user_id\":\($0)}" }.joined(separator: ","))]}",
            headers: ["X-Request-Timeout-Ms: \(milliseconds)"])
        #expect(ContinuousClock.now - began < hang)
        guard answer.status == 200 else {
            #expect(answer.status == 503 && answer.headers["retry-after"] != nil, "\(answer)")
            return .refused
        }
        let rows = try #require(try answer.json()["rows"] as? [[String: Any]])
        #expect(rows.count == users.count)
        var failures = 0
        for (user, row) in zip(users, rows) { failures += try check(row, user) }
        #expect((failures > 0) == answer.body.contains("\"degraded\":{"), "\(answer)")
        return failures > 0 ? .failed : .whole
    }

    /// Holds a row against what was written; how many values failed. A reply that broke off gives what came of it.
    private static func check(_ row: [String: Any], _ user: Int) throws -> Int {
        let values = try #require(row["values"] as? [Any])
        let statuses = row["statuses"] as? [String] ?? ["PRESENT", "PRESENT"]
        #expect(values.count == 2 && statuses.count == 2)
        for (place, view) in [0, 2].enumerated() where statuses[place] != "FAILED" {
            let written = DaemonStage.values(view, user)?[0].json
            #expect(statuses[place] == (written == nil ? "NOT_FOUND" : "PRESENT"), "\(user) \(row)")
            #expect((values[place] as? Int64).map { "\($0)" } == written, "\(user) \(row)")
        }
        for (status, value) in zip(statuses, values) where status == "FAILED" { #expect(value is NSNull, "\(row)") }
        return statuses.filter { $0 == "FAILED" }.count
    }

    /// Many connections at once; what became of their requests.
    private static func load(_ stage: DaemonStage) async throws -> [Answer] {
        try await withThrowingTaskGroup(of: [Answer].self) { tasks in
            for number in 0..<clients {
                tasks.addTask {
                    let client = try stage.connect()
                    var answers: [Answer] = []
                    for request in 0..<requests {
                        answers.append(try await ask(client, (number * 31 + request * 7) % DaemonStage.users))
                    }
                    return answers
                }
            }
            return try await tasks.reduce(into: []) { $0 += $1 }
        }
    }

    /// Asks until an answer is whole. Answers on the way are honest, or the test fails.
    private static func recover(_ stage: DaemonStage) async throws {
        for number in 0..<clients {
            let client = try stage.connect()
            while try await ask(client, number) != .whole { await Task.yield() }
        }
    }

    @Test(arguments: [
        FaultProxy.Mode.delay(.milliseconds(20)), .delay(.milliseconds(200)), .silent, .reset, .refuse, .bytewise,
        .cut(afterBytes: 700),
    ])
    func everyAnswerIsHonestAndTheDaemonRecovers(_ mode: FaultProxy.Mode) async throws {
        try await DaemonStage.with(Self.options()) { stage in
            let proxy = try #require(stage.proxy)
            try await Self.recover(stage)
            try await proxy.set(mode)
            let answers = try await Self.load(stage)
            #expect(answers.count == Self.clients * Self.requests)
            switch mode {
            case .delay(.milliseconds(200)), .silent: #expect(answers.allSatisfy { $0 != .whole })
            case .reset, .refuse:
                #expect(answers.allSatisfy { $0 != .whole })
                #expect(stage.serving.gate.trips > 0)
            case .cut: #expect(answers.contains { $0 != .whole })
            default: break
            }
            try await proxy.set(.pass)
            try await Self.recover(stage)
            // Late replies of the fault reach nobody's question.
            _ = try await Self.load(stage)
            #expect(stage.serving.admission.status.inFlight == 0)
            #expect(stage.serving.admission.status.strays == 0)
            // One connection an event loop, and no other is left.
            while try await proxy.connections() != stage.serving.settings.threads { await Task.yield() }
        }
    }

    @Test func aProxyTreatsBytesAsToldAndLosesNone() async throws {
        try await RedisServer.with { redis in
            try await redis.command("SET", "key", "value")
            try await FaultProxy.with(to: redis.topology.primary.address) { proxy in
                var configuration = RedisClient.Configuration(topology: proxy.topology)
                configuration.connections = 1
                let client = try RedisClient(configuration)
                func get(_ patience: Duration) async throws -> [UInt8]? {
                    var pipeline = RedisPipeline()
                    pipeline.append("GET", [.text("key")])
                    let replies = try await client.send(pipeline, deadline: .now + patience, idempotent: false) { $0 }
                    return try replies.last?.bytes()
                }
                for mode in [FaultProxy.Mode.pass, .delay(.milliseconds(30)), .bytewise] {
                    try await proxy.set(mode)
                    #expect(try await get(.seconds(10)) == Array("value".utf8))
                }
                try await proxy.set(.silent)
                await #expect(throws: RedisError.self) { _ = try await get(.milliseconds(50)) }
                try await proxy.set(.pass)
                #expect(try await get(.seconds(10)) == Array("value".utf8))
                try await proxy.set(.cut(afterBytes: 3))
                await #expect(throws: RedisError.self) { _ = try await get(.seconds(10)) }
                try await proxy.set(.refuse)
                await #expect(throws: RedisError.self) { _ = try await get(.milliseconds(50)) }
                #expect(try await proxy.connections() == 0)
                await client.close()
            }
        }
    }

    /// Whom too much load makes late is no store that fails: the limit shrinks, and the breaker stays closed.
    @Test(arguments: [true, false]) func aStoreThatAnswersOthersMeanwhileIsLeftInUse(_ answersOthers: Bool) async throws
    {
        var options = Self.options()
        options.settings.timeout = .seconds(1)
        options.settings.threads = 1
        try await DaemonStage.with(options) { stage in
            let proxy = try #require(stage.proxy)
            try await Self.recover(stage)
            try await proxy.set(.delay(.seconds(2)))
            func send(_ client: RawClient, milliseconds: Int) async throws {
                try await client.send(
                    ConnectionTests.lookup(1, headers: ["X-Request-Timeout-Ms: \(milliseconds)"]))
            }
            let patient = try stage.connect()
            if answersOthers { try await send(patient, milliseconds: 8_000) }
            // Time goes by in which the store can't answer yet.
            let clock = try stage.connect()
            for _ in 0..<2 {
                try await send(clock, milliseconds: 600)
                _ = try await clock.receive()
            }
            let hurried = try (0..<30).map { _ in try stage.connect() }
            for client in hurried { try await send(client, milliseconds: 1_000) }
            for client in hurried {
                let answer = try await client.receive()
                #expect(answer.status == 200 && answer.body.contains("FAILED"), "\(answer)")
            }
            #expect((stage.serving.gate.trips == 0) == answersOthers)
            guard answersOthers else { return }
            let answer = try await patient.receive()
            #expect(answer.status == 200 && !answer.body.contains("FAILED"), "\(answer)")
        }
    }
}
