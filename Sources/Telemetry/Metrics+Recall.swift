/// The metrics of the recall lists that a daemon goes by. What a build did stands in the list that it made, so that a job
/// which ends needs no page of its own.
extension GaugeMetric {
    package static let recallListNewestEventTimestampSeconds = GaugeMetric(
        MetricName.recallListNewestEventTimestampSeconds,
        help: "When the newest event happened that the list in use is made of.", labels: ["list"])
    package static let recallListItems = GaugeMetric(
        MetricName.recallListItems, help: "Items of the list in use.", labels: ["list"])
    package static let recallListVersion = GaugeMetric(
        MetricName.recallListVersion, help: "The version of the list in use; 0 while there is none.", labels: ["list"])
    package static let recallListRefused = GaugeMetric(
        MetricName.recallListRefused,
        help: "1 while the live version of the list can't be used, and one before it or none is; else 0.",
        labels: ["list"])
    package static let recallBuildTimestampSeconds = GaugeMetric(
        MetricName.recallBuildTimestampSeconds, help: "When the list in use was built.", labels: ["list"])
    package static let recallBuildDurationSeconds = GaugeMetric(
        MetricName.recallBuildDurationSeconds, help: "How long building the list in use took.", labels: ["list"])
    package static let recallBuildRows = GaugeMetric(
        MetricName.recallBuildRows,
        help:
            "Rows that the list in use was built from: used, faulty (not what the config says), left_out (over a limit), "
            + "outside (of the window, or behind the cut).",
        labels: ["list", "fate"])
}

extension MetricFamily {
    /// All of this file.
    static let recall: [MetricFamily] = [
        GaugeMetric.recallListNewestEventTimestampSeconds.family, GaugeMetric.recallListItems.family,
        GaugeMetric.recallListVersion.family, GaugeMetric.recallListRefused.family,
        GaugeMetric.recallBuildTimestampSeconds.family, GaugeMetric.recallBuildDurationSeconds.family,
        GaugeMetric.recallBuildRows.family,
    ]
}
