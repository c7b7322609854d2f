import FeatureModel
import Telemetry
import Testing
import TidemarkTesting

@testable import Serving  // What it counts by itself.

/// Clients that break their connection off: nothing is counted for them afterwards, and nobody else waits.
@Suite(.enabled(if: DaemonStage.isPossible), .timeLimit(.minutes(2))) struct BrokenConnectionTests {
    private static func value(_ stage: DaemonStage, _ gauge: GaugeMetric) -> Double {
        stage.serving.metrics.registry.gauge(gauge).value ?? 0
    }

    /// Waits until so many connections are open; the suite's time limit ends it otherwise.
    private static func wait(_ stage: DaemonStage, connections: Double) async {
        while value(stage, .httpConnections) != connections { await Task.yield() }
    }

    private static func wait(_ stage: DaemonStage, routed: Double) async {
        while value(stage, .httpInFlight) != routed { await Task.yield() }
    }

    @Test(arguments: ["/push", "/v1/recommend"])
    func aRoutedRequestWhoseClientIsGoneIsUnderWayNoMore(_ path: String) async throws {
        try await DaemonStage.with { stage in
            for isReset in [true, false] {
                for count in 1...10 {
                    let client = try stage.connect()
                    try await client.send("POST \(path) HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n\r\n{")
                    // Some of them are gone before the daemon has read anything.
                    if count > 3 { await Self.wait(stage, routed: 1) }
                    client.close(resetting: isReset)
                    await Self.wait(stage, connections: 0)
                    #expect(Self.value(stage, .httpInFlight) == 0)
                }
            }
            let client = try stage.connect()
            for _ in 0..<3 { #expect(try await client.ask("GET", "/livez").status == 200) }
            #expect(Self.value(stage, .httpInFlight) == 0)
        }
    }

    @Test func whoLeavesTheLineOrIsNotReadHoldsUpNobody() async throws {
        var options = DaemonStage.Options()
        options.settings.maximumInFlight = .fixed(1)
        options.settings.threads = 1
        try await DaemonStage.with(options) { stage in
            stage.redis.pause()
            let first = try stage.connect()
            try await first.send(ConnectionTests.lookup(1, headers: ["X-Request-Timeout-Ms: 9000"]))
            while stage.serving.admission.status.inFlight != 1 { await Task.yield() }
            for number in 0..<60 {
                let client = try stage.connect()
                // The second of each has to wait for its turn on the connection, too.
                for user in 1...2 {
                    try await client.send(ConnectionTests.lookup(user, headers: ["X-Request-Timeout-Ms: 9000"]))
                }
                if number.isMultiple(of: 2) { await Self.wait(stage, connections: 2) }
                client.close(resetting: true)
            }
            await Self.wait(stage, connections: 1)
            stage.redis.resume()
            #expect(try await first.receive().body.contains(ConnectionTests.count(1)))
            let after = try await stage.connect().ask(
                "POST", "/v1/lookup", "{\"features\":[\"activity:activity_count\"],\"entities\":[{\"user_id\":3}]}")
            #expect(after.status == 200 && after.body.contains(ConnectionTests.count(3)), "\(after)")
            #expect(stage.serving.admission.status.inFlight == 0)
            #expect(stage.serving.admission.status.strays == 0)
        }
    }

    @Test func aThousandRequestsInOneGoAreAnsweredInTheirOrder() async throws {
        try await DaemonStage.with { stage in
            let client = try stage.connect()
            let users = (0..<1_000).map { $0 % DaemonStage.users }
            async let sent: Void = client.send(users.map { ConnectionTests.lookup($0) }.joined())
            for (number, user) in users.enumerated() {
                let answer = try await client.receive()
                #expect(answer.body.contains("[\(ConnectionTests.count(user))]"), "\(number): \(answer)")
            }
            try await sent
        }
    }

    @Test func whatIsRefusedBetweenTwoRequestsIsNotTheOneBefore() async throws {
        var options = DaemonStage.Options()
        options.settings.requestTimeout = .milliseconds(300)
        try await DaemonStage.with(options) { stage in
            let client = try stage.connect()
            let first = try await client.ask("GET", "/livez", headers: ["X-Request-Id: first"])
            #expect(first.headers["x-request-id"] == "first")
            try await client.send("POST /v1/loo")
            let late = try await client.receive()
            #expect(late.status == 408 && late.headers["x-request-id"] != "first", "\(late)")
            let page = try await stage.connect().ask("GET", "/metrics").body
            #expect(page.contains("route=\"other\",status=\"4xx\"} 1"), "\(page)")
        }
    }

    @Test func ofTwoTimeoutsTheSmallerCountsOnEveryRoute() async throws {
        try await DaemonStage.with { stage in
            let client = try stage.connect()
            let twice = ["X-Request-Timeout-Ms: 9000", "X-Request-Timeout-Ms: 8000"]
            #expect(try await client.ask("POST", "/push", "[]", headers: twice).status == 422)
            #expect(
                try await client.ask(
                    "POST", "/v1/recommend", "{\"pipeline\":\"p\",\"entity\":{\"user_id\":1}}", headers: twice
                ).status == 404)
            stage.redis.pause()
            for headers in [
                ["X-Request-Timeout-Ms: 30", "X-Request-Timeout-Ms: 9000"],
                twice.reversed() + ["X-Request-Timeout-Ms: 30"],
            ] {
                try await client.send(ConnectionTests.lookup(1, headers: headers))
                #expect(try await client.receive().body.contains("FAILED"))
            }
            stage.redis.resume()
        }
    }

    @Test func aLimitThatIsRaisedCountsForWritesToo() async throws {
        var options = DaemonStage.Options()
        options.settings.bodyBytes = 1_000
        try await DaemonStage.with(options) { stage in
            let body = "[" + String(repeating: " ", count: 2_000) + "]"
            func status() async throws -> Int { try await stage.connect().ask("POST", "/push", body).status }
            #expect(try await status() == 413)
            var settings = stage.serving.settings
            settings.bodyBytes = 10_000
            stage.serving.reconfigure(settings)
            var found = 413
            while found == 413 { found = try await status() }
            #expect(found == 422)
        }
    }
}
