package import Extraction
import FeatureModel
package import OnlineStore

/// Why a pass over a view ended early.
package enum SyncError: Error, Sendable {
    case source(ExtractionError)
    case store(StoreError)
    /// The share of bad rows, of nulls, or the change of the row count is beyond the contract, and it says `stop`.
    case contractBreached(view: String, text: String)
    /// The quarantine is full: a further bad row could only be dropped.
    case quarantineFull(view: String, limit: Int)
    /// Another service holds the view's lease.
    case leaseHeld(view: String, owner: String)
    /// A source or the store failed too often in a row; it is left alone for a while.
    case breakerOpen(name: String, retryAfter: Duration, cause: String)
    /// An operator paused the view.
    case paused(view: String)
    /// Nothing is applied, or not this view.
    case notApplied(String)
    /// The request itself is wrong: says what and what to do.
    case refused(String)

    /// Any error of the layers below as one of this layer's; `CancellationError` is not one and must be handled before.
    package init(_ error: any Error) {
        self =
            switch error {
            case let error as SyncError: error
            case let error as ExtractionError: .source(error)
            case let error as StoreError: .store(error)
            default: .refused("\(error)")
            }
    }

    /// Whether trying again later can help without anyone's doing.
    package var isRetryable: Bool {
        switch self {
        case .source(let error): error.isRetryable
        case .store(let error): error.isRetryable
        case .leaseHeld: true
        case .contractBreached, .quarantineFull, .breakerOpen, .paused, .notApplied, .refused: false
        }
    }

    /// For ledgers and metric labels: a short fixed word.
    package var outcome: String {
        switch self {
        case .source(let error): "source_\(error.code.rawValue)"
        case .store(let error): "store_\(error.code.rawValue)"
        case .contractBreached: "contract_breached"
        case .quarantineFull: "quarantine_full"
        case .leaseHeld: "lease_held"
        case .breakerOpen: "breaker_open"
        case .paused: "paused"
        case .notApplied: "not_applied"
        case .refused: "refused"
        }
    }
}

extension SyncError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .source(let error): "\(error)"
        case .store(let error): "\(error)"
        case .contractBreached(let view, let text):
            "view \(view) is stopped by its contract: \(text). Its watermark stays; mend the source or the contract"
        case .quarantineFull(let view, let limit):
            "view \(view) is stopped: its quarantine holds \(limit) rows, its limit. See `tidemark quarantine list \(view)`; "
                + "mend and `retry`, or `drop`"
        case .leaseHeld(let view, let owner): "view \(view) is being synced by \(owner)"
        case .breakerOpen(let name, let wait, let cause):
            "\(name) failed too often in a row and is left alone for \(Self.rounded(wait)); the last failure: \(cause)"
        case .paused(let view): "view \(view) is paused; `tidemark resume \(view)` lets it go on"
        case .notApplied(let what): "\(what) is not applied to this store; run `tidemark apply`"
        case .refused(let text): text
        }
    }

    /// Whole seconds, one at least: nobody waits by the microsecond.
    private static func rounded(_ wait: Duration) -> String {
        let seconds = max(1, Int64(wait.inSeconds.rounded(.up)))
        return seconds == 1 ? "1 second" : "\(seconds) seconds"
    }
}
