/// The metrics of tracing.
extension CounterMetric {
    package static let traceSpansDropped = CounterMetric(
        MetricName.traceSpansDropped,
        help:
            "Spans that no collector has: newer ones took their room (full), it was not there (unreachable), did not want them (refused), or the process ended (shutdown).",
        labels: ["reason"])
    package static let traceSpansExported = CounterMetric(
        MetricName.traceSpansExported, help: "Spans that the collector took.")
    package static let traceExports = CounterMetric(
        MetricName.traceExports, help: "Tries to export a batch of spans, by outcome.", labels: ["outcome"])
}

extension GaugeMetric {
    package static let traceSpansWaiting = GaugeMetric(
        MetricName.traceSpansWaiting, help: "Spans that wait for their export.")
    package static let traceSampleRatio = GaugeMetric(
        MetricName.traceSampleRatio, help: "The share of new traces that is recorded, 0 to 1.")
}

extension MetricFamily {
    /// All of this file.
    static let traces: [MetricFamily] = [
        CounterMetric.traceSpansDropped.family, CounterMetric.traceSpansExported.family,
        CounterMetric.traceExports.family, GaugeMetric.traceSpansWaiting.family, GaugeMetric.traceSampleRatio.family,
    ]
}
