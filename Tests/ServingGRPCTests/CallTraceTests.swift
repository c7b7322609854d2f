import GRPCCore
import Logging
import OnlineStore
import ServiceLifecycle
import ServingProtos
import SwiftProtobuf
import Telemetry
import Testing
import TidemarkTesting

@testable import ServingGRPC

/// Calls as a collector sees them.
@Suite(.timeLimit(.minutes(1))) struct CallTraceTests {
    private let caller = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    private func traced(
        ratio: Double, _ body: @escaping (GRPCFixture, OTLPReceiver) async throws -> Void
    ) async throws {
        let registry = MetricRegistry()
        let tracer = Tracer(ratio: ratio, registry: registry)
        let store = MemoryStore()
        try await Rows(store: store).apply()
        try await OTLPReceiver.with { receiver in
            var settings = TraceSettings(endpoint: receiver.endpoint + "/v1/traces")
            settings.interval = .milliseconds(5)
            let exporter = TraceExporter(tracer, settings, registry: registry, logger: GRPCFixture.logger)
            let group = ServiceGroup(services: [exporter], logger: GRPCFixture.logger)
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                tasks.addTask { try await group.run() }
                try await GRPCFixture.with(store, tracer: tracer) { fixture async throws in
                    try await body(fixture, receiver)
                }
                await group.triggerGracefulShutdown()
                try await tasks.waitForAll()
            }
        }
    }

    private func lookup(_ features: [String]) -> Tidemark_V1_LookupRequest {
        .with {
            $0.features = features
            $0.keys = ["user_id": .with { $0.integers.values = [1] }]
        }
    }

    @Test func callIsASpanWithItsStages() async throws {
        try await traced(ratio: 0) { fixture, receiver async throws in
            let metadata: Metadata = ["traceparent": "\(caller)", "tracestate": "a=1"]
            let answered = try await fixture.features.lookup(lookup(["activity:views"]), metadata: metadata) {
                response in
                Array(response.metadata[stringValues: "traceresponse"])
            }
            let spans = await receiver.spans(4)
            #expect(spans.map(\.name) == ["plan", "read", "encode", "tidemark.v1.FeatureService/Lookup"])
            let call = spans[3]
            #expect(answered == ["00-\(call.traceID)-\(call.spanID)-01"])
            #expect(call.traceID == "0af7651916cd43dd8448eb211c80319c" && call.parentID == "b7ad6b7169203331")
            #expect(spans[..<3].allSatisfy { $0.parentID == call.spanID && $0.traceID == call.traceID })
            #expect(spans.allSatisfy { $0.end >= $0.start && $0.start >= call.start && $0.end <= call.end })
            #expect(call.kind == 2 && call.status == 0 && call.state == "a=1")
            #expect(call.attributes["rpc.system"] == "grpc" && call.attributes["rpc.grpc.status_code"] == "0")
            #expect(call.attributes["rpc.service"] == "tidemark.v1.FeatureService")
            #expect(call.attributes["rpc.method"] == "Lookup")
            #expect(spans[1].attributes["tidemark.view"] == "activity" && spans[1].kind == 3)
            #expect(spans[0].attributes["tidemark.features"] == "1")
        }
    }

    @Test func parentsThatAreThereTwiceAreNone() async throws {
        let wrong = "00-x-y-01"
        for parents in [[caller, caller], [wrong, caller], [caller, wrong, caller], [wrong]] {
            var metadata: Metadata = [:]
            for parent in parents { metadata.addString(parent, forKey: "traceparent") }
            #expect(CallTrace(metadata).context == nil, "\(parents)")
        }
        #expect(CallTrace(["traceparent": "\(caller)"]).context != nil)
    }

    @Test func callThatFailsSaysSo() async throws {
        try await traced(ratio: 1) { fixture, receiver async throws in
            let code = await GRPCFixture.code {
                _ = try await fixture.features.lookup(lookup(["nothing:here"]))
            }
            #expect(code == .notFound)
            let call = try #require(await receiver.spans(1).last)
            // The caller's mistake is no failure of the server.
            #expect(call.attributes["rpc.grpc.status_code"] == "5" && call.status == 0 && call.parentID.isEmpty)
        }
    }
}
