package import Extraction
import FeatureModel

/// Who met what, when, and how much that counts: all events, by time, 32 bytes each.
package struct EventLog: Sendable {
    /// One event. Times in microseconds since 1970.
    package struct Event: Sendable {
        package let time: Int64
        package let user: UInt32
        package let item: UInt32
        package let grade: Float
    }

    package private(set) var events: [Event] = []
    /// For each event the next one of its user; 0 for the last.
    package private(set) var next: [UInt32] = []
    /// For each event the one of its user before it, as its index and 1; 0 for the first.
    private(set) var previous: [UInt32] = []
    package var users = KeyIndex()
    package var items = KeyIndex()
    /// Rows that were no event: a key or a time was missing or of another type.
    package private(set) var skipped = 0

    /// Reads the events of a plan.
    package static func read(_ plan: TrainingPlan, from source: any QuerySource) async throws -> EventLog {
        let config = plan.config
        var columns = [
            QueryColumn(plan.user.keys[0].name, .value(plan.user.keys[0].type.featureType)),
            QueryColumn(plan.item.keys[0].name, .value(plan.item.keys[0].type.featureType)),
            QueryColumn(config.time.column, .time(config.time.unit)),
        ]
        if let grade = config.grade { columns.append(QueryColumn(grade, .value(.scalar(.float64)))) }
        let reader = try await source.open(SourceQuery(owner: "training", sql: config.query, columns: columns))
        var log = EventLog()
        do {
            var isLast = false
            while !isLast {
                let page = try await reader.next(limit: 20_000)
                try log.append(page, plan)
                isLast = page.isLast
            }
        } catch {
            await reader.close()
            throw error
        }
        await reader.close()
        log.finish()
        return log
    }

    private mutating func append(_ page: QueryPage, _ plan: TrainingPlan) throws(TrainingError) {
        skipped += page.faultCount
        for index in 0..<page.rowCount {
            let row = page.row(index)
            let start = row.startIndex
            guard let user = row[start].key, let item = row[start + 1].key,
                case .timestamp(let time) = row[start + 2]
            else {
                skipped += 1
                continue
            }
            if let until = plan.until, time >= until { continue }
            guard events.count < plan.config.maximumEvents else {
                throw TrainingError(
                    .tooMany,
                    "there are more than \(plan.config.maximumEvents) events: select fewer, or raise max_events")
            }
            var grade: Float = 1
            if plan.config.grade != nil, case .float64(let number) = row[start + 3] {
                grade = Float(min(31, max(0, number)))
            }
            events.append(Event(time: time, user: users.insert(user), item: items.insert(item), grade: grade))
        }
    }

    private mutating func finish() {
        // Events of one time keep the source's order.
        let order = events.indices.sorted { (events[$0].time, $0) < (events[$1].time, $1) }
        events = order.map { events[$0] }
        next = Array(repeating: 0, count: events.count)
        previous = next
        var following = [UInt32](repeating: 0, count: users.count)
        for index in events.indices.reversed() {
            let user = Int(events[index].user)
            next[index] = following[user]
            if following[user] > 0 { previous[Int(following[user])] = UInt32(index + 1) }
            following[user] = UInt32(index)
        }
    }

    /// The time behind that share of the events, and before the rest.
    package func time(atShare share: Double) -> Int64 {
        guard let last = events.last else { return 0 }
        let index = Int(Double(events.count) * share)
        return index < events.count ? events[index].time : last.time + 1
    }
}
