import Glibc
import Synchronization
import TidemarkTesting

/// A `tidemark sync` that is started again whenever it ends, as a supervisor would.
final class ServiceSlot: Sendable {
    private struct State {
        var process: DaemonProcess?
        var isOver = false
        var starts = 0
        /// Endings that no fault explains.
        var crashes: [String] = []
        var last = ""
    }

    private let stage: Stage
    private let state = Mutex(State())

    init(_ stage: Stage) {
        self.stage = stage
    }

    /// Keeps a service running until `stop`.
    func run() async throws {
        while let process = try next() {
            let ending = await process.ending(within: .seconds(86_400))
            // 1: the store or the source was away when it started. A supervisor tries again.
            let isExplained =
                ending.code == 0 || ending.code == 1 || ending.signal == SIGKILL || ending.signal == SIGTERM
            let isOver = state.withLock { state in
                if !isExplained { state.crashes.append(ending.story) }
                state.last = ending.errors
                return state.isOver
            }
            if isOver { return }
            try await Task.sleep(for: .milliseconds(150))
        }
    }

    private func next() throws -> DaemonProcess? {
        if state.withLock({ $0.isOver }) { return nil }
        let process = try stage.start(["sync"])
        let isOver = state.withLock { state in
            state.process = process
            state.starts += 1
            return state.isOver
        }
        if isOver { process.terminate() }
        return process
    }

    /// The process of the moment.
    var process: DaemonProcess? { state.withLock { $0.process } }

    /// How often it was started, and how it ended where that can't be explained.
    var history: (starts: Int, crashes: [String]) { state.withLock { ($0.starts, $0.crashes) } }

    /// Ends it for good, in good order.
    func stop() {
        let process = state.withLock { state in
            state.isOver = true
            return state.process
        }
        process?.resume()
        process?.terminate()
    }

    /// What the present and the last process had to say.
    var story: String {
        state.withLock { "\($0.last.suffix(4_000))\n---\n\($0.process?.errorText.suffix(4_000) ?? "")" }
    }
}
