/// What became of a row, as the label `outcome` says it.
package enum RowOutcome: String, Sendable, CaseIterable {
    /// There was no row in the store.
    case created
    /// Other content was replaced.
    case replaced
    /// The same content was stored already; its expiry was renewed.
    case renewed
    /// Something newer was stored already.
    case older
    /// Of the same order as the stored row but of other content: the stored one was kept.
    case conflict
    /// The source no longer has it.
    case removed
    /// It broke its contract and was set aside.
    case quarantined
}

/// How a run ended, as the label `outcome` says it.
package enum RunOutcome: String, Sendable, CaseIterable {
    case succeeded
    case failed
    /// A contract stopped it.
    case breached
    /// Shut down or out of its lease half-way.
    case cancelled
}

/// The series of one view, bound once. All that alerts count are on the page as 0 from the start, since a series that appears
/// with its first count has no increase.
package struct ViewMetrics: Sendable {
    package let view: String
    package let lagSeconds: Gauge
    package let lagRows: Gauge
    package let intervalSeconds: Gauge
    package let newestEventTimestampSeconds: Gauge
    package let lastSuccessTimestampSeconds: Gauge
    package let quarantineEntries: Gauge
    package let contractBreaches: Counter
    package let sweepLastCompletedTimestampSeconds: Gauge
    package let sweepIntervalSeconds: Gauge
    package let leaseHeld: Gauge
    package let leaseLost: Counter
    package let historyBreaks: Counter
    private let rows: [RowOutcome: Counter]
    private let sweepRows: [RowOutcome: Counter]
    private let runs: [RunOutcome: Counter]
    private let durations: [RunOutcome: Histogram]
    private let registry: MetricRegistry

    package init(view: String, registry: MetricRegistry) {
        self.view = view
        self.registry = registry
        lagSeconds = registry.gauge(.syncLagSeconds, [view])
        lagRows = registry.gauge(.syncLagRows, [view])
        intervalSeconds = registry.gauge(.syncIntervalSeconds, [view])
        newestEventTimestampSeconds = registry.gauge(.newestEventTimestampSeconds, [view])
        lastSuccessTimestampSeconds = registry.gauge(.lastSuccessTimestampSeconds, [view])
        quarantineEntries = registry.gauge(.quarantineEntries, [view])
        contractBreaches = registry.counter(.contractBreaches, [view])
        sweepLastCompletedTimestampSeconds = registry.gauge(.sweepLastCompletedTimestampSeconds, [view])
        sweepIntervalSeconds = registry.gauge(.sweepIntervalSeconds, [view])
        leaseHeld = registry.gauge(.leaseHeld, [view])
        leaseLost = registry.counter(.leaseLost, [view])
        historyBreaks = registry.counter(.historyBreaks, [view])
        rows = Self.each { registry.counter(.syncRows, [view, $0.rawValue]) }
        sweepRows = Self.each { registry.counter(.sweepRows, [view, $0.rawValue]) }
        runs = Self.each { registry.counter(.syncRuns, [view, $0.rawValue]) }
        durations = Self.each { registry.histogram(.syncRunDurationSeconds, [view, $0.rawValue]) }
    }

    /// Counts rows of a sync run.
    package func countRows(_ outcome: RowOutcome, _ count: Int = 1) {
        rows[outcome]?.add(count)
    }

    /// Counts rows of a sweep.
    package func countSweepRows(_ outcome: RowOutcome, _ count: Int = 1) {
        sweepRows[outcome]?.add(count)
    }

    /// Counts a run and how long it took.
    package func runEnded(_ outcome: RunOutcome, after duration: Duration) {
        runs[outcome]?.add()
        durations[outcome]?.observe(duration)
    }

    /// The violations of one rule of one feature. Bind it beside the compiled rule, not for each value.
    package func violations(feature: String, rule: String) -> Counter {
        registry.counter(.contractViolations, [view, feature, rule])
    }

    /// Takes every series of the view off the page: it is no longer defined.
    package func forget() {
        registry.forget("view", view)
    }

    private static func each<Outcome: CaseIterable & Hashable, Handle>(
        _ bind: (Outcome) -> Handle
    ) -> [Outcome: Handle] {
        Dictionary(uniqueKeysWithValues: Outcome.allCases.map { ($0, bind($0)) })
    }
}
