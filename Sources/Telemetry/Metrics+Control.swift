/// The metrics of what the serving daemon goes by: catalog, admission, config.
extension CounterMetric {
    package static let admissionRefusals = CounterMetric(
        MetricName.admissionRefusals,
        help:
            "Lookups refused: too many were under way and waited (limit), or there was no room while they waited (delay).",
        labels: ["reason"])
    package static let configReloads = CounterMetric(
        MetricName.configReloads, help: "Looks at the config file that found something, or were asked for, by outcome.",
        labels: ["outcome"])
}

extension GaugeMetric {
    package static let catalogGeneration = GaugeMetric(
        MetricName.catalogGeneration, help: "How many catalogs were taken into service since the start.")
    package static let catalogAgeSeconds = GaugeMetric(
        MetricName.catalogAgeSeconds,
        help: "How long ago the store was last looked at for another catalog with success.")
    package static let catalogProblems = GaugeMetric(
        MetricName.catalogProblems, help: "What keeps the catalog from being the store's; 0 when it is.")
    package static let admissionLimit = GaugeMetric(
        MetricName.admissionLimit, help: "How many lookups may be under way at once, now.")
    package static let admissionInFlight = GaugeMetric(
        MetricName.admissionInFlight, help: "Lookups that were let in and are under way.")
    package static let configGeneration = GaugeMetric(
        MetricName.configGeneration, help: "1 at the start, and one more with each config taken since.")
    package static let configWaitsForRestart = GaugeMetric(
        MetricName.configWaitsForRestart,
        help: "1 while the config differs in keys that count from the next start, else 0.")
}

extension MetricFamily {
    /// All of this file.
    static let control: [MetricFamily] = [
        CounterMetric.admissionRefusals.family, CounterMetric.configReloads.family,
        GaugeMetric.catalogGeneration.family, GaugeMetric.catalogAgeSeconds.family,
        GaugeMetric.catalogProblems.family, GaugeMetric.admissionLimit.family, GaugeMetric.admissionInFlight.family,
        GaugeMetric.configGeneration.family, GaugeMetric.configWaitsForRestart.family,
    ]
}
