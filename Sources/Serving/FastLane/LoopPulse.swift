package import NIOCore

/// Knows whether an event loop keeps up, by a beat that it should feel every ten milliseconds. Reads no clock, does no I/O.
///
/// A loop that was away, because its process was stopped or got no processor, finds requests that have lain unread. When they came
/// the kernel is asked then; where it doesn't tell, they came, on average, in the middle of the absence.
package struct LoopPulse {
    /// How often the loop should feel it.
    package static let beat = TimeAmount.milliseconds(10)

    private struct Absence {
        let from: NIODeadline
        let to: NIODeadline

        var middle: NIODeadline { from + .nanoseconds((to - from).nanoseconds / 2) }
    }

    private var lastBeat: NIODeadline
    private var behindUntil: NIODeadline
    /// The latest, until a beat comes in time again: by then all that lay unread is read.
    private var absence: Absence?

    package init(at now: NIODeadline) {
        lastBeat = now
        behindUntil = now
    }

    /// The loop feels it. `slack` is how late a beat may be, `timeout` how long requests may take.
    package mutating func feel(at now: NIODeadline, slack: TimeAmount, timeout: TimeAmount) {
        if now - lastBeat > Self.beat + slack { behindUntil = now + timeout } else { absence = nil }
        if absence == nil { absence = since(now, timeout) }
        lastBeat = now
    }

    /// The first request of a turn of the loop was read.
    package mutating func turn(at now: NIODeadline, timeout: TimeAmount) {
        if let found = since(now, timeout), absence.map({ $0.to <= found.from }) ?? true { absence = found }
    }

    /// For half of the time that requests may take, or longer: the kernel isn't asked for less.
    private func since(_ now: NIODeadline, _ timeout: TimeAmount) -> Absence? {
        (now - lastBeat) * 2 > max(timeout, Self.beat * 4) ? Absence(from: lastBeat, to: now) : nil
    }

    /// Whether the loop has been behind itself while a request of now was under way: an answer of the store may have lain there
    /// unread then.
    package func isBehind(at now: NIODeadline, slack: TimeAmount) -> Bool {
        now < behindUntil || now - lastBeat > Self.beat + slack
    }

    /// When a request came, for all that is known, whose first byte was read at `first` from a connection that had nothing under way
    /// since `quietSince`. `receipt` says when the kernel received something on it last.
    package func arrival(
        of first: NIODeadline, quietSince: NIODeadline, receipt: () -> NIODeadline?
    ) -> NIODeadline {
        guard let absence, quietSince < absence.to else { return first }
        return min(first, max(absence.from, receipt() ?? absence.middle))
    }
}
