/// Where a row stands among all rows ever written for its entity: what "newer" means.
///
/// Rows compare by `epoch`, then by `eventTime` where both have one, then by `position`. A hard delete has no event time:
/// against it only the position counts, so that it beats what it deleted and loses to what came after. A repair (the
/// sweep, which has just read the source's truth) compares by `epoch` and `position` alone.
package struct RowOrder: Hashable, Sendable {
    /// How many times the source's history was found broken. A later epoch wins over everything before it.
    package var epoch: UInt16
    /// Microseconds since 1970 of the event the row tells of; `nil` where the view names no event time.
    package var eventTime: Int64?
    /// Up to where the source had committed when the row was read: the horizon of the snapshot.
    package var position: UInt64

    package init(epoch: UInt16, eventTime: Int64?, position: UInt64) {
        self.epoch = epoch
        self.eventTime = eventTime
        self.position = position
    }

    /// Whether this row is older than `other` in the order of normal writes.
    package func precedes(_ other: RowOrder) -> Bool {
        if epoch != other.epoch { return epoch < other.epoch }
        if let mine = eventTime, let theirs = other.eventTime, mine != theirs { return mine < theirs }
        return position < other.position
    }

    /// Whether this row is older than `other` in the order of repairs.
    package func precedesByPosition(_ other: RowOrder) -> Bool {
        epoch != other.epoch ? epoch < other.epoch : position < other.position
    }
}
