import NIOCore
import RedisClient
import Resilience

/// How lookups get room.
///
/// A lookup that finds room begins at once. One that finds none, or comes late in a long turn of the loop, waits in line: for
/// a share of its time, since a short wait is cheaper for everyone than a refusal and another try. Those in line begin when
/// others end, so many at a time that the loop gets back to its sockets soon: an answer of the store that lies unread makes
/// everyone late.
///
/// While there is as much to do as the loop may have under way, connections that ask for lookups aren't read: with a thousand
/// of them ready at once a turn would be longer than a lookup may take, and reading a request only to refuse it takes half
/// the work of answering. They are read in the order in which they were left. How long one was left counts as its
/// request's wait; those that waited too long are refused, so that the others are answered in time.
extension LoopRoom {
    /// How soon the line moves on after the loop looked at its sockets, or when there was no room.
    private static let pause = TimeAmount.microseconds(100)
    private static let roomlessPause = TimeAmount.microseconds(500)
    /// The least that a loop may have under way before it leaves connections unread.
    private static let leastShare = 16

    // MARK: Lookups

    /// Since when a lookup that was just read has waited, for all that is known: a loop reads in one turn all that has come, so
    /// what is read late in a long turn has waited since its beginning.
    func beginning(of now: NIODeadline, _ waitedSince: NIODeadline?) -> NIODeadline {
        if turnBegan == nil {
            turnBegan = now
            // Runs when all that was ready is read.
            eventLoop.assumeIsolated().execute { self.turnBegan = nil }
        }
        return min(waitedSince ?? now, turnBegan ?? now)
    }

    /// Room for a lookup that was just read; `nil` when it has to wait.
    func permit(at now: NIODeadline) -> ConcurrencyLimiter.Permit? {
        guard line.isEmpty else { return nil }
        guard now - (turnBegan ?? now) <= settings.shortTurn else {
            // Those that began go on while the rest is read.
            lane?.flush()
            return nil
        }
        return serving.admission.permit(at: now)
    }

    /// Lets a lookup wait. `nil` when there is no place.
    func wait(_ call: LookupCall, bytes: Int, until: NIODeadline) -> UInt64? {
        let ticket = line.join(call, bytes: bytes, until: until)
        moveOn(in: Self.pause)
        return ticket
    }

    /// A lookup in line was given up by its client.
    func leave(_ ticket: UInt64) { line.leave(ticket) }

    /// A lookup ended, so there may be room.
    func ended() {
        active -= 1
        guard !line.isEmpty || !held.isEmpty, !movesAtTurnEnd else { return }
        movesAtTurnEnd = true
        // With the others that end in this turn.
        eventLoop.assumeIsolated().execute {
            self.movesAtTurnEnd = false
            self.moveOn()
        }
    }

    // MARK: Connections

    /// Whether a connection is to be left unread for now; then its `release` will be called.
    func hold(_ handler: FastLaneHandler) -> Bool {
        guard active >= share || !held.isEmpty else { return false }
        held.append(handler)
        moveOn(in: Self.roomlessPause)
        return true
    }

    private var share: Int { max(Self.leastShare, serving.admission.loopShare) }

    // MARK: Moving on

    private func moveOn(in pause: TimeAmount) {
        guard !movesLater else { return }
        movesLater = true
        // Not at once: tasks that are ready run before the loop looks at its sockets again.
        eventLoop.assumeIsolated().scheduleTask(in: pause) { () -> Void in
            self.movesLater = false
            self.moveOn()
        }
    }

    private func moveOn() {
        let began = NIODeadline.now()
        for call in line.takeExpired(at: began) { call.refuse(waited: true) }
        if let pause = startWaiting(began) { moveOn(in: pause) }
        release()
        // Some of them may have nothing to say.
        if !held.isEmpty { moveOn(in: Self.roomlessPause) }
    }

    /// Has as many connections read as there is room for.
    private func release() {
        let count = min(share - active, held.count)
        guard count > 0 else { return }
        let batch = nextBatch
        nextBatch += 1
        for _ in 0..<count { held.popFirst()?.release(batch: batch) }
        // Runs when the loop has looked at their sockets.
        eventLoop.assumeIsolated().scheduleTask(in: Self.pause) { () -> Void in self.latestBatch = batch + 1 }
    }

    /// Begins lookups in line until it is empty; otherwise when to go on.
    private func startWaiting(_ began: NIODeadline) -> TimeAmount? {
        var now = began
        while !line.isEmpty {
            guard now - began <= settings.shortTurn else { return Self.pause }
            guard let permit = serving.admission.permit(at: now) else { return Self.roomlessPause }
            line.takeFirst()?.start(permit)
            now = .now()
        }
        return nil
    }
}
