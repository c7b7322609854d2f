/// The metrics of recommendations.
extension CounterMetric {
    package static let recommendRungs = CounterMetric(
        MetricName.recommendRungs, help: "Recommendations answered, by the rung of the ladder they came from.",
        labels: ["pipeline", "rung"])
    package static let recommendLeftOut = CounterMetric(
        MetricName.recommendLeftOut,
        help: "Stages and recall sources that did not do their part in an answer, and why.",
        labels: ["pipeline", "part", "reason"], seriesLimit: 4_000)
    package static let recommendRefused = CounterMetric(
        MetricName.recommendRefused, help: "Requests for recommendations that got an error, by what was wrong.",
        labels: ["reason"])
    package static let recommendShared = CounterMetric(
        MetricName.recommendShared,
        help: "Requests for recommendations that were answered by the run of the same request of another caller.",
        labels: ["pipeline"])
    package static let recommendHedges = CounterMetric(
        MetricName.recommendHedges,
        help: "Second reads of rows: sent, won (answered before the first), and held back for want of budget or room.",
        labels: ["pipeline", "stage", "event"])
}

extension GaugeMetric {
    package static let dependencyCalls = GaugeMetric(
        MetricName.dependencyCalls, help: "Calls of a dependency of recommendations that are out now.",
        labels: ["dependency"])
    package static let recommendRemembered = GaugeMetric(
        MetricName.recommendRemembered,
        help: "What a pipeline remembers for its lower rungs: policy of items, and users' last answers.",
        labels: ["pipeline", "memory"])
}

extension HistogramMetric {
    package static let stageDurationSeconds = HistogramMetric(
        MetricName.stageDurationSeconds,
        help: "How long the stages of recommendations took, skipped and late ones too.",
        labels: ["pipeline", "stage", "outcome"], buckets: lookupBuckets, seriesLimit: 4_000)
}

extension MetricFamily {
    /// All of this file.
    static let recommend: [MetricFamily] = [
        CounterMetric.recommendRungs.family, CounterMetric.recommendLeftOut.family,
        CounterMetric.recommendRefused.family, CounterMetric.recommendShared.family,
        CounterMetric.recommendHedges.family, GaugeMetric.dependencyCalls.family,
        GaugeMetric.recommendRemembered.family, HistogramMetric.stageDurationSeconds.family,
    ]
}
