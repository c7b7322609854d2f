import Telemetry
import Testing

/// Which requests are recorded, and what becomes of their spans while nobody fetches them.
@Suite(.timeLimit(.minutes(1))) struct SpanBufferTests {
    private let sampled = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    private let unsampled = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-02"

    private func begin(_ buffer: SpanBuffer, _ parent: TraceContext? = nil, isRoot: Bool = true) -> Span? {
        buffer.begin("request", .server, parent: parent, isRoot: isRoot, at: 1_000)
    }

    @Test(arguments: [0, 0.5, 1]) func callersWordCountsBeforeTheRatio(_ ratio: Double) throws {
        let buffer = Tracer(ratio: ratio, registry: MetricRegistry()).makeBuffer()
        let parent = try #require(TraceContext(traceparent: sampled))
        let span = try #require(begin(buffer, parent))
        #expect(span.context.traceID == parent.traceID && span.context.spanID != parent.spanID)
        #expect(span.context.isSampled)
        // Bit 1 says that the id is random, which only the caller can know.
        #expect(span.context.flags == 1)
        #expect(begin(buffer, TraceContext(traceparent: unsampled)) == nil)
        #expect(begin(buffer, parent, isRoot: false) != nil)
    }

    @Test func withoutParentsTheRatioAloneDecides() {
        let all = Tracer(ratio: 1, followsParent: false, registry: MetricRegistry()).makeBuffer()
        let none = Tracer(ratio: 0, followsParent: false, registry: MetricRegistry()).makeBuffer()
        #expect(begin(all, TraceContext(traceparent: unsampled)) != nil)
        #expect(begin(none, TraceContext(traceparent: sampled)) == nil)
    }

    @Test(arguments: [0, 0.01, 0.25, 1]) func ratioIsTheShareOfNewTraces(_ ratio: Double) {
        let buffer = Tracer(ratio: ratio, registry: MetricRegistry()).makeBuffer()
        let count = (0..<20_000).count { _ in begin(buffer) != nil }
        // Six standard deviations.
        let deviation = (20_000 * ratio * (1 - ratio)).squareRoot()
        #expect(abs(Double(count) - 20_000 * ratio) <= 6 * deviation)
        #expect(begin(buffer, isRoot: false) == nil)
    }

    @Test func ratioChangesWhileItRuns() {
        let tracer = Tracer(ratio: 0, registry: MetricRegistry())
        let buffer = tracer.makeBuffer()
        #expect(begin(buffer) == nil)
        tracer.setRatio(1)
        #expect(begin(buffer) != nil)
        tracer.setRatio(.nan)
        #expect(begin(buffer) == nil)
    }

    @Test func offRecordsNothingWhateverIsSaid() {
        let tracer = Tracer.none
        tracer.setRatio(1)
        let buffer = tracer.makeBuffer()
        #expect(!tracer.isOn)
        #expect(begin(buffer) == nil)
        #expect(begin(buffer, TraceContext(traceparent: sampled)) == nil)
    }

    @Test func newTracesHaveIDsOfTheirOwn() throws {
        let tracer = Tracer(ratio: 1, registry: MetricRegistry())
        var traces: Set<String> = []
        var spans: Set<String> = []
        for buffer in [tracer.makeBuffer(), tracer.makeBuffer()] {
            for _ in 0..<5_000 {
                let span = try #require(begin(buffer))
                let child = span.child("child")
                #expect(span.context.flags == 3 && child.context.traceID == span.context.traceID)
                traces.insert(span.context.traceID)
                spans.formUnion([span.context.spanID, child.context.spanID])
                #expect(TraceContext(traceparent: span.context.traceparent) == span.context)
            }
        }
        #expect(traces.count == 10_000 && spans.count == 20_000)
    }

    @Test func ringHoldsItsLimitAndDropsTheOldest() throws {
        let registry = MetricRegistry()
        let tracer = Tracer(ratio: 1, limit: 8, registry: registry)
        let buffer = tracer.makeBuffer()
        let dropped = registry.counter(.traceSpansDropped, ["full"])
        for _ in 0..<8 { begin(buffer)?.end() }
        #expect(tracer.waiting == 8 && dropped.value == 0)
        for _ in 0..<1_000 { begin(buffer)?.end() }
        #expect(tracer.waiting == 8 && dropped.value == 1_000)
    }

    @Test(arguments: [
        ("congo=t61rcWkgMzE", true), ("a=1,b=2", true), ("a=1, ,b=2", true), ("", false), ("a", false), ("=1", false),
        ("a=\u{1}", false), ("a=é", false),
        (String(repeating: "k=v,", count: 31) + "k=v", true), (String(repeating: "k=v,", count: 32) + "k=v", false),
        ("a=" + String(repeating: "x", count: 510), true), ("a=" + String(repeating: "x", count: 511), false),
    ])
    func stateIsHandedOnOnlyWhereItIsOne(_ text: String, _ isState: Bool) throws {
        #expect((TraceState.accepted(text) != nil) == isState)
        let buffer = Tracer(ratio: 0, registry: MetricRegistry()).makeBuffer()
        let span = buffer.begin("r", .server, parent: TraceContext(traceparent: sampled), state: text, at: 0)
        #expect(try #require(span).state == (isState ? text : nil))
        let all = Tracer(ratio: 1, registry: MetricRegistry()).makeBuffer()
        #expect(try #require(all.begin("r", .server, parent: nil, state: text, at: 0)).state == nil)
    }
}
