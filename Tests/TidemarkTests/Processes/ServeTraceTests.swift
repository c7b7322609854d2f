import Foundation
import Glibc
import Testing
import TidemarkTesting

/// Traces of `tidemark serve` as a process, by OpenTelemetry's own variables.
@Suite(.enabled(if: Stage.isPossible), .timeLimit(.minutes(3))) struct ServeTraceTests {
    private static let lookup = "{\"features\":[\"nothing:here\"],\"entities\":[]}"

    private func environment(_ receiver: OTLPReceiver, ratio: String) -> [String: String] {
        [
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint, "OTEL_SERVICE_NAME": "bank-features",
            "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test", "OTEL_TRACES_SAMPLER_ARG": ratio,
            "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Basic%20abc",
        ]
    }

    @Test func whatWasRecordedIsSentBeforeTheProcessEnds() async throws {
        try await Places.shared.with {
            try await OTLPReceiver.with { receiver in
                try await Stage.with(.sqlite) { stage in
                    let (daemon, port) = try await ServeTests.serve(
                        stage, environment: environment(receiver, ratio: "1"))
                    let client = try RawClient(port: port)
                    for _ in 0..<200 { _ = try await client.ask("POST", "/v1/lookup", Self.lookup) }
                    client.close()
                    daemon.terminate()
                    let ending = await daemon.ending(within: .seconds(20))
                    #expect(ending.code == 0 && !ending.timedOut, "\(ending.story)")
                    let exports = receiver.exports
                    let requests = exports.flatMap(\.spans).filter { $0.name == "POST /v1/lookup" }
                    #expect(requests.count == 200 && Set(requests.map(\.traceID)).count == 200)
                    #expect(exports.allSatisfy { $0.trouble == nil && $0.headers["authorization"] == "Basic abc" })
                    let resource = try #require(exports.first).resource
                    #expect(resource["service.name"] == "bank-features" && resource["process.pid"] == "\(daemon.id)")
                    #expect(resource["deployment.environment.name"] == "test")
                }
            }
        }
    }

    @Test func collectorThatIsGoneKeepsNoProcess() async throws {
        try await Places.shared.with {
            try await OTLPReceiver.with(usual: .silent) { receiver in
                try await Stage.with(.sqlite) { stage in
                    let (daemon, port) = try await ServeTests.serve(
                        stage, environment: environment(receiver, ratio: "1"))
                    let client = try RawClient(port: port)
                    for _ in 0..<50 { _ = try await client.ask("POST", "/v1/lookup", Self.lookup) }
                    client.close()
                    daemon.terminate()
                    // Longer than drain and flush together, and shorter than an export may take.
                    let ending = await daemon.ending(within: .seconds(9))
                    #expect(ending.code == 0 && !ending.timedOut, "\(ending.story)")
                }
            }
        }
    }

    @Test func shareOfTracesFollowsTheConfigFile() async throws {
        try await Places.shared.with {
            try await OTLPReceiver.with { receiver in
                try await Stage.with(.sqlite) { stage in
                    let (daemon, port) = try await ServeTests.serve(
                        stage, environment: environment(receiver, ratio: "0"))
                    let client = try RawClient(port: port)
                    #expect(
                        try await client.ask("GET", "/metrics").body.contains("\ntidemark_trace_sample_ratio 0\n"))
                    let config = URL(fileURLWithPath: stage.workdir.file("tidemark.yaml"))
                    let text = try String(contentsOf: config, encoding: .utf8)
                    let changed = text.replacing(
                        "telemetry: {", with: "telemetry: {traces: {sample_ratio: 1}, ")
                    try Data(changed.utf8).write(to: config)
                    daemon.signal(SIGHUP)
                    #expect(await daemon.hasSaid("another config is in force"), "\(daemon.errorText)")
                    let answer = try await client.ask("POST", "/v1/lookup", Self.lookup)
                    let named = try #require(answer.headers["traceresponse"])
                    let spans = await receiver.spans(1)
                    #expect(spans.contains { named.contains($0.traceID) })
                    daemon.terminate()
                    #expect(await daemon.ending(within: .seconds(20)).code == 0)
                }
            }
        }
    }
}
