import FeatureModel

/// Which user met which item when: all events of a build at once, within limits.
struct MeetingLog {
    /// 16 bytes.
    struct Meeting: Equatable {
        var user: UInt32
        var item: UInt32
        /// Microseconds since 1970.
        var time: Int64
    }

    private let limits: RecallLimits
    private(set) var meetings: [Meeting] = []
    private(set) var eventsLeftOut: Int64 = 0
    private(set) var historyLeftOut: Int64 = 0

    /// An event counts together with at most so many before it, and so many behind it.
    static let reach = 100

    init(limits: RecallLimits) {
        self.limits = limits
    }

    mutating func add(_ meeting: Meeting) {
        meetings.append(meeting)
        // A quarter above the limit, so that the oldest are looked for seldom.
        if meetings.count > limits.events + max(limits.events / 4, 1_024) { dropOldest() }
    }

    /// Keeps the newest events within the limit. Among equal times those stay that came first.
    private mutating func dropOldest() {
        guard meetings.count > limits.events else { return }
        let times = meetings.map(\.time).sorted()
        let cut = times[times.count - limits.events]
        // Of those at the cut itself only so many fit.
        var room = limits.events - times.reversed().prefix { $0 > cut }.count
        let before = meetings.count
        meetings.removeAll { meeting in
            if meeting.time != cut { return meeting.time < cut }
            room -= 1
            return room < 0
        }
        eventsLeftOut += Int64(before - meetings.count)
    }

    /// Orders the events by user and time, and keeps the newest of each user's history.
    mutating func finish() {
        dropOldest()
        meetings.sort { left, right in
            left.user != right.user
                ? left.user < right.user : left.time != right.time ? left.time < right.time : left.item < right.item
        }
        var kept = 0
        var start = 0
        while start < meetings.count {
            var end = start
            while end < meetings.count, meetings[end].user == meetings[start].user { end += 1 }
            let first = max(start, end - limits.history)
            historyLeftOut += Int64(first - start)
            for index in first..<end {
                meetings[kept] = meetings[index]
                kept += 1
            }
            start = end
        }
        meetings.removeSubrange(kept...)
    }

    /// Where the events of each item lie, as starts and places; places of one item ascend, so a user's lie together.
    func index(itemCount: Int) -> (starts: [Int], places: [UInt32]) {
        var starts = [Int](repeating: 0, count: itemCount + 1)
        for meeting in meetings { starts[Int(meeting.item) + 1] += 1 }
        for item in 0..<itemCount { starts[item + 1] += starts[item] }
        var next = starts
        var places = [UInt32](repeating: 0, count: meetings.count)
        for (place, meeting) in meetings.enumerated() {
            places[next[Int(meeting.item)]] = UInt32(clamping: place)
            next[Int(meeting.item)] += 1
        }
        return (starts, places)
    }
}
