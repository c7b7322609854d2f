import Foundation
import Resilience
import Serving
import Telemetry
import Testing
import TidemarkTesting

/// A store that is slow, dead or not there yet: answers are in time, and say what they lack.
@Suite(.enabled(if: DaemonStage.isPossible), .timeLimit(.minutes(2))) struct DeadlineTests {
    /// What a busy machine may add to a deadline.
    private static let slack = Duration.milliseconds(400)

    private static func ask(
        _ client: RawClient, _ user: Int, milliseconds: Int, path: String = "/v1/lookup"
    ) async throws -> (answer: RawAnswer, took: Duration) {
        let began = ContinuousClock.now
        let entities = path == "/v1/lookup" ? "[{\"user_id\":\(user)}]" : "{\"user_id\":[\(user)]}"
        let answer = try await client.ask(
            "POST", path, "{\"features\":[\"activity:activity_count\",\"stock:stock_flag\"],\"entities\":\(entities)}",
            headers: ["X-Request-Timeout-Ms: \(milliseconds)"])
        return (answer, ContinuousClock.now - began)
    }

    /// Asks until an answer is whole; a wrong value is an error at once.
    private static func untilWhole(_ client: RawClient, _ user: Int) async throws -> Duration {
        let began = ContinuousClock.now
        while ContinuousClock.now - began < .seconds(20) {
            let (answer, _) = try await ask(client, user, milliseconds: 100)
            #expect(answer.status == 200)
            if !answer.body.contains("FAILED") {
                #expect(answer.body.contains("[\(ConnectionTests.count(user)),"), "\(answer)")
                return ContinuousClock.now - began
            }
        }
        throw ClientError("no whole answer in 20 seconds")
    }

    @Test(arguments: [true, false]) func aSilentStoreCostsNoMoreThanTheDeadline(_ usesLane: Bool) async throws {
        var options = DaemonStage.Options()
        options.usesLane = usesLane
        try await DaemonStage.with(options) { stage in
            let client = try stage.connect()
            #expect(try await Self.ask(client, 1, milliseconds: 5_000).answer.body.contains(ConnectionTests.count(1)))
            stage.redis.pause()
            for path in ["/v1/lookup", "/get-online-features"] {
                let (answer, took) = try await Self.ask(client, 2, milliseconds: 150, path: path)
                #expect(answer.status == 200, "\(answer)")
                #expect(took >= .milliseconds(100) && took < .milliseconds(150) + Self.slack, "\(took)")
                #expect(answer.body.contains(path == "/v1/lookup" ? "FAILED" : "INVALID"), "\(answer)")
                if path == "/v1/lookup" { #expect(answer.body.contains("\"degraded\":{"), "\(answer)") }
            }
            stage.redis.resume()
            // Late replies reach nobody: every later answer is of its own question.
            for user in 3..<60 {
                let (answer, _) = try await Self.ask(client, user, milliseconds: 5_000)
                #expect(answer.body.contains("[\(ConnectionTests.count(user)),"), "\(user) \(answer)")
            }
        }
    }

    @Test func aDeadStoreIsNoticedAndComesBack() async throws {
        try await DaemonStage.with { stage in
            let client = try stage.connect()
            #expect(try await Self.ask(client, 1, milliseconds: 5_000).answer.body.contains(ConnectionTests.count(1)))
            stage.redis.stop(.kill)
            for user in 0..<30 {
                let (answer, took) = try await Self.ask(client, user, milliseconds: 100)
                #expect(answer.status == 200 && answer.body.contains("FAILED"), "\(answer)")
                #expect(took < .milliseconds(100) + Self.slack, "\(took)")
            }
            #expect(stage.serving.gate.state == .open)
            let ready = try await client.ask("GET", "/readyz")
            #expect(ready.status == 200 && ready.body == "degraded\n", "\(ready)")
            // Empty: what is read now is NOT_FOUND, not FAILED.
            try stage.redis.start()
            let began = ContinuousClock.now
            while ContinuousClock.now - began < .seconds(20) {
                let (answer, _) = try await Self.ask(client, 2, milliseconds: 100)
                if answer.body.contains("NOT_FOUND") { return }
            }
            Issue.record("the store came back, and no lookup saw it")
        }
    }

    @Test func aPauseOfTheStoreEndsWithItsEnd() async throws {
        try await DaemonStage.with { stage in
            let client = try stage.connect()
            stage.redis.pause()
            for user in 0..<20 { _ = try await Self.ask(client, user, milliseconds: 30) }
            stage.redis.resume()
            let took = try await Self.untilWhole(client, 2)
            #expect(took < .seconds(5), "\(took)")
        }
    }

    @Test func withoutAStoreItStartsAndIsNotReady() async throws {
        var options = DaemonStage.Options()
        options.awaitsCatalog = false
        options.startsRedis = false
        try await DaemonStage.with(options) { stage in
            let client = try stage.connect()
            #expect(try await client.ask("GET", "/livez").status == 200)
            let ready = try await client.ask("GET", "/readyz")
            #expect(ready.status == 503 && ready.body.contains("[-]catalog"), "\(ready)")
            #expect(try await client.ask("GET", "/v2/health/ready").status == 503)
            #expect(try await client.ask("GET", "/health").status == 503)
            let (answer, _) = try await Self.ask(client, 1, milliseconds: 100)
            #expect(answer.status == 503 && answer.headers["retry-after"] == "1", "\(answer)")
        }
    }

    @Test func aClientThatIsGoneLeavesNothingBehind() async throws {
        try await DaemonStage.with { stage in
            let client = try stage.connect()
            #expect(try await Self.ask(client, 1, milliseconds: 5_000).answer.status == 200)
            stage.redis.pause()
            for user in 0..<10 {
                let gone = try stage.connect()
                try await gone.send(ConnectionTests.lookup(user, headers: ["X-Request-Timeout-Ms: 4000"]))
                gone.close(resetting: true)
            }
            stage.redis.resume()
            for user in 1..<30 {
                let (answer, _) = try await Self.ask(client, user, milliseconds: 5_000)
                #expect(answer.body.contains("[\(ConnectionTests.count(user)),"), "\(user) \(answer)")
            }
        }
    }

    @Test func failuresAreInTheHistogramToo() async throws {
        try await DaemonStage.with { stage in
            let client = try stage.connect()
            _ = try await Self.ask(client, 2, milliseconds: 5_000)
            _ = try await client.ask("POST", "/v1/lookup", "{")
            stage.redis.pause()
            _ = try await Self.ask(client, 2, milliseconds: 20)
            stage.redis.resume()
            let page = try await client.ask("GET", "/metrics").body
            for line in [
                "tidemark_lookup_duration_seconds_count{route=\"/v1/lookup\",outcome=\"ok\"} 1",
                "tidemark_lookup_duration_seconds_count{route=\"/v1/lookup\",outcome=\"invalid\"} 1",
                "tidemark_lookup_duration_seconds_count{route=\"/v1/lookup\",outcome=\"degraded\"} 1",
                "tidemark_lookup_values_total{view=\"activity\",status=\"PRESENT\"} 1",
                "tidemark_lookup_values_total{view=\"activity\",status=\"FAILED\"} 1",
                "tidemark_http_requests_total{route=\"/v1/lookup\",status=\"2xx\"} 2",
                "tidemark_http_requests_total{route=\"/v1/lookup\",status=\"4xx\"} 1",
                "tidemark_store_errors_total{code=\"deadlineExceeded\"} 1",
                "tidemark_breaker_state{breaker=\"store\"} 0",
                "tidemark_http_requests_in_flight 1", "tidemark_serving_ready 1",
            ] {
                #expect(page.contains("\(line)\n"), "\(line)")
            }
            let open = try await client.ask("GET", "/metrics", headers: ["accept: application/openmetrics-text"])
            #expect(open.body.hasSuffix("# EOF\n"))
        }
    }
}
