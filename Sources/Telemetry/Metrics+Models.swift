/// The metrics of models that rank.
extension CounterMetric {
    package static let modelLoads = CounterMetric(
        MetricName.modelLoads, help: "Times a version of a model was to be made live, by what became of it.",
        labels: ["model", "outcome"])
}

extension GaugeMetric {
    package static let modelRefused = GaugeMetric(
        MetricName.modelRefused,
        help: "1 while the version of a model that should be live was refused, else 0.", labels: ["model"])
    package static let modelLoaded = GaugeMetric(
        MetricName.modelLoaded, help: "1 where some version of a model is live, else 0.", labels: ["model"])
    package static let modelLoadedTimestampSeconds = GaugeMetric(
        MetricName.modelLoadedTimestampSeconds, help: "When the live version was made live, in seconds since 1970.",
        labels: ["model"])
}

extension MetricFamily {
    /// All of this file.
    static let models: [MetricFamily] = [
        CounterMetric.modelLoads.family, GaugeMetric.modelRefused.family, GaugeMetric.modelLoaded.family,
        GaugeMetric.modelLoadedTimestampSeconds.family,
    ]
}
