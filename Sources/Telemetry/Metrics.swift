extension CounterMetric {
    package static let syncRows = CounterMetric(
        MetricName.syncRows, help: "Rows the sync engine finished with, by what became of them.",
        labels: ["view", "outcome"])
    package static let syncRuns = CounterMetric(
        MetricName.syncRuns, help: "Sync runs that ended, by how.", labels: ["view", "outcome"])
    package static let contractViolations = CounterMetric(
        MetricName.contractViolations, help: "Values that broke a rule of their contract.",
        labels: ["view", "feature", "rule"], seriesLimit: 5_000)
    package static let contractBreaches = CounterMetric(
        MetricName.contractBreaches, help: "Chunks whose violations exceeded what their contract allows.",
        labels: ["view"])
    package static let sweepRows = CounterMetric(
        MetricName.sweepRows, help: "Rows the sweep compared, by what it found or repaired.",
        labels: ["view", "outcome"])
    package static let leaseLost = CounterMetric(
        MetricName.leaseLost, help: "Times a view's lease was lost while its run was under way.", labels: ["view"])
    package static let historyBreaks = CounterMetric(
        MetricName.historyBreaks, help: "Times a source turned out not to continue the history its watermark is of.",
        labels: ["view"])
    package static let retries = CounterMetric(
        MetricName.retries, help: "Attempts after a first one that failed.", labels: ["stage"])
    package static let storeErrors = CounterMetric(
        MetricName.storeErrors, help: "Failed calls of the online store, by code.", labels: ["code"])
    package static let sourceErrors = CounterMetric(
        MetricName.sourceErrors, help: "Failed reads of a source, by code.", labels: ["source", "code"])
    package static let logLinesDropped = CounterMetric(
        MetricName.logLinesDropped, help: "Log lines dropped because standard error was full or closed.")
    package static let adminRequests = CounterMetric(
        MetricName.adminRequests, help: "Requests of the admin listener, by the status they were answered with.",
        labels: ["route", "outcome"])
    package static let seriesRefused = CounterMetric(
        MetricName.seriesRefused, help: "Label sets refused because their metric has as many as it may have.",
        labels: ["metric"])
}

extension GaugeMetric {
    package static let syncLagSeconds = GaugeMetric(
        MetricName.syncLagSeconds,
        help: "Age of the oldest change that the source holds and the store does not; 0 when the view is level.",
        labels: ["view"])
    package static let syncLagRows = GaugeMetric(
        MetricName.syncLagRows, help: "Changes that the source holds and the store does not.", labels: ["view"])
    package static let syncIntervalSeconds = GaugeMetric(
        MetricName.syncIntervalSeconds, help: "How often the view is synced, by its definition.", labels: ["view"])
    package static let newestEventTimestampSeconds = GaugeMetric(
        MetricName.newestEventTimestampSeconds, help: "Newest event time seen in the view, in seconds since 1970.",
        labels: ["view"])
    package static let lastSuccessTimestampSeconds = GaugeMetric(
        MetricName.lastSuccessTimestampSeconds, help: "When a run of the view last succeeded, in seconds since 1970.",
        labels: ["view"])
    package static let quarantineEntries = GaugeMetric(
        MetricName.quarantineEntries, help: "Rows held in quarantine now.", labels: ["view"])
    package static let sweepLastCompletedTimestampSeconds = GaugeMetric(
        MetricName.sweepLastCompletedTimestampSeconds,
        help: "When the sweep last came around the whole view, in seconds since 1970.", labels: ["view"])
    package static let sweepIntervalSeconds = GaugeMetric(
        MetricName.sweepIntervalSeconds, help: "Within how long the sweep must come around, by the definition.",
        labels: ["view"])
    package static let leaseHeld = GaugeMetric(
        MetricName.leaseHeld, help: "1 while this process holds the view's lease, else 0.", labels: ["view"])
    package static let breakerState = GaugeMetric(
        MetricName.breakerState, help: "0 closed, 1 half open, 2 open, 3 forced open.", labels: ["breaker"])
    package static let sourceHorizonAgeSeconds = GaugeMetric(
        MetricName.sourceHorizonAgeSeconds,
        help: "Age of the oldest transaction that holds the source's readable horizon back.", labels: ["source"])
    package static let processResidentMemoryBytes = GaugeMetric(
        MetricName.processResidentMemoryBytes, help: "Resident memory size in bytes.")
    package static let processOpenFDs = GaugeMetric(
        MetricName.processOpenFDs, help: "Number of open file descriptors.")
    package static let processMaxFDs = GaugeMetric(
        MetricName.processMaxFDs, help: "Maximum number of open file descriptors.")
    package static let processStartTimeSeconds = GaugeMetric(
        MetricName.processStartTimeSeconds, help: "Start time of the process in seconds since 1970.")
}

extension HistogramMetric {
    /// 100 µs to one hour, in steps of 1, 2.5 and 5: a run may take either.
    package static let runBuckets: [Double] = [
        0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50,
        100, 250, 500, 1_000, 3_600,
    ]

    package static let syncRunDurationSeconds = HistogramMetric(
        MetricName.syncRunDurationSeconds, help: "How long sync runs took, failed ones too.",
        labels: ["view", "outcome"], buckets: runBuckets)
}

extension InfoMetric {
    package static let config = InfoMetric(
        MetricName.config, help: "The configuration in force, by the hash of its content.", labels: ["hash"])
    package static let build = InfoMetric(MetricName.build, help: "What is running.", labels: ["version"])
}

extension MetricFamily {
    /// The processor time of this process. A counter of a fraction, which no handle counts up: it is read from the kernel.
    static let processCPUSeconds = MetricFamily(
        MetricName.processCPUSeconds, .counter, help: "Total user and system CPU time spent in seconds.", labels: [])

    /// Every metric there is, by name: what the reference page and the checks of dashboards and rules go by.
    package static let all: [MetricFamily] = {
        let counters: [CounterMetric] = [
            .syncRows, .syncRuns, .contractViolations, .contractBreaches, .sweepRows, .leaseLost, .historyBreaks,
            .retries, .storeErrors, .sourceErrors, .logLinesDropped, .seriesRefused, .lookupValues, .httpRequests,
            .grpcRequests, .lookupPlansCompiled, .accessRefusals, .acceptFailures,
            .connectionsEvicted, .adminRequests,
        ]
        let gauges: [GaugeMetric] = [
            .syncLagSeconds, .syncLagRows, .syncIntervalSeconds, .newestEventTimestampSeconds,
            .lastSuccessTimestampSeconds, .quarantineEntries, .sweepLastCompletedTimestampSeconds,
            .sweepIntervalSeconds, .leaseHeld, .breakerState, .sourceHorizonAgeSeconds, .processResidentMemoryBytes,
            .processOpenFDs, .processMaxFDs, .processStartTimeSeconds, .httpInFlight, .httpConnections, .servingReady,
            .certificateExpiryTimestampSeconds,
        ]
        let others: [MetricFamily] = [
            HistogramMetric.syncRunDurationSeconds.family, HistogramMetric.lookupDurationSeconds.family,
            InfoMetric.config.family, InfoMetric.build.family,
            processCPUSeconds,
        ]
        let all = [
            counters.map(\.family), gauges.map(\.family), others, control, events, models, recall, recommend, traces,
        ]
        return all.joined().sorted { $0.name < $1.name }
    }()
}
