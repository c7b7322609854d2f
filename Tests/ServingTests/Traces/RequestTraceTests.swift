import Logging
import OnlineStore
import Serving
import Telemetry
import Testing
import TidemarkTesting

/// Requests as a collector sees them.
@Suite(.enabled(if: DaemonStage.isPossible), .timeLimit(.minutes(2))) struct RequestTraceTests {
    private let callerTrace = "0af7651916cd43dd8448eb211c80319c"
    private let callerSpan = "b7ad6b7169203331"

    @Test(arguments: [
        ("/v1/lookup", TracedStage.lookup),
        (
            "/get-online-features",
            "{\"features\":[\"activity:activity_count\",\"profile:profile_word\"],\"entities\":{\"user_id\":[1,2]}}"
        ),
    ])
    func lookupIsARequestWithThreeStages(_ path: String, _ body: String) async throws {
        try await TracedStage.with { stage in
            let client = try stage.daemon.connect()
            let answer = try await client.ask(
                "POST", "\(path)?a=1", body,
                headers: [
                    "TraceParent: \(TracedStage.caller)", "tracestate: a=1", "tracestate: b=2", "x-request-id: r-1",
                ])
            let spans = await stage.receiver.spans(4)
            #expect(answer.status == 200 && answer.headers["x-request-id"] == "r-1" && spans.count == 4)
            #expect(spans.map(\.name) == ["plan", "MGET", "encode", "POST \(path)"])
            let request = spans[3]
            #expect(Set(spans.map(\.spanID)).count == 4)
            #expect(spans.allSatisfy { $0.traceID == callerTrace && $0.end >= $0.start && $0.state == "a=1,b=2" })
            #expect(request.parentID == callerSpan && spans[..<3].allSatisfy { $0.parentID == request.spanID })
            #expect(answer.headers["traceresponse"] == "00-\(callerTrace)-\(request.spanID)-01")
            // Each stage begins where the one before it ended or later, within the request.
            for (earlier, later) in zip(spans[..<2], spans[1..<3]) { #expect(later.start >= earlier.end) }
            #expect(request.start <= spans[0].start && spans[2].end <= request.end)
            #expect(request.kind == 2 && spans[0].kind == 1 && spans[1].kind == 3 && spans[2].kind == 1)
            #expect(request.attributes["http.request.method"] == "POST" && request.attributes["http.route"] == path)
            #expect(request.attributes["url.path"] == path && request.attributes["url.scheme"] == "http")
            #expect(request.attributes["http.response.status_code"] == "200" && request.status == 0)
            #expect(
                request.attributes["tidemark.request_id"] == "r-1" && request.attributes["tidemark.outcome"] == "ok")
            #expect(request.attributes["tidemark.entities"] == "2" && request.attributes["tidemark.features"] == "2")
            let store = spans[1].attributes
            #expect(store["db.system.name"] == "redis" && store["db.operation.name"] == "MGET")
            #expect(store["db.namespace"] == "0" && store["tidemark.rows"] == "4" && store["server.address"] != nil)
            #expect(spans[0].attributes["tidemark.views"] == "2")
            #expect(spans[2].attributes["tidemark.bytes"] == "\(answer.body.utf8.count)")
        }
    }

    @Test func storeWithoutLaneIsTracedToo() async throws {
        try await TracedStage.with(ratio: 1, { $0.usesLane = false }) { stage in
            let answer = try await stage.daemon.connect().ask("POST", "/v1/lookup", TracedStage.lookup)
            let spans = await stage.receiver.spans(4)
            #expect(spans.map(\.name) == ["plan", "MGET", "encode", "POST /v1/lookup"])
            // A trace that begins here has no parent, and the answer names it.
            #expect(spans[3].parentID.isEmpty && spans[3].state == nil)
            #expect(answer.headers["traceresponse"] == "00-\(spans[3].traceID)-\(spans[3].spanID)-03")
        }
    }

    @Test func whatCallersDontRecordIsNotRecorded() async throws {
        try await TracedStage.with(ratio: 1) { stage in
            let client = try stage.daemon.connect()
            let unsampled = "00-\(callerTrace)-\(callerSpan)-00"
            let first = try await client.ask(
                "POST", "/v1/lookup", TracedStage.lookup, headers: ["traceparent: \(unsampled)"])
            #expect(first.status == 200 && first.headers["traceresponse"] == nil)
            // Health and metrics begin no traces.
            for path in ["/livez", "/metrics", "/nothing"] { _ = try await client.ask("GET", path) }
            _ = try await client.ask("POST", "/v1/lookup", TracedStage.lookup)
            let spans = await stage.receiver.spans(4)
            #expect(spans.count == 4 && spans[3].traceID != callerTrace)
        }
    }

    @Test(arguments: [
        ["traceparent: 00-00000000000000000000000000000000-b7ad6b7169203331-01"],
        ["traceparent: nonsense", "tracestate: a=1"],
        ["traceparent: \(TracedStage.caller)", "traceparent: \(TracedStage.caller)", "tracestate: a=1"],
    ])
    func contextThatMakesNoSenseCountsAsNone(_ headers: [String]) async throws {
        try await TracedStage.with(ratio: 1) { stage in
            let answer = try await stage.daemon.connect().ask(
                "POST", "/v1/lookup", TracedStage.lookup, headers: headers)
            let spans = await stage.receiver.spans(4)
            #expect(answer.status == 200)
            #expect(spans.allSatisfy { $0.traceID != callerTrace && $0.state == nil } && spans[3].parentID.isEmpty)
        }
    }

    @Test func requestsOfTheRouterAreTracedWhole() async throws {
        try await TracedStage.with { stage in
            let client = try stage.daemon.connect()
            let headers = ["traceparent: \(TracedStage.caller)"]
            let push = try await client.ask(
                "POST", "/push", "{\"push_source_name\":\"nothing\",\"df\":{\"user_id\":[1]},\"to\":\"online\"}",
                headers: headers)
            let missing = try await client.ask("GET", "/nothing?secret=1", headers: headers)
            let health = try await client.ask("GET", "/readyz", headers: headers)
            let spans = await stage.receiver.spans(3)
            #expect(spans.map(\.name) == ["POST /push", "GET", "GET health"])
            #expect(
                spans.map { $0.attributes["http.response.status_code"] }
                    == [push, missing, health].map { "\($0.status)" })
            #expect(spans[1].attributes["url.path"] == "/nothing" && spans[1].attributes["http.route"] == nil)
            #expect(spans.allSatisfy { $0.parentID == callerSpan && $0.end >= $0.start })
            for (answer, span) in zip([push, missing, health], spans) {
                #expect(answer.headers["traceresponse"] == "00-\(callerTrace)-\(span.spanID)-01")
            }
        }
    }

    @Test func failuresOfTheStoreAreNamedInTraceAndLog() async throws {
        let lines = RecordedLog.Lines()
        try await TracedStage.with(
            ratio: 1,
            { options in
                options.logger = Logger(label: "test") { _ in RecordedLog(lines: lines) }
                options.startsRedis = true
            }
        ) { stage in
            let client = try stage.daemon.connect()
            _ = try await client.ask("POST", "/v1/lookup", TracedStage.lookup)
            stage.daemon.redis.stop(.kill)
            let answer = try await client.ask("POST", "/v1/lookup", TracedStage.lookup, headers: ["x-request-id: lost"])
            #expect(answer.status == 200 && answer.body.contains("degraded"))
            let spans = await stage.receiver.spans(8)
            let request = try #require(spans.last)
            let store = try #require(spans.last { $0.name == "MGET" })
            #expect(store.parentID == request.spanID && store.status == 2 && store.attributes["error.type"] != nil)
            #expect(request.status == 0 && request.attributes["tidemark.outcome"] == "degraded")
            let line = try #require(
                lines.all.first { $0.message == "a request was answered without some of its values" })
            #expect(line.metadata["trace_id"] == request.traceID && line.metadata["span_id"] == request.spanID)
            #expect(line.metadata["request_id"] == "lost" && line.metadata["route"] == "/v1/lookup")
            #expect(line.metadata["cause"]?.isEmpty == false)
        }
    }

    @Test func refusedRequestsEndTheirTrace() async throws {
        try await TracedStage.with { stage in
            let client = try stage.daemon.connect()
            let headers = ["traceparent: \(TracedStage.caller)"]
            let wrong = try await client.ask("POST", "/v1/lookup", "{\"features\":1}", headers: headers)
            let encoded = try await client.ask(
                "POST", "/v1/lookup", "{}", headers: headers + ["content-encoding: gzip"])
            #expect(wrong.status / 100 == 4 && encoded.status == 415)
            let spans = await stage.receiver.spans(3)
            #expect(spans.map(\.name) == ["plan", "POST /v1/lookup", "POST /v1/lookup"])
            #expect(spans[1].attributes["http.response.status_code"] == "\(wrong.status)" && spans[1].status == 0)
            #expect(spans[2].attributes["http.response.status_code"] == "415")
            // A client that goes in the middle of its request.
            let gone = try stage.daemon.connect()
            try await gone.send(
                "POST /v1/lookup HTTP/1.1\r\nhost: a\r\ntraceparent: \(TracedStage.caller)\r\ncontent-length: 9\r\n\r\n{"
            )
            gone.close(resetting: true)
            let abandoned = await stage.receiver.spans(4)[3]
            #expect(abandoned.attributes["error.type"] == "abandoned" && abandoned.status == 2)
        }
    }

    @Test func slowRequestsAreInTheLogByTheCallersTrace() async throws {
        let lines = RecordedLog.Lines()
        var options = DaemonStage.Options()
        // Every request is slower than that.
        options.settings.slowRequest = .zero
        options.logger = Logger(label: "test") { _ in RecordedLog(lines: lines) }
        try await DaemonStage.with(options) { stage in
            let client = try stage.connect()
            // Nothing is recorded here: the trace is the caller's alone.
            for _ in 0..<20 {
                let answer = try await client.ask(
                    "POST", "/v1/lookup", TracedStage.lookup, headers: ["traceparent: \(TracedStage.caller)"])
                #expect(answer.status == 200 && answer.headers["traceresponse"] == nil)
            }
            let slow = lines.all.filter { $0.message == "a request was slow" }
            // One a second and a loop at most.
            #expect((1...10).contains(slow.count))
            #expect(slow[0].metadata["trace_id"] == "0af7651916cd43dd8448eb211c80319c")
            #expect(slow[0].metadata["request_id"]?.count == 13 && slow[0].metadata["status"] == "200")
        }
    }

    @Test func exemplarsOfTheMetricsPageNameRecordedTraces() async throws {
        try await TracedStage.with { stage in
            let client = try stage.daemon.connect()
            _ = try await client.ask("POST", "/v1/lookup", TracedStage.lookup)
            let accept = ["accept: application/openmetrics-text; version=1.0.0"]
            let before = try await client.ask("GET", "/metrics", headers: accept)
            #expect(!before.body.contains("trace_id"))
            _ = try await client.ask(
                "POST", "/v1/lookup", TracedStage.lookup, headers: ["traceparent: \(TracedStage.caller)"])
            let request = await stage.receiver.spans(4)[3]
            let after = try await client.ask("GET", "/metrics", headers: accept)
            let exemplars = after.body.split(separator: "\n").filter { $0.contains(" # {") }
            #expect(exemplars.count == 1)
            #expect(
                exemplars[0].hasPrefix("tidemark_lookup_duration_seconds_bucket{route=\"/v1/lookup\",outcome=\"ok\""))
            #expect(exemplars[0].contains("# {trace_id=\"\(request.traceID)\",span_id=\"\(request.spanID)\"} "))
            #expect(!(try await client.ask("GET", "/metrics")).body.contains("trace_id"))
        }
    }

    @Test(arguments: [OTLPReceiver.Answer.status(500), .status(429), .closed, .silent])
    func collectorsTroubleIsNoneOfTheRequests(_ usual: OTLPReceiver.Answer) async throws {
        try await TracedStage.with(ratio: 1, usual: usual) { stage in
            let client = try stage.daemon.connect()
            var waiting = 0
            for _ in 0..<400 {
                let answer = try await client.ask("POST", "/v1/lookup", TracedStage.lookup)
                #expect(answer.status == 200 && !answer.body.contains("degraded"))
                waiting = max(waiting, stage.tracer.waiting)
            }
            _ = await stage.receiver.exports(1)
            // Two loops, 64 spans each.
            #expect(waiting <= 128)
            let dropped = ["full", "unreachable", "refused"].map {
                stage.registry.counter(.traceSpansDropped, [$0]).value
            }
            #expect(stage.registry.counter(.traceSpansExported).value == 0)
            let page = try await client.ask("GET", "/metrics").body
            #expect(dropped.reduce(0, +) > 0 && page.contains("tidemark_trace_spans_dropped_total{reason=\"full\"}"))
        }
    }
}
