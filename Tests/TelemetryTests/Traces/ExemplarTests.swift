import Telemetry
import Testing

/// Exemplars: of OpenMetrics alone, one a bucket at most, the last one.
@Suite struct ExemplarTests {
    private static let metric = HistogramMetric("t_run_seconds", help: "Runs.", labels: ["route"], buckets: [0.001, 1])

    private func trace(_ digit: Character) throws -> TraceContext {
        let span = String(repeating: digit, count: 16)
        return try #require(TraceContext(traceparent: "00-\(span)\(span)-\(span)-01"))
    }

    @Test func lastRecordedObservationOfABucketIsItsExemplar() throws {
        let registry = MetricRegistry()
        let histogram = registry.histogram(Self.metric, ["a"])
        #expect(histogram.reading.exemplars.isEmpty)
        histogram.observe(seconds: 0.000_5, of: try trace("1"))
        histogram.observe(seconds: 0.000_7, of: try trace("2"))
        histogram.observe(seconds: 0.000_9)
        histogram.observe(seconds: 5, of: try trace("3"))
        histogram.observe(seconds: .infinity, of: try trace("4"))
        registry.histogram(Self.metric, ["b"]).observe(seconds: 0.5)
        let lines = registry.render(.openMetrics).split(separator: "\n").map(String.init)
        let buckets = lines.filter { $0.contains("_bucket") }
        #expect(buckets.count == 6)
        let first = String(repeating: "2", count: 32)
        #expect(
            buckets[0].hasPrefix(
                "t_run_seconds_bucket{route=\"a\",le=\"0.001\"} 3 # {trace_id=\"\(first)\",span_id=\"\(first.prefix(16))\"} 0.0007 "
            ))
        #expect(buckets[1] == "t_run_seconds_bucket{route=\"a\",le=\"1.0\"} 3")
        #expect(buckets[2].contains("le=\"+Inf\"} 4 # {trace_id=\"333"))
        #expect(buckets[3...].allSatisfy { !$0.contains("#") })
        // Seconds since 1970 with milliseconds.
        let time = try #require(buckets[0].split(separator: " ").last)
        #expect(time.split(separator: ".").map(\.count) == [10, 3])
        #expect(histogram.reading.counts == [3, 0, 1])
    }

    @Test func prometheusTextHasNone() throws {
        let registry = MetricRegistry()
        registry.histogram(Self.metric, ["a"]).observe(seconds: 0.5, of: try trace("1"))
        #expect(!registry.render(.prometheus).contains("trace_id"))
    }
}
