import Synchronization

/// Keeps what sweeps report, for a caller that waits for them.
final class SweepRecorder: SyncObserver {
    private let kept = Mutex<[VerifyReport]>([])

    func observe(_ event: SyncEvent) {
        guard case .sweepFinished(let view, let version, let counts) = event else { return }
        var report = VerifyReport(view: view, version: version)
        report.counts = counts
        report.repaired = true
        kept.withLock { $0.append(report) }
    }

    /// One a version swept.
    var reports: [VerifyReport] { kept.withLock(\.self) }
}
