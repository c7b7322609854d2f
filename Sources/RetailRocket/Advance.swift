/// What letting a shop's time pass has changed.
package struct Advance: Hashable, Sendable {
    /// How far to go.
    package enum Amount: Hashable, Sendable {
        /// As many new events; time passes at the shop's pace. At most `eventLimit`.
        case events(Int)
        /// As much simulated time, in whole slots of ten minutes; events come at the shop's pace.
        case duration(Duration)
    }

    /// Changed rows: how many, and the first of their keys.
    package struct Changes: Hashable, Sendable {
        /// How many rows.
        package let count: Int
        /// Ascending, at most `idLimit`.
        package let ids: [Int64]

        init(count: Int, ids: [Int64]) {
            self.count = count
            self.ids = Array(ids.prefix(Advance.idLimit))
        }

        init(_ ids: some Sequence<Int64>) {
            let sorted = Set(ids).sorted()
            self.init(count: sorted.count, ids: sorted)
        }
    }

    /// Events of one advance, at most: all of it is one transaction.
    package static let eventLimit = 5_000_000
    /// Keys that are listed of each kind of change.
    package static let idLimit = 100

    /// The simulated clock before, in milliseconds since 1970: all that changed has an `updated_at` behind it, and not
    /// behind `now`.
    package let from: Int64
    /// The simulated clock afterwards.
    package let now: Int64
    /// New rows in `events`; of `forgotten` users, some may be gone again.
    package let events: Int
    /// New events `view`.
    package let views: Int
    /// New events `addtocart`.
    package let carts: Int
    /// New events `transaction`.
    package let orders: Int
    /// New rows in `item_properties`.
    package let itemProperties: Int
    /// Rows of `user_activity` written.
    package let users: Changes
    /// Users that asked to be forgotten: their events and their row in `user_activity` are gone for good.
    package let forgotten: Changes
    /// Rows of `events` deleted with them.
    package let forgottenEvents: Int
    /// Rows of `items` written.
    package let items: Changes
    /// New in `items`.
    package let arrived: Changes
    /// Now `is_deleted` in `items`, and without a row in `item_stats`.
    package let cancelled: Changes
    /// Back from being cancelled.
    package let restored: Changes
    /// Rows of `item_stats` written.
    package let itemStats: Changes
    /// Rows of `item_stats` deleted.
    package let itemStatsRemoved: Int
}
