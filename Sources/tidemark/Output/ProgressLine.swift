import FeatureModel
import Glibc
import Synchronization

/// Progress of long work: a bar that redraws itself on a terminal, a plain line now and then elsewhere.
final class ProgressLine: Sendable {
    private struct State {
        var started: ContinuousClock.Instant
        var last: ContinuousClock.Instant
        var isDrawn = false
    }

    private let label: String
    private let unit: String
    private let isTerminal: Bool
    private let state: Mutex<State>

    init(_ label: String, unit: String = "rows") {
        self.label = label
        self.unit = unit
        isTerminal = Console.isTerminal
        let now = ContinuousClock.now
        state = Mutex(State(started: now, last: now))
    }

    /// Shows how far it is; `total` is an estimate.
    func update(_ done: Int64, of total: Int64?) {
        let line: String? = state.withLock { state in
            let now = ContinuousClock.now
            guard now - state.last >= (isTerminal ? .milliseconds(100) : .seconds(5)) else { return nil }
            state.last = now
            state.isDrawn = true
            return text(done, total, elapsed: now - state.started)
        }
        guard let line else { return }
        Console.write(isTerminal ? "\r\u{1B}[K\(line)" : "\(line)\n")
    }

    /// Takes the bar away.
    func finish() {
        let wasDrawn = state.withLock { state in
            defer { state.isDrawn = false }
            return state.isDrawn
        }
        if wasDrawn, isTerminal { Console.write("\r\u{1B}[K") }
    }

    private func text(_ done: Int64, _ total: Int64?, elapsed: Duration) -> String {
        let rate = Double(done) / max(elapsed.inSeconds, 0.001)
        var line = "\(label)  \(Words.count(done))"
        if let total, total >= done, total > 0 {
            let share = Double(done) / Double(total)
            let filled = Int(share * 24)
            let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: 24 - filled)
            let left = Words.seconds(Double(total - done) / max(rate, 1))
            line = "\(label)  \(bar)  \(Int(share * 100))%  \(Words.count(done))/\(Words.count(total)), \(left) left"
        }
        return "\(line) \(unit), \(Words.count(Int64(rate)))/s"
    }
}
