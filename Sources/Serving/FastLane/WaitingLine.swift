package import NIOCore

/// The lookups of one event loop that wait for room, in the order in which they came. Reads no clock, does no I/O.
package struct WaitingLine<Waiter>: ~Copyable {
    /// How much may wait.
    package struct Limits {
        package var count = 4_096
        /// Of their bodies.
        package var bytes = 32 << 20

        package init() {}
    }

    private struct Place {
        let ticket: UInt64
        let waiter: Waiter
        let bytes: Int
        let until: NIODeadline
    }

    private let limits: Limits
    private var places = CircularBuffer<Place>()
    private var bytes = 0
    private var lastTicket: UInt64 = 0
    /// Nobody's patience ends before it.
    private var earliest: NIODeadline?

    package init(limits: Limits = Limits()) {
        self.limits = limits
    }

    /// Whether nobody waits.
    package var isEmpty: Bool { places.isEmpty }
    /// How many wait.
    package var count: Int { places.count }

    /// Joins the end of the line until an instant. Returns a ticket for `leave`; `nil` when the line is full.
    package mutating func join(_ waiter: Waiter, bytes: Int, until: NIODeadline) -> UInt64? {
        guard places.count < limits.count, bytes <= limits.bytes - self.bytes else { return nil }
        lastTicket += 1
        places.append(Place(ticket: lastTicket, waiter: waiter, bytes: bytes, until: until))
        self.bytes += bytes
        earliest = min(earliest ?? until, until)
        return lastTicket
    }

    /// Leaves the line. No harm if it is out already.
    package mutating func leave(_ ticket: UInt64) {
        guard let index = places.firstIndex(where: { $0.ticket == ticket }) else { return }
        bytes -= places.remove(at: index).bytes
    }

    /// Whose turn it is.
    package mutating func takeFirst() -> Waiter? {
        guard let place = places.popFirst() else { return nil }
        bytes -= place.bytes
        return place.waiter
    }

    /// Those whose patience is over.
    package mutating func takeExpired(at now: NIODeadline) -> [Waiter] {
        guard let earliest, earliest <= now else { return [] }
        var expired: [Waiter] = []
        self.earliest = nil
        for place in places {
            if place.until <= now {
                expired.append(place.waiter)
                bytes -= place.bytes
            } else {
                self.earliest = min(self.earliest ?? place.until, place.until)
            }
        }
        if !expired.isEmpty { places.removeAll { $0.until <= now } }
        return expired
    }
}
