import Events
import FeatureModel
import Logging
import Resilience
import ServiceLifecycle
import Serving
import Telemetry
import Testing
import TidemarkTesting

/// `POST /v1/events` of a daemon: each event once, none lost without a word.
@Suite(.enabled(if: DaemonStage.isPossible), .timeLimit(.minutes(2))) struct EventRouteTests {
    private static func event(_ id: String, source: String? = nil, item: Int = 1) -> String {
        let origin = source.map { "\"source\":\"\($0)\"," } ?? ""
        return "{\"id\":\"\(id)\",\(origin)\"type\":\"view\",\"entity\":{\"user_id\":1},\"item\":\(item)}"
    }

    /// Without a writer: what is accepted waits.
    private static func with(
        limit: Int = 100, bytes: Int = 1 << 20, remember: Int = 1_000,
        _ body: @escaping @Sendable (DaemonStage, EventLog, MetricRegistry) async throws -> Void
    ) async throws {
        var options = DaemonStage.Options()
        let registry = options.registry
        let log = EventLog(name: "events", limit: limit, bytes: bytes, registry: registry)
        options.events = EventIntake(log, remember: remember, registry: registry)
        try await DaemonStage.with(options) { try await body($0, log, registry) }
    }

    private static func post(_ stage: DaemonStage, _ body: String, headers: [String] = []) async throws -> RawAnswer {
        try await stage.connect().ask("POST", "/v1/events", body, headers: headers)
    }

    @Test func eachIdCountsOncePerSource() async throws {
        try await Self.with { stage, log, registry async throws in
            let first = try await Self.post(stage, Self.event("a"))
            #expect(first.status == 202 && first.body == "{\"accepted\":1,\"duplicates\":0}", "\(first)")
            #expect(first.headers["x-request-id"] != nil && first.headers["content-type"] == "application/json")
            let list = [Self.event("a", item: 9), Self.event("b"), Self.event("b"), Self.event("a", source: "web")]
            let second = try await Self.post(stage, "[\(list.joined(separator: ","))]")
            #expect(second.body == "{\"accepted\":2,\"duplicates\":2}", "\(second)")
            let data = #"{"entity":{"user_id":1},"item":1}"#
            let cloud = "{\"specversion\":\"1.0\",\"id\":\"a\",\"source\":\"web\",\"type\":\"x.view\",\"data\":\(data)}"
            let third = try await Self.post(stage, cloud, headers: ["content-type: application/cloudevents+json"])
            #expect(third.body == "{\"accepted\":0,\"duplicates\":1}", "\(third)")
            let fourth = try await Self.post(
                stage, data,
                headers: ["ce-specversion: 1.0", "ce-id: c", "ce-source: web", "ce-type: order"])
            #expect(fourth.body == "{\"accepted\":1,\"duplicates\":0}", "\(fourth)")
            #expect(log.reading.unwritten == 4)
            #expect(registry.counter(.events, ["accepted"]).value == 4)
            #expect(registry.counter(.events, ["duplicate"]).value == 3)
        }
    }

    @Test func onlySoManyIdsAreRemembered() async throws {
        try await Self.with(remember: 2) { stage, _, _ async throws in
            for id in ["a", "b", "c"] { #expect(try await Self.post(stage, Self.event(id)).status == 202) }
            #expect(try await Self.post(stage, Self.event("b")).body == "{\"accepted\":0,\"duplicates\":1}")
            #expect(try await Self.post(stage, Self.event("a")).body == "{\"accepted\":1,\"duplicates\":0}")
        }
    }

    @Test func aFullLogRefusesAndWhatItRefusedIsNoDuplicate() async throws {
        try await Self.with(limit: 3) { stage, log, registry async throws in
            #expect(try await Self.post(stage, "[\(Self.event("a")),\(Self.event("b"))]").status == 202)
            let refused = try await Self.post(stage, "[\(Self.event("c")),\(Self.event("d"))]")
            #expect(refused.status == 503 && refused.headers["retry-after"] == "1", "\(refused)")
            #expect(refused.headers["content-type"] == "application/problem+json")
            #expect(log.reading.unwritten == 2 && registry.counter(.events, ["refused"]).value == 2)
            #expect(try await Self.post(stage, Self.event("c")).body == "{\"accepted\":1,\"duplicates\":0}")
            let many = (0..<4).map { Self.event("m\($0)") }.joined(separator: ",")
            #expect(try await Self.post(stage, "[\(many)]").status == 422)
        }
    }

    @Test func whatNeverHasRoomIsTooLarge() async throws {
        try await Self.with(bytes: 300) { stage, _, _ async throws in
            #expect(try await Self.post(stage, Self.event("a")).status == 202)
            #expect(try await Self.post(stage, "[\(Self.event("b")),\(Self.event("c"))]").status == 503)
            let four = (0..<4).map { Self.event("m\($0)") }.joined(separator: ",")
            #expect(try await Self.post(stage, "[\(four)]").status == 422)
        }
    }

    @Test func oneBadEventIsNamedAndNoneCounts() async throws {
        try await Self.with { stage, log, registry async throws in
            let answer = try await Self.post(stage, "[\(Self.event("a")),{\"id\":\"b\",\"type\":\"view\",\"item\":1}]")
            #expect(answer.status == 400 && answer.headers["content-type"] == "application/problem+json")
            #expect(answer.body.contains("\"pointer\":\"/1/entity\""), "\(answer)")
            #expect(log.reading.unwritten == 0 && registry.counter(.events, ["invalid"]).value == 1)
            #expect(try await Self.post(stage, "{").status == 400)
            let large = Self.event(String(repeating: "x", count: 5 << 20))
            #expect(try await Self.post(stage, large).status == 413)
            #expect(try await stage.connect().ask("GET", "/v1/events").status == 405)
        }
    }

    @Test func aSinkThatFailsRefusesUntilItIsBack() async throws {
        try await Self.with { stage, log, _ async throws in
            try await Workdir.with { workdir in
                let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
                // A folder where the file should be.
                try workdir.write("", to: "events.jsonl/x")
                var settings = EventLogWriter.Settings()
                settings.retries = .init(initial: .milliseconds(1), maximum: .milliseconds(5))
                let sink = EventFile(.init(path: workdir.file("events.jsonl"), maximumBytes: 1 << 20, keep: 1))
                let group = ServiceGroup(
                    services: [EventLogWriter(log, to: sink, settings, logger: logger)], logger: logger)
                try await withThrowingTaskGroup(of: Void.self) { tasks in
                    tasks.addTask { try await group.run() }
                    #expect(try await Self.post(stage, Self.event("a")).status == 202)
                    while !log.reading.isFailing { try await Task.sleep(for: .milliseconds(1)) }
                    let refused = try await Self.post(stage, Self.event("b"))
                    #expect(refused.status == 503 && refused.headers["retry-after"] == "5", "\(refused)")
                    _ = try await DaemonProcess("/bin/rm", ["-r", workdir.file("events.jsonl")]).ending()
                    while log.reading.isFailing { try await Task.sleep(for: .milliseconds(1)) }
                    #expect(try await Self.post(stage, Self.event("b")).body == "{\"accepted\":1,\"duplicates\":0}")
                    await group.triggerGracefulShutdown()
                    try await tasks.waitForAll()
                }
                let text = try await DaemonProcess("/bin/cat", [workdir.file("events.jsonl")]).ending().output
                #expect(text.split(separator: "\n").count == 2, "\(text)")
                for id in ["a", "b"] { #expect(text.contains("{\"id\":\"\(id)\"")) }
                // The daemon outlives its log only in this test: nobody is told that it was stored.
                #expect(try await Self.post(stage, Self.event("c")).status == 503)
            }
        }
    }

    @Test func withoutASectionThereIsNoSuchThing() async throws {
        try await DaemonStage.with { stage async throws in
            let answer = try await Self.post(stage, Self.event("a"))
            #expect(answer.status == 501 && answer.body.contains("events section"), "\(answer)")
        }
    }
}
