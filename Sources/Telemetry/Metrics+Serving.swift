/// The metrics of the serving daemon.
extension CounterMetric {
    package static let lookupValues = CounterMetric(
        MetricName.lookupValues, help: "Values that lookups answered with, by their status.",
        labels: ["view", "status"], seriesLimit: 6_000)
    package static let httpRequests = CounterMetric(
        MetricName.httpRequests, help: "HTTP requests that were answered, by class of status.",
        labels: ["route", "status"])
    package static let grpcRequests = CounterMetric(
        MetricName.grpcRequests, help: "gRPC calls that were answered, health apart, by status code.",
        labels: ["method", "code"])
    package static let accessRefusals = CounterMetric(
        MetricName.accessRefusals, help: "Requests and calls that were refused for their token, by why.",
        labels: ["transport", "reason"])
    package static let acceptFailures = CounterMetric(
        MetricName.acceptFailures,
        help: "Times that a connection could not be taken, for lack of descriptors or memory.")
    package static let connectionsEvicted = CounterMetric(
        MetricName.connectionsEvicted, help: "Idle HTTP connections that were closed to make room for others.")
    package static let lookupPlansCompiled = CounterMetric(
        MetricName.lookupPlansCompiled, help: "Feature lists that were compiled because no event loop's cache had them."
    )
}

extension GaugeMetric {
    package static let httpInFlight = GaugeMetric(
        MetricName.httpInFlight, help: "HTTP requests that are under way.")
    package static let httpConnections = GaugeMetric(
        MetricName.httpConnections, help: "HTTP connections that are open.")
    package static let servingReady = GaugeMetric(
        MetricName.servingReady, help: "1 while the daemon says that it is ready, else 0.")
    package static let certificateExpiryTimestampSeconds = GaugeMetric(
        MetricName.certificateExpiryTimestampSeconds, help: "When the certificate of a listener ends.",
        labels: ["listener"])
}

extension HistogramMetric {
    /// 100 µs to ten seconds, in steps of 1, 2.5 and 5.
    package static let lookupBuckets: [Double] = [
        0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
    ]

    package static let lookupDurationSeconds = HistogramMetric(
        MetricName.lookupDurationSeconds,
        help: "How long lookups took from the first byte of the request to the write of the answer, failed ones too.",
        labels: ["route", "outcome"], buckets: lookupBuckets)
}
