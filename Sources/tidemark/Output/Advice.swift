import Extraction
import OnlineStore
import Sync

/// What to do about an error of the layers below, whose words say what happened and where.
enum Advice {
    /// The error's words, and what to do where they don't say it themselves.
    static func text(of error: SyncError) -> String {
        switch error {
        case .store(let error): "online_store: \(error)\(store(error))"
        case .source(let error): "\(error)\(source(error.code))"
        case .contractBreached, .quarantineFull, .leaseHeld, .breakerOpen, .paused, .notApplied, .refused: "\(error)"
        }
    }

    /// The same as a remark on a view, which is named once.
    static func text(of error: SyncError, view: String) -> String {
        let text = text(of: error)
        return text.hasPrefix("view \(view) ") ? text : "view \(view): \(text)"
    }

    private static func store(_ error: StoreError) -> String {
        switch error.code {
        case .unavailable: "; is it running, and is online_store.url right?"
        case .deadlineExceeded: "; is it overloaded? online_store.command_timeout allows more time"
        case .misconfigured:
            switch error.detail.prefix(while: { $0 != " " }).lowercased() {
            case "noperm": ""
            case "noauth", "wrongpass": "; check online_store in the config: username and password"
            default: "; see online_store.url in the config"
            }
        case .corrupt: "; `tidemark doctor` tells more"
        case .sessionLost, .markerMoved, .fenced: "; run it again, what is marked is kept"
        case .writesRefused:
            error.detail.hasPrefix("READONLY")
                ? "; name the master in online_store.url" : "; `tidemark doctor` tells more"
        case .tooLarge: ""
        }
    }

    private static func source(_ code: ExtractionError.Code) -> String {
        switch code {
        case .unavailable: "; is it there, and is sources.*.url in the config right?"
        case .schemaMismatch: "; mend the source, or the view's definition and `tidemark apply`"
        case .notInstalled, .misconfigured: ""
        case .deadlineExceeded: "; sources.*.statement_timeout allows more time"
        case .corrupt: "; is it the right file?"
        case .historyBroken: "; the next run reads all rows again"
        case .tooLarge: ""
        }
    }
}
