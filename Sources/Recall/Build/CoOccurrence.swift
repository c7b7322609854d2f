import FeatureModel

/// Finds which items the same users met within a session.
///
/// A user counts once for a pair of items: `2^(−age / half_life)` of the latest time that the two met within `session` (the
/// later event's age). An item's own count is the same sum over its users, of the latest time each met it. Two items are as
/// near as the cosine with a shrunk denominator, `meetings / (√(count · count) + shrink)`: ItemKNN as Ferrari Dacrema,
/// Cremonesi and Jannach describe it in "Are We Really Making Much Progress?" (RecSys 2019), after Sarwar et al. (WWW 2001).
///
/// Takes one item after the other, with one number for each item beside the log: no table of pairs is ever held.
struct CoOccurrence {
    let log: MeetingLog
    let itemCount: Int
    let newest: Int64
    let list: RecallListConfig
    /// The order of ids: among equal scores the lower comes first.
    let rank: [UInt32]

    /// The neighbours of each item, and how many meetings were out of reach.
    ///
    /// - Throws: `tooLarge` when there would be more than `maximumEntries` of them; `CancellationError`.
    func neighbours(
        maximumEntries: Int, progress: (_ done: Int, _ of: Int) -> Void
    ) throws -> (rows: ScoredRows, pairsLeftOut: Int64) {
        let (starts, places) = log.index(itemCount: itemCount)
        // Roots first: the product of two counts that have decayed for long may be 0 where they aren't.
        let roots = itemCounts(starts, places).map { $0.squareRoot() }
        var number = [UInt32](repeating: 0, count: rank.count)
        for (item, place) in rank.enumerated() { number[Int(place)] = UInt32(clamping: item) }
        var gather = Gather(itemCount: itemCount)
        var result = ScoredRows()
        result.rows.reserveCapacity(itemCount)
        var entries = 0
        for item in 0..<itemCount {
            if item % 512 == 0 {
                try Task.checkCancellation()
                progress(item, itemCount)
            }
            collect(places[starts[item]..<starts[item + 1]], of: UInt32(clamping: item), into: &gather)
            var best = TopScores(limit: list.size)
            gather.take { other, sum in
                let score = sum / (roots[item] * roots[Int(other)] + list.shrink)
                best.offer(rank[Int(other)], Float(score))
            }
            let row = best.sorted().map { (number: number[Int($0.item)], score: $0.score) }
            entries += row.count
            guard entries <= maximumEntries else {
                throw RecallError(
                    .tooLarge, "the items have too many neighbours",
                    detail: "list \(list.name): more than \(maximumEntries) fit into recall.max_bytes; lower size")
            }
            result.rows.append(row)
        }
        return (result, gather.leftOut)
    }

    private func decay(_ time: Int64) -> Double {
        RankedScores.decay(age: newest - time, halfLife: list.halfLife)
    }

    /// Each item's own count.
    private func itemCounts(_ starts: [Int], _ places: [UInt32]) -> [Double] {
        (0..<itemCount).map { item in
            var sum = 0.0
            for index in starts[item]..<starts[item + 1] {
                let meeting = log.meetings[Int(places[index])]
                let isLast =
                    index + 1 == starts[item + 1] || log.meetings[Int(places[index + 1])].user != meeting.user
                if isLast { sum += decay(meeting.time) }
            }
            return sum
        }
    }

    /// Adds up what an item was met with. A user's events of the item come one behind the other, in time.
    private func collect(_ places: ArraySlice<UInt32>, of item: UInt32, into gather: inout Gather) {
        var user: UInt32?
        for place in places {
            let meeting = log.meetings[Int(place)]
            if meeting.user != user {
                gather.endUser()
                user = meeting.user
            }
            look(from: Int(place), by: -1, of: item, into: &gather)
            look(from: Int(place), by: 1, of: item, into: &gather)
        }
        gather.endUser()
    }

    private func look(from place: Int, by step: Int, of item: UInt32, into gather: inout Gather) {
        let session = list.session.wholeMicroseconds
        let meeting = log.meetings[place]
        var other = place + step
        var looked = 0
        while log.meetings.indices.contains(other), log.meetings[other].user == meeting.user,
            abs(log.meetings[other].time - meeting.time) <= session
        {
            guard looked < MeetingLog.reach else {
                gather.leftOut += 1
                return
            }
            looked += 1
            if log.meetings[other].item != item {
                gather.add(log.meetings[other].item, decay(max(log.meetings[other].time, meeting.time)))
            }
            other += step
        }
    }

    /// Sums by item, where a user counts once.
    private struct Gather {
        private var ofUser: [Double]
        private var sums: [Double]
        private var touchedByUser: [UInt32] = []
        private var touched: [UInt32] = []
        var leftOut: Int64 = 0

        init(itemCount: Int) {
            ofUser = [Double](repeating: 0, count: itemCount)
            sums = ofUser
        }

        mutating func add(_ item: UInt32, _ value: Double) {
            if ofUser[Int(item)] == 0 { touchedByUser.append(item) }
            // A decay may underflow to 0: then it counts for nothing, and is no neighbour.
            ofUser[Int(item)] = max(ofUser[Int(item)], value)
        }

        mutating func endUser() {
            for item in touchedByUser {
                if sums[Int(item)] == 0, ofUser[Int(item)] > 0 { touched.append(item) }
                sums[Int(item)] += ofUser[Int(item)]
                ofUser[Int(item)] = 0
            }
            touchedByUser.removeAll(keepingCapacity: true)
        }

        mutating func take(_ body: (UInt32, Double) -> Void) {
            for item in touched {
                body(item, sums[Int(item)])
                sums[Int(item)] = 0
            }
            touched.removeAll(keepingCapacity: true)
        }
    }
}
