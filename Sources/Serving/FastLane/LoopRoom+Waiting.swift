import NIOCore
import Resilience

/// How lookups get room.
///
/// A lookup that finds room begins at once. One that finds none, or comes late in a long turn of the loop, waits in line: for
/// a share of its time, since a short wait is cheaper for everyone than a refusal and another try. Those in line begin when
/// others end, so many at a time that the loop gets back to its sockets soon: an answer of the store that lies unread makes
/// everyone late.
extension LoopRoom {
    /// How soon the line moves on after the loop looked at its sockets, or when there was no room.
    private static let pause = TimeAmount.microseconds(100)
    private static let roomlessPause = TimeAmount.microseconds(500)

    /// Room for a lookup that was just read; `nil` when it has to wait.
    func permit(at now: NIODeadline) -> ConcurrencyLimiter.Permit? {
        noteTurn(at: now)
        guard line.isEmpty, now - (turnBegan ?? now) <= settings.shortTurn else { return nil }
        return serving.admission.permit(at: now)
    }

    /// Lets a lookup wait, at most as long as it has patience since the loop's turn began. `nil` when there is no place.
    func wait(_ call: LookupCall, bytes: Int, patience: TimeAmount, at now: NIODeadline) -> UInt64? {
        let until = (turnBegan ?? now) + patience
        guard until > now else { return nil }
        let ticket = line.join(call, bytes: bytes, until: until)
        arm(in: Self.pause)
        return ticket
    }

    /// A lookup in line was given up by its client.
    func leave(_ ticket: UInt64) { line.leave(ticket) }

    /// A lookup ended, so there may be room.
    func roomCame() {
        guard !line.isEmpty, !isMoving else { return }
        isMoving = true
        // At the end of this turn, with the others that end in it.
        eventLoop.assumeIsolated().execute { self.moveOn() }
    }

    private func arm(in pause: TimeAmount) {
        guard !isMoving else { return }
        isMoving = true
        // Not at once: tasks that are ready run before the loop looks at its sockets again.
        eventLoop.assumeIsolated().scheduleTask(in: pause) { self.moveOn() }
    }

    private func moveOn() {
        isMoving = false
        let began = NIODeadline.now()
        var now = began
        for call in line.takeExpired(at: now) { call.refuse(waited: true) }
        while !line.isEmpty {
            guard now - began <= settings.shortTurn else { return arm(in: Self.pause) }
            guard let permit = serving.admission.permit(at: now) else { return arm(in: Self.roomlessPause) }
            line.takeFirst()?.start(permit)
            now = .now()
        }
    }

    /// Notes when the loop's turn began: with the first lookup read in it, and anew when all that was ready is read.
    private func noteTurn(at now: NIODeadline) {
        guard turnBegan == nil else { return }
        turnBegan = now
        eventLoop.assumeIsolated().execute { self.turnBegan = nil }
    }
}
