import FeatureModel
import OnlineStore
import Sync

/// Shows the progress of `sync --once`: a bar a phase, remarks between.
final class ProgressReporter: SyncObserver {
    private let quiet: Bool
    private let lines = StageLines()

    init(quiet: Bool) {
        self.quiet = quiet
    }

    func observe(_ event: SyncEvent) {
        switch event {
        case .progress(let view, let version, let work, let rows, let estimate):
            lines.line("\(view) v\(version) \(work.rawValue)").update(rows, of: estimate)
        case .retrying(let view, let after, let error):
            remark("\(view): \(error); tried again in \(Words.seconds(after.inSeconds))")
        case .historyBroke(let view, let version, let text): remark("\(view) v\(version): \(text); loading anew")
        case .breached(let view, let text): remark("\(view): contract: \(text)")
        case .activated(let view, let version): remark("\(view): version \(version) is read from now on")
        case .sweepFinished(let view, let version, let counts):
            remark(
                "\(view) v\(version): swept \(Words.count(counts.checked)) rows, \(Words.count(counts.missing)) missing, "
                    + "\(Words.count(counts.different)) different, \(Words.count(counts.orphaned)) gone at the source")
        case .finished, .violations, .lag, .horizon, .lease, .leaseLost, .quarantineSize, .newestEvent, .succeeded,
            .breaker,
            .storeFailed,
            .sourceFailed:
            break
        }
    }

    /// Takes the last bar away.
    func finish() {
        lines.finish()
    }

    private func remark(_ text: String) {
        finish()
        if !quiet { Console.note(text) }
    }
}
