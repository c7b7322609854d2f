import Logging
import ServiceLifecycle
import Synchronization
import Telemetry
import Testing
import TidemarkTesting

/// Export to a collector over HTTP: what it gets, and what becomes of spans while it has trouble.
@Suite(.timeLimit(.minutes(1))) struct TraceExporterTests {
    /// An exporter that waits for nothing, and remembers how long it would have.
    private final class Stage: Sendable {
        let registry = MetricRegistry()
        let tracer: Tracer
        let buffer: SpanBuffer
        private let group: ServiceGroup

        init(
            _ endpoint: String, limit: Int = 1_000, ratio: Double = 1,
            _ change: (inout TraceSettings) -> Void = { _ in }
        ) {
            tracer = Tracer(ratio: ratio, limit: limit, registry: registry)
            buffer = tracer.makeBuffer()
            var settings = TraceSettings(endpoint: endpoint + "/v1/traces")
            settings.resource = [("service.name", "tidemark \"test\""), ("k", "v\n")]
            settings.version = "1.2.3"
            settings.interval = .milliseconds(1)
            settings.firstRetry = .seconds(7)
            settings.flush = .seconds(20)
            change(&settings)
            let (interval, flush) = (settings.interval, settings.flush)
            let waits = Waits()
            let clock = TraceExporter.Clock(
                sleep: { duration in
                    // Ticks and the last deadline are real; waits between tries are not.
                    if duration == interval || duration == flush { return try await Task.sleep(for: duration) }
                    waits.list.withLock { $0.append(duration) }
                    await Task.yield()
                }, random: { 0 })
            self.retries = waits
            let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
            group = ServiceGroup(
                services: [TraceExporter(tracer, settings, registry: registry, logger: logger, clock: clock)],
                logger: logger)
        }

        final class Waits: Sendable { let list = Mutex<[Duration]>([]) }
        let retries: Waits

        /// Runs beside the exporter, which is stopped at the end and has flushed then.
        func run(_ body: () async throws -> Void) async throws {
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                tasks.addTask { try await self.group.run() }
                try await body()
                await self.group.triggerGracefulShutdown()
                try await tasks.waitForAll()
            }
        }

        func request(_ name: String = "request") {
            var span = buffer.begin(name, .server, parent: nil, at: MonotonicTime.now())
            span?.set(.httpStatus, 200)
            span?.end()
        }

        func dropped(_ reason: String) -> UInt64 { registry.counter(.traceSpansDropped, [reason]).value }
        func exports(_ outcome: String) -> UInt64 { registry.counter(.traceExports, [outcome]).value }
        var exported: UInt64 { registry.counter(.traceSpansExported).value }
    }

    @Test func collectorGetsWhatWasRecorded() async throws {
        try await OTLPReceiver.with { receiver in
            let stage = Stage(receiver.endpoint) { $0.headers = [("authorization", "Bearer x")] }
            try await stage.run {
                let parent = try #require(
                    TraceContext(traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"))
                let begun = stage.buffer.begin("POST /a\"\\\u{1}é", .server, parent: parent, state: "a=1", at: 5_000)
                var span = try #require(begun)
                span.set(.httpStatus, 200)
                span.set(.httpStatus, 503)
                span.set(.urlPath, String(repeating: "é", count: 200))
                span.fail("503")
                var child = span.child("MGET", .client, at: 6_000)
                for key in SpanKey.allCases.prefix(20) { child.set(key, 1) }
                child.end(at: 7_000)
                // A clock that stepped back makes no negative duration.
                span.end(at: 4_000)
                let spans = await receiver.spans(2)
                let export = try #require(receiver.exports.first)
                #expect(export.path == "/v1/traces" && export.trouble == nil && export.scope == "tidemark")
                #expect(export.headers["content-type"] == "application/json")
                #expect(export.headers["authorization"] == "Bearer x")
                #expect(export.resource == ["service.name": "tidemark \"test\"", "k": "v\n"])
                let (inner, outer) = (spans[0], spans[1])
                #expect(outer.traceID == parent.traceID && outer.parentID == parent.spanID && outer.state == "a=1")
                #expect(outer.name == "POST /a\"\\\u{1}é" && outer.kind == 2 && outer.status == 2)
                #expect(outer.attributes["http.response.status_code"] == "503")
                #expect(outer.attributes["url.path"]?.utf8.count == 256)
                #expect(outer.end == outer.start)
                #expect(inner.traceID == outer.traceID && inner.parentID == outer.spanID && inner.kind == 3)
                #expect(inner.end - inner.start == 1_000 && inner.start - outer.start == 1_000)
                #expect(inner.attributes.count == 12 && inner.status == 0)
            }
            #expect(stage.exported == 2 && stage.tracer.waiting == 0)
        }
    }

    @Test func manySpansGoInBatches() async throws {
        try await OTLPReceiver.with { receiver in
            let stage = Stage(receiver.endpoint, limit: 5_000) { $0.batch = 100 }
            try await stage.run {
                for index in 0..<2_050 { stage.request("r\(index)") }
                let spans = await receiver.spans(2_050)
                #expect(Set(spans.map(\.name)).count == 2_050)
                #expect(receiver.exports.allSatisfy { $0.spans.count <= 100 })
            }
            #expect(stage.exported == 2_050 && stage.dropped("full") == 0)
        }
    }

    @Test(arguments: [429, 502, 503, 504]) func patienceIsAskedForAndGiven(_ status: Int) async throws {
        let answers: [OTLPReceiver.Answer] = [
            .status(status), .status(status, retryAfter: "3"), .status(status, retryAfter: "100000"), .closed,
        ]
        try await OTLPReceiver.with(answers: answers) { receiver in
            let stage = Stage(receiver.endpoint)
            try await stage.run {
                stage.request()
                let exports = await receiver.exports(5)
                // The same span each time.
                #expect(Set(exports.flatMap(\.spans).map(\.spanID)).count == 1)
            }
            #expect(stage.exported == 1 && stage.exports("retried") == 4 && stage.exports("ok") == 1)
            // Doubled with each try, halved by the jitter; the collector's own word; never over the longest.
            let waits = stage.retries.list.withLock { $0 }
            #expect(waits == [.milliseconds(3_500), .seconds(3), .seconds(30), .seconds(28)])
        }
    }

    @Test(arguments: [400, 401, 404, 413, 500, 301]) func otherAnswersDropTheBatchAtOnce(_ status: Int) async throws {
        try await OTLPReceiver.with(answers: [.status(status)]) { receiver in
            let stage = Stage(receiver.endpoint)
            try await stage.run {
                stage.request("refused")
                _ = await receiver.exports(1)
                stage.request("taken")
                let exports = await receiver.exports(2)
                #expect(exports[1].spans.map(\.name) == ["taken"])
            }
            #expect(stage.dropped("refused") == 1 && stage.exported == 1 && stage.exports("retried") == 0)
        }
    }

    @Test func spansThatACollectorLeavesOutAreCounted() async throws {
        try await OTLPReceiver.with(usual: .rejected(1)) { receiver in
            let stage = Stage(receiver.endpoint) { $0.interval = .seconds(15) }
            try await stage.run {
                for _ in 0..<3 { stage.request() }
            }
            #expect(receiver.exports.count == 1)
            #expect(stage.dropped("refused") == 1 && stage.exported == 2)
        }
    }

    @Test func collectorThatIsGoneCostsABoundedNumberOfSpans() async throws {
        let endpoint = try await OTLPReceiver.with { $0.endpoint }
        let stage = Stage(endpoint, limit: 64) { $0.attempts = 2 }
        try await stage.run {
            for _ in 0..<50 {
                for _ in 0..<200 { stage.request() }
                #expect(stage.tracer.waiting <= 64)
                await Task.yield()
            }
        }
        let lost = ["full", "unreachable", "shutdown"].map { stage.dropped($0) }.reduce(0, +)
        #expect(lost == 10_000 && stage.exported == 0 && stage.dropped("full") > 5_000)
    }

    @Test func silentCollectorHoldsNobodyUp() async throws {
        try await OTLPReceiver.with(usual: .silent) { receiver in
            let stage = Stage(receiver.endpoint, limit: 64) {
                $0.timeout = .milliseconds(50)
                $0.attempts = 1
            }
            try await stage.run {
                stage.request()
                _ = await receiver.exports(1)
                for _ in 0..<1_000 { stage.request() }
                _ = await receiver.exports(2)
            }
            #expect(stage.exported == 0 && stage.dropped("unreachable") >= 1)
        }
    }

    @Test func endSendsWhatIsLeft() async throws {
        try await OTLPReceiver.with { receiver in
            // Nothing would go before the end.
            let stage = Stage(receiver.endpoint, limit: 4_000) { $0.interval = .seconds(15) }
            try await stage.run {
                for _ in 0..<1_500 { stage.request() }
            }
            #expect(receiver.exports.map(\.spans.count).reduce(0, +) == 1_500)
            #expect(stage.exported == 1_500 && stage.tracer.waiting == 0)
        }
    }

    @Test func endComesThoughTheCollectorIsSilent() async throws {
        try await OTLPReceiver.with(usual: .silent) { receiver in
            let stage = Stage(receiver.endpoint) {
                $0.timeout = .seconds(60)
                $0.interval = .seconds(15)
                $0.flush = .milliseconds(100)
            }
            try await stage.run {
                for _ in 0..<700 { stage.request() }
            }
            #expect(stage.exported == 0 && stage.dropped("shutdown") == 700)
        }
    }
}
