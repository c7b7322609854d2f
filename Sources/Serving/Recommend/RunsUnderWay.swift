import Synchronization

/// Counts runs that belong to no connection any more once their client is gone, so that the loops they run on outlive them.
final class RunsUnderWay: Sendable {
    private struct State {
        var count = 0
        var waiting: [CheckedContinuation<Void, Never>] = []
    }

    private let state = Mutex(State())

    func begin() { state.withLock { $0.count += 1 } }

    func end() {
        let waiting = state.withLock { state -> [CheckedContinuation<Void, Never>] in
            state.count -= 1
            guard state.count == 0 else { return [] }
            defer { state.waiting = [] }
            return state.waiting
        }
        for one in waiting { one.resume() }
    }

    /// Returns when there is none. Runs end by their deadlines.
    func untilNone() async {
        await withCheckedContinuation { waiting in
            let isNone = state.withLock { state in
                if state.count > 0 { state.waiting.append(waiting) }
                return state.count == 0
            }
            if isNone { waiting.resume() }
        }
    }
}
