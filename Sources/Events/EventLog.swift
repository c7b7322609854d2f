import Synchronization
package import Telemetry

/// What waits for one sink. Any thread may add to it; adding takes a lock for a moment and never waits for the sink.
///
/// `record` always succeeds and drops the oldest where there is no room; `offer` refuses instead, so that whoever asks can keep the
/// events. An `EventLogWriter` writes what waits.
package final class EventLog: Sendable {
    /// What became of events that were offered.
    package enum Offer: Sendable, Hashable {
        case taken
        /// There is no room.
        case full
        /// The sink takes nothing now, or the log is closed.
        case unavailable
        /// There never is room for so many.
        case tooLarge
    }

    /// Why events never reached the sink.
    enum Loss: String, CaseIterable {
        /// Newer ones took their room.
        case full
        /// The process ended before the sink took them.
        case shutdown
    }

    private struct State: ~Copyable {
        var queue: EventQueue
        var isFailing = false
        var isClosed = false
    }

    /// The label of its metrics: `exposures` or `events`.
    package let name: String
    /// The most events that wait.
    package let limit: Int
    /// The most bytes that wait.
    package let byteLimit: Int
    /// Has an element when it is time to write.
    let wakes: AsyncStream<Void>
    private let waker: AsyncStream<Void>.Continuation
    private let state: Mutex<State>
    private let losses: [Loss: Counter]
    private let written: Counter
    private let failures: Counter

    package init(name: String, limit: Int, bytes: Int, registry: MetricRegistry) {
        self.name = name
        self.limit = max(1, limit)
        byteLimit = max(1, bytes)
        state = Mutex(State(queue: EventQueue(limit: limit, bytes: bytes)))
        (wakes, waker) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        losses = Dictionary(
            uniqueKeysWithValues: Loss.allCases.map { ($0, registry.counter(.eventLogDropped, [name, $0.rawValue])) })
        written = registry.counter(.eventLogWritten, [name])
        failures = registry.counter(.eventLogFailures, [name])
        registry.gauge(.eventLogLimit, [name]).set(Double(self.limit))
        let (waiting, failing) = (registry.gauge(.eventLogWaiting, [name]), registry.gauge(.eventLogFailing, [name]))
        registry.addCollector { [weak self] in
            guard let reading = self?.reading else { return }
            waiting.set(Double(reading.unwritten))
            failing.set(reading.isFailing)
        }
    }

    /// How many events are not written yet, and whether the sink failed last.
    package var reading: (unwritten: Int, isFailing: Bool) {
        state.withLock { ($0.queue.unwritten, $0.isFailing) }
    }

    // MARK: Adding

    /// Adds an event, in place of the oldest where there is no room.
    package func record(_ event: QueuedEvent) {
        let (dropped, isClosed, isHalfFull) = state.withLock { state -> (Int, Bool, Bool) in
            guard !state.isClosed else { return (1, true, false) }
            let dropped = state.queue.append(event)
            return (dropped, false, state.queue.count == max(1, limit / 2))
        }
        lost(dropped, isClosed ? .shutdown : .full)
        if isHalfFull { wake() }
    }

    /// Adds events, all or none. Wakes nobody, so that it may be called under a lock; call `nudge` behind it.
    package func offer(_ events: [QueuedEvent]) -> Offer {
        guard events.count <= limit, events.reduce(0, { $0 + $1.size }) <= byteLimit else { return .tooLarge }
        return state.withLock { state in
            guard !state.isClosed, !state.isFailing else { return .unavailable }
            return state.queue.offer(events) ? .taken : .full
        }
    }

    /// Has what waits written soon, where it is much.
    package func nudge() {
        if state.withLock({ $0.queue.count >= limit / 2 }) { wake() }
    }

    // MARK: Writing

    func wake() { waker.yield() }

    /// Ends `wakes` behind what is in it.
    func finish() { waker.finish() }

    func take(_ limit: Int, bytes: Int) -> [QueuedEvent] {
        state.withLock { $0.queue.take(limit, bytes: bytes) }
    }

    func wrote(_ count: Int) {
        state.withLock { state in
            state.queue.written()
            state.isFailing = false
        }
        written.add(count)
    }

    /// The sink failed, and did not take these.
    func failed(_ unwritten: [QueuedEvent], written count: Int) {
        let dropped = state.withLock { state in
            state.isFailing = true
            return state.queue.giveBack(unwritten)
        }
        failures.add()
        written.add(count)
        lost(dropped, .full)
    }

    /// Takes nothing from now on. Returns how many events are lost with it.
    func close() -> Int {
        let left = state.withLock { state in
            state.isClosed = true
            return state.queue.unwritten
        }
        lost(left, .shutdown)
        return left
    }

    private func lost(_ count: Int, _ loss: Loss) {
        losses[loss]?.add(count)
    }
}
