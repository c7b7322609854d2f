/// The engine's limits. Every one has a default that is meant to be left alone.
package struct SyncSettings: Sendable {
    /// Names this service in leases and the ledger.
    package var owner: String
    /// Rows or changed entities a chunk: `1...10_000`.
    package var chunkRows = 1_000
    /// Chunks on their way into the store, and again as many acknowledged but not yet marked: `1...64`.
    package var chunksInFlight = 4
    /// How long a lease lasts without renewal.
    package var leaseDuration = Duration.seconds(30)
    /// The most rows a second that a sweep walks, for each view.
    package var sweepRowsPerSecond = 20_000
    /// The most quarantined rows a view may have.
    package var quarantineLimit = 10_000
    /// Views that are synced at the same time.
    package var parallelViews = 4
    /// The first pause after a failure; pauses double, with jitter, up to `retryMaximum`.
    package var retryInitial = Duration.milliseconds(200)
    package var retryMaximum = Duration.seconds(30)
    /// Retries within one pass before it is given up until its next turn.
    package var retriesPerPass = 5
    /// Retries allowed for each first attempt, over all views: a share above a floor of one in two seconds.
    package var retryBudget = 0.2
    /// Failures in a row that open the breaker of a source or of the store, and for how long at first.
    package var breakerFailures = 5
    package var breakerOpen = Duration.seconds(1)
    /// How often the published catalog is looked at.
    package var catalogPoll = Duration.seconds(5)

    package init(owner: String) {
        self.owner = owner
    }
}
