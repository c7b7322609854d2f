package import Logging
import Synchronization

/// Where log lines go: one descriptor, written whole lines at a time, never waited for.
///
/// When the reader is slow, the disk full or the pipe closed, lines are dropped and counted in
/// `tidemark_log_lines_dropped_total`; the first line that goes through again is preceded by one that tells how many.
/// Shared by all handlers of a process; any thread may write.
package final class LogSink: Sendable {
    /// The most that a pipe takes whole or not at all (PIPE_BUF on Linux), so that lines of processes sharing it don't mix.
    package static let defaultLineLimit = 4_096

    private struct State: ~Copyable {
        var output: LogOutput
        /// The rest of a line of which the descriptor took a part; no other line may come before it.
        var rest: ArraySlice<UInt8> = []
        var unreported = 0
    }

    package let format: LogFormat
    /// Most bytes of a line, its line feed included.
    package let lineLimit: Int
    private let dropped: Counter
    private let minimum: Atomic<Int>
    private let state: Mutex<State>

    /// Writes to `descriptor`, usually 2, which stays the caller's and must stay open; `dropped` counts what doesn't go out.
    ///
    /// `SIGPIPE` of the whole process is ignored from now on, since writing to a closed pipe would otherwise end it.
    package init(
        descriptor: Int32, format: LogFormat, level: Logger.Level, dropped: Counter,
        lineLimit: Int = LogSink.defaultLineLimit
    ) {
        self.format = format
        self.lineLimit = lineLimit
        self.dropped = dropped
        minimum = Atomic(Self.rank(level))
        state = Mutex(State(output: LogOutput(descriptor)))
    }

    /// The level of every logger that has none of its own. May change while the process runs.
    package var level: Logger.Level {
        get { Logger.Level.allCases[minimum.load(ordering: .relaxed)] }
        set { minimum.store(Self.rank(newValue), ordering: .relaxed) }
    }

    /// Writes a line, which ends in a line feed, or drops it.
    func write(_ line: [UInt8]) {
        let isDropped = state.withLock { state in
            guard Self.settle(&state, format: format, limit: lineLimit), Self.push(line[...], &state) else {
                state.unreported += 1
                return true
            }
            return false
        }
        if isDropped { dropped.add() }
    }

    /// Writes what is owed before a next line. `false` while the descriptor doesn't take it.
    private static func settle(_ state: inout State, format: LogFormat, limit: Int) -> Bool {
        if !state.rest.isEmpty {
            let rest = state.rest
            state.rest = []
            guard push(rest, &state) else {
                state.rest = rest
                return false
            }
            guard state.rest.isEmpty else { return false }
        }
        guard state.unreported > 0 else { return true }
        let notice = LogLine.encode(
            format, limit: limit, at: LogLine.now(), level: .warning, label: "telemetry",
            message: "log lines were dropped", error: nil, metadata: ["count": "\(state.unreported)"])
        guard push(notice[...], &state) else { return false }
        state.unreported = 0
        return state.rest.isEmpty
    }

    /// Writes what goes and keeps the rest. `false` when nothing went.
    private static func push(_ bytes: ArraySlice<UInt8>, _ state: inout State) -> Bool {
        let written = state.output.write(bytes)
        guard written > 0 else { return false }
        state.rest = bytes.dropFirst(written)
        return true
    }

    private static func rank(_ level: Logger.Level) -> Int {
        Logger.Level.allCases.firstIndex(of: level) ?? 0
    }
}
