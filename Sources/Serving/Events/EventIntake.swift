package import Events
import Synchronization
package import Telemetry

/// Takes callers' events into a log, each id once. Free to share.
package final class EventIntake: Sendable {
    /// What became of the events of a request.
    package enum Outcome: Sendable, Hashable {
        case accepted(Int, duplicates: Int)
        /// The log takes none now. None is accepted, and none of their ids is remembered.
        case refused(EventLog.Offer)
    }

    /// The most events of one request.
    package var maximum: Int { log.limit }
    /// The most bytes of one request's events.
    package var maximumBytes: Int { log.byteLimit }
    private let log: EventLog
    private let window: Mutex<EventWindow>
    private let accepted: Counter
    private let duplicates: Counter
    private let refused: Counter
    private let invalid: Counter

    /// `remember` is how many ids are remembered.
    package init(_ log: EventLog, remember: Int, registry: MetricRegistry) {
        self.log = log
        window = Mutex(EventWindow(limit: remember))
        accepted = registry.counter(.events, ["accepted"])
        duplicates = registry.counter(.events, ["duplicate"])
        refused = registry.counter(.events, ["refused"])
        invalid = registry.counter(.events, ["invalid"])
    }

    /// Takes all events that did not come before, or none. `received` is in microseconds since 1970.
    package func take(_ events: [ShopEvent], received: Int64) -> Outcome {
        let keyed = events.map { (key: EventWindow.Key($0), line: QueuedEvent($0.json(received: received))) }
        // Under one lock, so that of two requests with one event the later is no duplicate of one that is refused.
        let outcome = window.withLock { window -> Outcome in
            var seen: Set<EventWindow.Key> = []
            let fresh = keyed.filter { !window.contains($0.key) && seen.insert($0.key).inserted }
            let offer = log.offer(fresh.map(\.line))
            guard offer == .taken else { return .refused(offer) }
            for event in fresh { window.insert(event.key) }
            return .accepted(fresh.count, duplicates: events.count - fresh.count)
        }
        switch outcome {
        case .accepted(let count, let repeated):
            accepted.add(count)
            duplicates.add(repeated)
            log.nudge()
        case .refused: refused.add(events.count)
        }
        return outcome
    }

    /// Counts a request whose events do not fit.
    func isInvalid() { invalid.add() }
}
