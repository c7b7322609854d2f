import Extraction
import OnlineStore
import Resilience
import Synchronization
package import Telemetry

/// Turns what the engine tells into the metrics of the sync service.
package final class SyncMetrics: SyncObserver {
    package let registry: MetricRegistry
    private let views = Mutex<[String: ViewMetrics]>([:])

    /// Puts what alerts count on the page as 0 from the start: a series that appears with its first count has no increase.
    package init(registry: MetricRegistry, sources: [String] = []) {
        self.registry = registry
        for code in StoreError.Code.allCases { _ = registry.counter(.storeErrors, [code.rawValue]) }
        for source in sources {
            for code in ExtractionError.Code.allCases { _ = registry.counter(.sourceErrors, [source, code.rawValue]) }
        }
        _ = registry.counter(.retries, ["sync"])
    }

    /// Counts an event.
    package func observe(_ event: SyncEvent) {
        switch event {
        case .finished(let entry): finished(entry)
        case .violations(let view, let feature, let rule, let count):
            metrics(view).violations(feature: feature, rule: rule).add(count)
        case .breached(let view, _): metrics(view).contractBreaches.add()
        case .historyBroke(let view, _, _): metrics(view).historyBreaks.add()
        case .retrying: registry.counter(.retries, ["sync"]).add()
        case .lag(let view, let rows, let seconds):
            metrics(view).lagRows.set(Double(rows))
            if let seconds = seconds ?? (rows == 0 ? 0 : nil) { metrics(view).lagSeconds.set(seconds) }
        case .horizon(let source, let seconds): registry.gauge(.sourceHorizonAgeSeconds, [source]).set(seconds)
        case .lease(let view, let held): metrics(view).leaseHeld.set(held)
        case .leaseLost(let view): metrics(view).leaseLost.add()
        case .sweepFinished(let view, _, let counts): swept(view, counts)
        case .quarantineSize(let view, let entries): metrics(view).quarantineEntries.set(Double(entries))
        case .newestEvent(let view, let microseconds):
            metrics(view).newestEventTimestampSeconds.set(Double(microseconds) / 1_000_000)
        case .succeeded(let view, let microseconds, let interval, let sweepInterval, let lastSweep):
            let metrics = metrics(view)
            metrics.lastSuccessTimestampSeconds.set(Double(microseconds) / 1_000_000)
            metrics.intervalSeconds.set(interval)
            metrics.sweepIntervalSeconds.set(sweepInterval)
            if let lastSweep { metrics.sweepLastCompletedTimestampSeconds.set(Double(lastSweep) / 1_000_000) }
        case .breaker(let name, let state):
            let level: Double =
                switch state {
                case .closed: 0;
                case .halfOpen: 1;
                case .open: 2
                }
            registry.gauge(.breakerState, [name]).set(level)
        case .storeFailed(let code): registry.counter(.storeErrors, [code]).add()
        case .sourceFailed(let source, let code): registry.counter(.sourceErrors, [source, code]).add()
        case .progress, .activated: break
        }
    }

    private func finished(_ entry: LedgerEntry) {
        let metrics = metrics(entry.view)
        metrics.countRows(.created, Int(entry.created))
        metrics.countRows(.replaced, Int(entry.replaced))
        metrics.countRows(.renewed, Int(entry.renewed))
        metrics.countRows(.older, Int(entry.older))
        metrics.countRows(.conflict, Int(entry.conflict))
        metrics.countRows(.removed, Int(entry.removed))
        metrics.countRows(.quarantined, Int(entry.quarantined))
        let outcome: RunOutcome =
            switch entry.outcome {
            case "done": .succeeded
            case "contract_breached": .breached
            case "stopped", "store_fenced": .cancelled
            default: .failed
            }
        metrics.runEnded(outcome, after: .seconds(entry.durationSeconds))
    }

    private func swept(_ view: String, _ counts: SweepCounts) {
        let metrics = metrics(view)
        metrics.countSweepRows(.created, Int(counts.missing))
        metrics.countSweepRows(.replaced, Int(counts.different))
        metrics.countSweepRows(.removed, Int(counts.orphaned))
        metrics.countSweepRows(.renewed, Int(counts.renewed))
        metrics.countSweepRows(.older, Int(counts.newer))
        metrics.countSweepRows(.quarantined, Int(counts.quarantined))
    }

    private func metrics(_ view: String) -> ViewMetrics {
        views.withLock { views in
            if let known = views[view] { return known }
            let made = ViewMetrics(view: view, registry: registry)
            views[view] = made
            return made
        }
    }
}
