import Synchronization

/// One progress line at a time: asking for another stage takes the last one away.
final class StageLines: Sendable {
    private struct Shown {
        var key = ""
        var line: ProgressLine?
    }

    private let shown = Mutex(Shown())

    /// The line of a stage.
    func line(_ key: String) -> ProgressLine {
        shown.withLock { shown in
            if shown.key == key, let line = shown.line { return line }
            shown.line?.finish()
            let line = ProgressLine(key)
            shown = Shown(key: key, line: line)
            return line
        }
    }

    /// Takes the last line away.
    func finish() {
        shown.withLock { $0.line }?.finish()
    }
}
