/// The metrics of exposures and of events that callers send.
extension CounterMetric {
    package static let eventLogWritten = CounterMetric(
        MetricName.eventLogWritten, help: "Exposures and events that their sink has taken.", labels: ["log"])
    package static let eventLogDropped = CounterMetric(
        MetricName.eventLogDropped,
        help:
            "Exposures and events that never reached their sink: newer ones took their room (full), or the process ended (shutdown).",
        labels: ["log", "reason"])
    package static let eventLogFailures = CounterMetric(
        MetricName.eventLogFailures, help: "Writes of exposures and events that their sink did not take whole.",
        labels: ["log"])
    package static let events = CounterMetric(
        MetricName.events,
        help:
            "Events that callers sent: accepted, duplicate, or refused since they could not be stored; and requests whose events do not fit (invalid).",
        labels: ["outcome"])
}

extension GaugeMetric {
    package static let eventLogWaiting = GaugeMetric(
        MetricName.eventLogWaiting, help: "Exposures and events that their sink has not taken yet.", labels: ["log"])
    package static let eventLogLimit = GaugeMetric(
        MetricName.eventLogLimit, help: "How many exposures and events may wait.", labels: ["log"])
    package static let eventLogFailing = GaugeMetric(
        MetricName.eventLogFailing, help: "1 while the sink of exposures or events takes nothing, else 0.",
        labels: ["log"])
}

extension MetricFamily {
    /// All of this file.
    static let events: [MetricFamily] = [
        CounterMetric.eventLogWritten.family, CounterMetric.eventLogDropped.family,
        CounterMetric.eventLogFailures.family, CounterMetric.events.family, GaugeMetric.eventLogWaiting.family,
        GaugeMetric.eventLogLimit.family, GaugeMetric.eventLogFailing.family,
    ]
}
