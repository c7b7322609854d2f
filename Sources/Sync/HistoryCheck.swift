import Extraction
import OnlineStore

/// Whether a source is still the one that a marker speaks of.
enum HistoryCheck {
    /// What broke, in words; `nil` when the history goes on.
    static func breakage(_ state: MarkerState, _ history: SourceHistory) -> String? {
        if state.historyIdentity != history.identity {
            return "the source is another one than before: was \(state.historyIdentity), is \(history.identity)"
        }
        if let seen = state.historyEnd, let end = history.end, end < seen {
            return
                "the source's history ends at \(end), before \(seen), which was seen already: an older copy was put in place"
        }
        return nil
    }

    /// Starts over in a new epoch: everything is loaded again, wins over what the lost history wrote, and a sweep follows
    /// that finds the rows which only the lost history had.
    static func rewind(_ state: inout MarkerState, history: SourceHistory, start: ChangeCursor, needsLoad: Bool) {
        state.epoch &+= 1
        state.historyIdentity = history.identity
        state.historyEnd = history.end
        state.cursor = start.text
        state.phase = needsLoad ? .loading : .following
        state.loadAfter = nil
        state.loadedRows = 0
        state.sweep = nil
        state.sweepNow = true
    }
}
