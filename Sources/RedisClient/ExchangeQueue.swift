internal import NIOCore

/// Decides what happens to the pipelines of one connection. Reads no clock, does no I/O.
///
/// A pipeline waits, then is on the wire, then gone. Replies belong to the oldest on the wire, always: a pipeline whose
/// waiter gave up stays as an orphan that swallows its replies, so no answer can shift to another question.
struct ExchangeQueue<Waiter>: ~Copyable {
    enum ReplyVerdict {
        /// It is the next reply of this waiter, and its last one if `completes`.
        case deliver(Waiter, completes: Bool)
        /// Its waiter gave up.
        case swallow
        /// Nothing was asked: the peer is out of step, close.
        case unexpected
    }

    private struct Entry {
        let id: UInt64
        let commands: Int
        let bytes: Int
        let deadline: ContinuousClock.Instant
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

    init(limits: RedisConnection.Limits) {
        self.limits = limits
    }

    /// How many pipelines wait or are on the wire, orphans included.
    var count: Int { onWire.count + waiting.count }

    /// Takes a pipeline in. Returns why not, otherwise.
    mutating func add(
        id: UInt64, commands: Int, bytes: Int, deadline: ContinuousClock.Instant, now: ContinuousClock.Instant,
        waiter: Waiter
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
    mutating func expire(at now: ContinuousClock.Instant) -> (expired: [Waiter], headIsOverdue: Bool) {
        var expired: [Waiter] = []
        for index in onWire.indices where onWire[index].deadline <= now {
            if let waiter = onWire[index].waiter { expired.append(waiter) }
            onWire[index].waiter = nil
        }
        for entry in waiting where entry.deadline <= now {
            if let waiter = entry.waiter { expired.append(waiter) }
            bytesWaiting -= entry.bytes
        }
        waiting.removeAll { $0.deadline <= now }
        let overdue = onWire.first.map { $0.deadline + limits.headGrace <= now } ?? false
        return (expired, overdue)
    }

    /// When `expire` has something to do again.
    var nextEvent: ContinuousClock.Instant? {
        var next = onWire.first.map { $0.deadline + limits.headGrace }
        for entry in onWire where entry.waiter != nil { next = min(next ?? entry.deadline, entry.deadline) }
        for entry in waiting { next = min(next ?? entry.deadline, entry.deadline) }
        return next
    }

    /// The connection ended: everyone who still waits.
    mutating func removeAll() -> [Waiter] {
        let waiters = onWire.compactMap(\.waiter) + waiting.compactMap(\.waiter)
        onWire.removeAll()
        waiting.removeAll()
        (commandsOnWire, bytesOnWire, bytesWaiting) = (0, 0, 0)
        return waiters
    }
}
