import FeatureModel
import Serving
import Testing
import TidemarkTesting

/// The gate in front of a daemon's lookups, over real sockets.
@Suite(.enabled(if: DaemonStage.isPossible), .timeLimit(.minutes(2))) struct AdmissionDaemonTests {
    private static let body = "{\"features\":[\"activity:activity_count\"],\"entities\":[{\"user_id\":1}]}"
    private static let two =
        "{\"features\":[\"activity:activity_count\"],\"entities\":[{\"user_id\":1},{\"user_id\":2}]}"

    private static func begin(_ client: RawClient, milliseconds: Int) async throws {
        try await client.send(
            RawClient.request("POST", "/v1/lookup", body, headers: ["X-Request-Timeout-Ms: \(milliseconds)"]))
    }

    /// Waits until as many lookups are under way; the suite's time limit ends it otherwise.
    private static func waitFor(_ count: Int, _ stage: DaemonStage) async {
        while stage.serving.admission.status.inFlight != count { await Task.yield() }
    }

    private static func options(_ limit: Int) -> DaemonStage.Options {
        var options = DaemonStage.Options()
        options.settings.maximumInFlight = .fixed(limit)
        return options
    }

    @Test func oneTooManyIsToldToComeBackAndHealthIsNot() async throws {
        try await DaemonStage.with(Self.options(2)) { stage in
            let (first, second, third) = (try stage.connect(), try stage.connect(), try stage.connect())
            stage.redis.pause()
            try await Self.begin(first, milliseconds: 2_000)
            try await Self.begin(second, milliseconds: 2_000)
            await Self.waitFor(2, stage)
            for path in ["/v1/lookup", "/get-online-features"] {
                let entities = path == "/v1/lookup" ? "[{\"user_id\":1}]" : "{\"user_id\":[1]}"
                let refused = try await third.ask(
                    "POST", path, "{\"features\":[\"activity:activity_count\"],\"entities\":\(entities)}")
                #expect(refused.status == 503, "\(refused)")
                #expect((1...5).contains(Int(refused.headers["retry-after"] ?? "") ?? 0), "\(refused)")
            }
            #expect(try await third.ask("GET", "/readyz").status == 200)
            #expect(try await third.ask("GET", "/livez").status == 200)
            let page = try await third.ask("GET", "/metrics").body
            #expect(page.contains("tidemark_admission_limit 2"))
            #expect(page.contains("tidemark_admission_in_flight 2"))
            #expect(page.contains("tidemark_admission_refusals_total{reason=\"delay\"} 2"))
            for client in [first, second] {
                let answer = try await client.receive()
                #expect(answer.status == 200 && answer.body.contains("FAILED"), "\(answer)")
            }
            stage.redis.resume()
            #expect(try await third.ask("POST", "/v1/lookup", Self.body).status == 200)
            #expect(stage.serving.admission.status.inFlight == 0)
            #expect(stage.serving.admission.status.strays == 0)
        }
    }

    @Test func whoLeavesGivesTheRoomBack() async throws {
        try await DaemonStage.with(Self.options(1)) { stage in
            stage.redis.pause()
            for _ in 0..<20 {
                let client = try stage.connect()
                try await Self.begin(client, milliseconds: 5_000)
                await Self.waitFor(1, stage)
                client.close(resetting: true)
                await Self.waitFor(0, stage)
            }
            stage.redis.resume()
            let client = try stage.connect()
            // What can't be answered gives its room back, too.
            #expect(try await client.ask("POST", "/v1/lookup", "{").status == 400)
            #expect(try await client.ask("POST", "/v1/lookup", Self.body).status == 200)
            #expect(stage.serving.admission.status.inFlight == 0)
        }
    }

    @Test func otherSettingsTakeForceOnConnectionsThatAreOpen() async throws {
        try await DaemonStage.with(Self.options(1)) { stage in
            let client = try stage.connect()
            #expect(try await client.ask("POST", "/v1/lookup", Self.two).status == 200)
            var settings = stage.serving.settings
            settings.entities = 1
            settings.maximumInFlight = .adaptive
            stage.serving.reconfigure(settings)
            #expect(stage.serving.admission.status.limit > 1)
            var status = 200
            while status == 200 { status = try await client.ask("POST", "/v1/lookup", Self.two).status }
            #expect(status == 422)
            stage.serving.reconfigure(stage.serving.settings)
            while status == 422 { status = try await client.ask("POST", "/v1/lookup", Self.two).status }
            #expect(status == 200)
        }
    }
}
