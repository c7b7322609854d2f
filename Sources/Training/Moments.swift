/// A past moment at which something could have been recommended: what the user had met by then, and what came next.
struct Moment: Sendable {
    /// In microseconds since 1970. Nothing that happened at it or later was known.
    let time: Int64
    let user: UInt32
    /// The user's newest distinct items before it that could be read online by then, the newest first.
    let recent: [UInt32]
    /// What the user met from it on within the horizon, with the highest grade; not what the user had met shortly before.
    let relevant: [UInt32: Float]
}

/// Picks moments: the times of events, at which by definition somebody was there.
struct MomentPicker {
    let log: EventLog
    let recent: Int
    /// Microseconds.
    let horizon: Int64
    /// How much later an event could be read online, in microseconds.
    let delay: Int64
    let seed: UInt64

    /// The most events of a user that are looked at on either side of a moment: some users are machines.
    private static let reach = 1_000

    /// At most `limit` moments of a range of times, spread evenly, by time.
    func pick(in range: Range<Int64>, limit: Int) -> [Moment] {
        var count = 0
        visit(range) { _, _ in count += 1 }
        guard count > 0 else { return [] }
        let share = min(1, Double(limit) / Double(count))
        var moments: [Moment] = []
        visit(range) { index, known in
            guard moments.count < limit, share >= 1 || Self.fraction(UInt64(index), seed) < share else { return }
            let event = log.events[index]
            moments.append(
                Moment(
                    time: event.time, user: event.user, recent: delay > 0 ? readable(index) : known,
                    relevant: relevant(index, known)))
        }
        return moments
    }

    /// Calls with each event that makes a moment, and with the user's newest items before it.
    private func visit(_ range: Range<Int64>, _ body: (Int, [UInt32]) -> Void) {
        var known = [[UInt32]](repeating: [], count: log.users.count)
        var seenAt = [Int64](repeating: .min, count: log.users.count)
        for (index, event) in log.events.enumerated() where event.time < range.upperBound {
            let user = Int(event.user)
            // A second event of the same time knows of the first, which is not older than it: no moment.
            if range.contains(event.time), seenAt[user] < event.time, !relevant(index, known[user]).isEmpty {
                body(index, known[user])
            }
            seenAt[user] = event.time
            if known[user].first == event.item { continue }
            known[user].removeAll { $0 == event.item }
            known[user].insert(event.item, at: 0)
            if known[user].count > recent { known[user].removeLast() }
        }
    }

    /// The newest distinct items that the user of an event had met more than the delay before it.
    private func readable(_ last: Int) -> [UInt32] {
        var found: [UInt32] = []
        let until = log.events[last].time - delay
        var index = Int(log.previous[last]) - 1
        var looked = 0
        while index >= 0, found.count < recent, looked < Self.reach {
            let event = log.events[index]
            if event.time < until, !found.contains(event.item) { found.append(event.item) }
            index = Int(log.previous[index]) - 1
            looked += 1
        }
        return found
    }

    private func relevant(_ first: Int, _ known: [UInt32]) -> [UInt32: Float] {
        var found: [UInt32: Float] = [:]
        var index = first
        var looked = 0
        let end = log.events[first].time + horizon
        repeat {
            let event = log.events[index]
            guard event.time <= end else { break }
            if event.grade > 0, !known.contains(event.item) {
                found[event.item] = max(found[event.item] ?? 0, event.grade)
            }
            index = Int(log.next[index])
            looked += 1
        } while index > 0 && looked < Self.reach
        return found
    }

    /// A number in 0..<1 that follows from both.
    static func fraction(_ number: UInt64, _ seed: UInt64) -> Double {
        var mixed = number &+ seed &* 0x9e37_79b9_7f4a_7c15 &+ 0x9e37_79b9_7f4a_7c15
        mixed = (mixed ^ mixed >> 30) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ mixed >> 27) &* 0x94d0_49bb_1331_11eb
        return Double((mixed ^ mixed >> 31) >> 11) / Double(1 << 53)
    }
}
