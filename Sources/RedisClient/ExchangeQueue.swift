internal import NIOCore

/// A point in time of the clock that a queue's owner reads.
protocol ExchangeInstant: Comparable {
    func advanced(by duration: Duration) -> Self
}

extension ContinuousClock.Instant: ExchangeInstant {}

extension NIODeadline: ExchangeInstant {
    func advanced(by duration: Duration) -> NIODeadline { self + TimeAmount(duration) }
}

/// Decides what happens to the pipelines of one connection. Reads no clock, does no I/O.
///
/// A pipeline waits, then is on the wire, then gone. Replies belong to the oldest on the wire, always: a pipeline whose
/// waiter gave up stays as an orphan that swallows its replies, so no answer can shift to another question.
struct ExchangeQueue<Waiter, Instant: ExchangeInstant>: ~Copyable {
    enum ReplyVerdict {
        /// It is the next reply of this waiter, and its last one if `completes`.
        case deliver(Waiter, completes: Bool)
        /// Its waiter gave up.
        case swallow
        /// Nothing was asked: the peer is out of step, close.
        case unexpected
    }

    /// Whose the next reply is.
    enum Head {
        case nobody
        /// Of one that gave up.
        case orphan
        case waiter(Waiter)
    }

    private struct Entry {
        let id: UInt64
        let commands: Int
        let bytes: Int
        let deadline: Instant
        var answered = 0
        /// `nil` once it gave up.
        var waiter: Waiter?
    }

    private let limits: RedisConnection.Limits
    private var onWire = CircularBuffer<Entry>()
    private var waiting = CircularBuffer<Entry>()
    private(set) var commandsOnWire = 0
    private(set) var bytesOnWire = 0
    private(set) var bytesWaiting = 0
    /// No deadline of a waiter comes before it; it may lie too early, since whoever is answered leaves it as it is.
    private var earliest: Instant?

    init(limits: RedisConnection.Limits) {
        self.limits = limits
    }

    /// How many pipelines wait or are on the wire, orphans included.
    var count: Int { onWire.count + waiting.count }

    /// Whether a pipeline of one command would be started at once.
    var hasRoom: Bool { waiting.isEmpty && commandsOnWire < limits.commandsOnWire && bytesOnWire < limits.bytesOnWire }

    /// Whether something waits to be started.
    var isWaiting: Bool { !waiting.isEmpty }

    /// Whose the next reply is.
    var head: Head {
        guard let first = onWire.first else { return .nobody }
        return first.waiter.map { .waiter($0) } ?? .orphan
    }

    /// Takes a pipeline in. Returns why not, otherwise.
    mutating func add(
        id: UInt64, commands: Int, bytes: Int, deadline: Instant, now: Instant, waiter: Waiter
    ) -> RedisError? {
        guard commands <= limits.pipelineCommands, bytes <= limits.pipelineBytes else {
            return RedisError(.requestTooLarge, "a pipeline exceeds the limit of commands or bytes")
        }
        guard now < deadline else { return RedisError(.deadlineExceeded, "the deadline passed before sending") }
        guard waiting.count < limits.waitingPipelines, bytes <= limits.waitingBytes - bytesWaiting else {
            return RedisError(.overloaded, "too much is waiting for the Redis connection")
        }
        waiting.append(Entry(id: id, commands: commands, bytes: bytes, deadline: deadline, waiter: waiter))
        bytesWaiting += bytes
        note(deadline)
        return nil
    }

    /// The pipeline to write next, if the window has room for it. An empty window takes any.
    mutating func startNext() -> Waiter? {
        guard let next = waiting.first else { return nil }
        let fits =
            commandsOnWire + next.commands <= limits.commandsOnWire && bytesOnWire + next.bytes <= limits.bytesOnWire
        guard fits || onWire.isEmpty else { return nil }
        waiting.removeFirst()
        onWire.append(next)
        bytesWaiting -= next.bytes
        bytesOnWire += next.bytes
        commandsOnWire += next.commands
        return next.waiter
    }

    /// A reply came.
    mutating func replyArrived() -> ReplyVerdict {
        guard !onWire.isEmpty else { return .unexpected }
        let index = onWire.startIndex
        onWire[index].answered += 1
        commandsOnWire -= 1
        let completes = onWire[index].answered == onWire[index].commands
        let waiter = onWire[index].waiter
        if completes { bytesOnWire -= onWire.removeFirst().bytes }
        return waiter.map { .deliver($0, completes: completes) } ?? .swallow
    }

    /// The waiter of a pipeline gave up. Returns it if it was still waiting.
    mutating func abandon(id: UInt64) -> Waiter? {
        if let index = waiting.firstIndex(where: { $0.id == id }) {
            bytesWaiting -= waiting[index].bytes
            return waiting.remove(at: index).waiter
        }
        guard let index = onWire.firstIndex(where: { $0.id == id }) else { return nil }
        defer { onWire[index].waiter = nil }
        return onWire[index].waiter
    }

    /// Time passed. Returns the waiters whose deadline is over, and whether the head is overdue: then close.
    mutating func expire(at now: Instant) -> (expired: [Waiter], headIsOverdue: Bool) {
        var expired: [Waiter] = []
        if let earliest, earliest <= now { expired = takeExpired(at: now) }
        return (expired, onWire.first.map { graceEnd($0) <= now } ?? false)
    }

    /// When `expire` has something to do again, or may have.
    var nextEvent: Instant? {
        guard let head = onWire.first else { return earliest }
        let overdue = graceEnd(head)
        return min(earliest ?? overdue, overdue)
    }

    private mutating func takeExpired(at now: Instant) -> [Waiter] {
        earliest = nil
        var expired: [Waiter] = []
        for index in onWire.indices {
            guard let waiter = onWire[index].waiter else { continue }
            guard onWire[index].deadline <= now else {
                note(onWire[index].deadline)
                continue
            }
            expired.append(waiter)
            onWire[index].waiter = nil
        }
        for entry in waiting {
            guard entry.deadline <= now else {
                note(entry.deadline)
                continue
            }
            if let waiter = entry.waiter { expired.append(waiter) }
            bytesWaiting -= entry.bytes
        }
        waiting.removeAll { $0.deadline <= now }
        return expired
    }

    private mutating func note(_ deadline: Instant) {
        earliest = min(earliest ?? deadline, deadline)
    }

    private func graceEnd(_ entry: Entry) -> Instant {
        entry.deadline.advanced(by: limits.headGrace)
    }

    /// The connection ended: everyone who still waits.
    mutating func removeAll() -> [Waiter] {
        let waiters = onWire.compactMap(\.waiter) + waiting.compactMap(\.waiter)
        onWire.removeAll()
        waiting.removeAll()
        (commandsOnWire, bytesOnWire, bytesWaiting) = (0, 0, 0)
        earliest = nil
        return waiters
    }
}
