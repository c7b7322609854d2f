import Recall
import Telemetry

/// Shows the lists of a library on the page of metrics.
enum RecallMetrics {
    /// Sets the gauges anew before each look at the page.
    static func install(_ library: RecallLibrary, in registry: MetricRegistry) {
        registry.addCollector {
            for status in library.status() { show(status, in: registry) }
        }
    }

    private static func show(_ status: RecallListStatus, in registry: MetricRegistry) {
        let name = status.name
        registry.gauge(.recallListRefused, [name]).set(status.refusal != nil)
        registry.gauge(.recallListVersion, [name]).set(Double(status.list?.version ?? 0))
        guard let list = status.list else { return }
        let counts = list.manifest.counts
        registry.gauge(.recallListItems, [name]).set(Double(list.itemCount))
        registry.gauge(.recallListNewestEventTimestampSeconds, [name]).set(Double(list.newestEvent) / 1e6)
        registry.gauge(.recallBuildTimestampSeconds, [name]).set(Double(list.builtAt) / 1e6)
        registry.gauge(.recallBuildDurationSeconds, [name]).set(list.manifest.seconds)
        let left = counts.eventsLeftOut + counts.historyLeftOut
        let fates = [
            ("used", counts.events), ("faulty", counts.faults), ("left_out", left),
            ("outside", counts.rows - counts.events - counts.faults - left),
        ]
        for (fate, count) in fates { registry.gauge(.recallBuildRows, [name, fate]).set(Double(count)) }
    }
}
