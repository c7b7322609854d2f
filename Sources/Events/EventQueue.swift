/// Events that wait for their sink, in order: at most so many, and at most so many bytes. Reads no clock, does no I/O; the owner
/// keeps it in a `Mutex`.
///
/// One batch at a time is out: by `take`, until `written` or `giveBack`. Its events still count against `offer`, which promised
/// not to lose them; `append` may come to drop them once they are given back, since they are the oldest.
struct EventQueue: ~Copyable {
    /// The most events that wait.
    let limit: Int
    /// The most bytes that wait.
    let byteLimit: Int
    /// Empty places in front of the oldest, then what waits.
    private var waiting: [QueuedEvent?] = []
    /// Where in `waiting` the oldest is.
    private var first = 0
    private var bytesWaiting = 0
    private var out = 0
    private var bytesOut = 0

    init(limit: Int, bytes: Int) {
        self.limit = max(1, limit)
        byteLimit = max(1, bytes)
    }

    /// How many wait, those that are out apart.
    var count: Int { waiting.count - first }

    /// How many are not written yet.
    var unwritten: Int { count + out }

    /// Adds an event at the end, and drops the oldest to make room. Returns how many were dropped: the event itself is one of them
    /// where it alone is too large.
    mutating func append(_ event: QueuedEvent) -> Int {
        guard event.size <= byteLimit else { return 1 }
        push(event)
        return dropOldest()
    }

    /// Adds events at the end, all or none; `false` where there is no room.
    mutating func offer(_ events: [QueuedEvent]) -> Bool {
        let size = events.reduce(0) { $0 + $1.size }
        guard unwritten + events.count <= limit, bytesWaiting + bytesOut + size <= byteLimit else { return false }
        for event in events { push(event) }
        return true
    }

    /// Takes the oldest out: at most `limit`, and of about `bytes` bytes or one. None must be out.
    mutating func take(_ limit: Int, bytes: Int) -> [QueuedEvent] {
        assert(out == 0, "one batch at a time")
        var batch: [QueuedEvent] = []
        while batch.count < max(1, limit), first < waiting.count, let next = waiting[first],
            batch.isEmpty || bytesOut + next.size <= bytes
        {
            batch.append(next)
            bytesOut += next.size
            removeFirst()
        }
        out = batch.count
        compact()
        return batch
    }

    /// The batch that was out has reached its sink.
    mutating func written() {
        (out, bytesOut) = (0, 0)
    }

    /// These of the batch that was out have not reached their sink, and are the oldest again. Returns how many were dropped, because
    /// their room was taken meanwhile.
    mutating func giveBack(_ batch: [QueuedEvent]) -> Int {
        assert(batch.count <= out, "only what is out comes back")
        (out, bytesOut) = (0, 0)
        waiting.replaceSubrange(..<first, with: batch)
        first = 0
        bytesWaiting += batch.reduce(0) { $0 + $1.size }
        return dropOldest()
    }

    private mutating func push(_ event: QueuedEvent) {
        waiting.append(event)
        bytesWaiting += event.size
    }

    private mutating func dropOldest() -> Int {
        var dropped = 0
        while count > limit || bytesWaiting > byteLimit {
            removeFirst()
            dropped += 1
        }
        compact()
        return dropped
    }

    private mutating func removeFirst() {
        bytesWaiting -= waiting[first]?.size ?? 0
        waiting[first] = nil
        first += 1
    }

    /// Gives the room in front back, once it is the larger part.
    private mutating func compact() {
        guard first > 0, first * 2 >= waiting.count else { return }
        waiting.removeFirst(first)
        first = 0
    }
}
