package import OnlineStore
package import Resilience

/// What the engine tells while it works. Observers must return at once.
package enum SyncEvent: Sendable {
    /// A chunk was acknowledged and marked.
    case progress(view: String, version: Int, work: PassWork, rows: Int64, estimate: Int64?)
    /// A pass over one version ended, well or not.
    case finished(LedgerEntry)
    /// Rows broke a rule of the contract.
    case violations(view: String, feature: String, rule: String, count: Int)
    /// A rate of the contract was exceeded.
    case breached(view: String, text: String)
    /// The source's history is another one than before.
    case historyBroke(view: String, version: Int, text: String)
    /// A call failed and will be tried again after a pause.
    case retrying(view: String, after: Duration, error: String)
    /// A version was made the current one.
    case activated(view: String, version: Int)
    /// How far a view is behind, measured after a pass.
    case lag(view: String, rows: Int64, seconds: Double?)
    /// How long the oldest open transaction of a source has held back what can be read; 0 for none.
    case horizon(source: String, seconds: Double)
    case lease(view: String, held: Bool)
    case leaseLost(view: String)
    case sweepFinished(view: String, version: Int, counts: SweepCounts)
    case quarantineSize(view: String, entries: Int)
    case newestEvent(view: String, microseconds: Int64)
    /// A pass over the version that is read ended well. Times in microseconds since 1970, intervals in seconds.
    case succeeded(view: String, at: Int64, interval: Double, sweepInterval: Double, lastSweep: Int64?)
    case breaker(name: String, state: Breaker.State)
    case storeFailed(code: String)
    case sourceFailed(source: String, code: String)
}

/// What a pass is busy with.
package enum PassWork: String, Codable, Sendable {
    case load
    case changes
    case sweep
    case orphans
}

/// Whoever wants to know what the engine does.
package protocol SyncObserver: Sendable {
    /// Takes note of an event. Called from any task.
    func observe(_ event: SyncEvent)
}

/// Tells several observers, one after the other.
package struct SyncObservers: SyncObserver {
    private let observers: [any SyncObserver]

    package init(_ observers: [any SyncObserver]) {
        self.observers = observers
    }

    /// Tells all of them.
    package func observe(_ event: SyncEvent) {
        for observer in observers { observer.observe(event) }
    }
}
