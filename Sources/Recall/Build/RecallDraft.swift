import FeatureModel

/// A list while it is built.
struct RecallDraft {
    let list: RecallListConfig
    let itemType: EntityKeyType
    /// When the newest event happened; microseconds since 1970.
    var newest: Int64
    let until: Int64?
    var maximumBytes = Int.max
    var rowEstimate: Int64?
    var progress: @Sendable (RecallProgress) -> Void = { _ in }
    var counts = RecallCounts()
    var artifact: RecallArtifact

    init(list: RecallListConfig, itemType: EntityKeyType, newest: Int64, until: Int64?) {
        self.list = list
        self.itemType = itemType
        self.newest = newest
        self.until = until
        artifact = RecallArtifact(kind: list.kind, ids: ItemIDs([], itemType))
    }

    func manifest(
        version: UInt64, builtAt: Int64, seconds: Double, bytes: Int64, sha256: String
    ) -> RecallManifest {
        var counts = counts
        counts.items = artifact.ids.count
        counts.segments = artifact.segments.count
        counts.entries = artifact.items.count
        return RecallManifest(
            list: list.name, kind: list.kind, version: version, builtAt: builtAt, newestEvent: newest, until: until,
            seconds: seconds, counts: counts, bytes: bytes, sha256: sha256)
    }

    /// Whether an event counts: events that came while the query was read are for the next build.
    private func isInside(_ time: Int64) -> Bool {
        guard time <= newest else { return false }
        guard let window = list.window else { return true }
        return newest - time < window.wholeMicroseconds
    }

    private func report(_ stage: RecallProgress.Stage, _ done: Int64, of total: Int64?) {
        progress(RecallProgress(list: list.name, stage: stage, done: done, total: total))
    }

    private func number(_ item: EntityKeyValue, _ numbers: inout IDNumbers) throws(RecallError) -> UInt32 {
        let isCompared = list.kind == .vectors && list.vectors.maximumItems < list.limits.items
        let limit = isCompared ? list.vectors.maximumItems : list.limits.items
        if let number = numbers.number(item, limit: limit) { return number }
        // Said before the hours of comparing all with all, not after them.
        throw RecallError(
            .tooLarge, "there are too many items",
            detail: "list \(list.name): more than \(isCompared ? "vectors.max_items" : "limits.items") = \(limit)")
    }

    /// Reads all events into `body`, those that count.
    private mutating func read(
        _ scan: EventScan, _ wanted: EventScan.Wanted, _ body: (RecallEvent) throws -> Void
    ) async throws {
        var counts = counts
        var events: Int64 = 0
        let draft = self
        try await scan.read(
            wanted, into: &counts, progress: { draft.report(.reading, $0, of: draft.rowEstimate) },
            { page in
                try Task.checkCancellation()
                for event in page where draft.list.time == nil || draft.isInside(event.time) {
                    events += 1
                    try body(event)
                }
            })
        counts.events = events
        self.counts = counts
    }

    // MARK: Ranked lists

    mutating func rank(_ scan: EventScan) async throws {
        var numbers = IDNumbers(keepsIDs: true)
        var ranked = RankedCounts(list.kind == .newest ? .least : .sum, limits: list.limits)
        let draft = self
        try await read(scan, EventScan.Wanted(weight: true, segment: true)) { event in
            let number = try draft.number(event.item, &numbers)
            try ranked.add(number, segment: event.segment, draft.value(of: event))
        }
        report(.computing, 0, of: nil)
        let (rows, left) = ranked.rows(size: list.size, rank: numbers.ascending().rank) { value, total in
            draft.score(value, total)
        }
        counts.segmentsLeftOut = left
        artifact = RecallArtifact(best: rows, kind: list.kind, numbers, itemType)
    }

    private func value(of event: RecallEvent) -> RankedCounts.Value {
        switch list.kind {
        case .trending:
            let isLate = newest - event.time < list.short.wholeMicroseconds
            return RankedCounts.Value(isLate ? event.weight : 0, isLate ? 0 : event.weight)
        // The age counts down from the newest, so that the least is what came first.
        case .newest: return RankedCounts.Value(Double(event.time - newest), 0)
        case .popularity, .coOccurrence, .vectors:
            let decay = RankedScores.decay(age: newest - event.time, halfLife: list.halfLife)
            return RankedCounts.Value(event.weight * decay, 0)
        }
    }

    private func score(_ value: RankedCounts.Value, _ total: RankedCounts.Value) -> Double? {
        switch list.kind {
        case .trending:
            return RankedScores.trend(
                lately: value.x, before: value.y, totalLately: total.x, totalBefore: total.y)
        case .newest:
            guard value.x.isFinite else { return nil }
            return RankedScores.decay(age: Int64(-value.x), halfLife: list.halfLife ?? .seconds(7 * 86_400))
        case .popularity, .coOccurrence, .vectors: return value.x > 0 ? value.x : nil
        }
    }

    // MARK: Neighbours

    /// The log of who met what.
    private mutating func meetings(_ scan: EventScan, _ numbers: inout IDNumbers) async throws -> MeetingLog {
        var users = IDNumbers(keepsIDs: false)
        var items = numbers
        var log = MeetingLog(limits: list.limits)
        let draft = self
        try await read(scan, EventScan.Wanted(user: true)) { event in
            guard let user = event.user, let number = users.number(user, limit: Int(UInt32.max)) else { return }
            let item = try draft.number(event.item, &items)
            log.add(MeetingLog.Meeting(user: number, item: item, time: event.time))
        }
        log.finish()
        counts.users = users.count
        counts.eventsLeftOut = log.eventsLeftOut
        counts.historyLeftOut = log.historyLeftOut
        counts.events -= log.eventsLeftOut + log.historyLeftOut
        numbers = items
        return log
    }

    mutating func findMeetings(_ scan: EventScan) async throws {
        var numbers = IDNumbers(keepsIDs: true)
        let log = try await meetings(scan, &numbers)
        let meeting = CoOccurrence(
            log: log, itemCount: numbers.count, newest: newest, list: list, rank: numbers.ascending().rank)
        let draft = self
        let (rows, left) = try meeting.neighbours(maximumEntries: maximumBytes / 8) { done, total in
            draft.report(.computing, Int64(done), of: Int64(total))
        }
        counts.pairsLeftOut = left
        artifact = RecallArtifact(neighbours: rows, kind: list.kind, numbers, itemType)
    }

    /// Neighbours by vectors: those of a column, or factorized ones.
    mutating func findVectors(_ scan: EventScan) async throws {
        var numbers = IDNumbers(keepsIDs: true)
        let vectors =
            list.vectors.column == nil
            ? try await factorized(scan, &numbers) : try await given(scan, &numbers)
        let rank = numbers.ascending().rank
        var rows = ScoredRows()
        var entries = 0
        let draft = self
        try NearestItems(vectors, dimension: list.vectors.dimension).each(limit: list.size, rank: rank) {
            item, nearest in
            entries += nearest.count
            guard entries <= draft.maximumBytes / 8 else {
                throw RecallError(
                    .tooLarge, "the items have too many neighbours",
                    detail: "list \(draft.list.name): more than fit into recall.max_bytes; lower size")
            }
            rows.rows.append(nearest.map { (number: $0.item, score: $0.score) })
            if item % 1_024 == 0 { draft.report(.computing, Int64(item), of: Int64(numbers.count)) }
        }
        artifact = RecallArtifact(neighbours: rows, kind: list.kind, numbers, itemType)
    }

    private mutating func factorized(_ scan: EventScan, _ numbers: inout IDNumbers) async throws -> [Float] {
        let log = try await meetings(scan, &numbers)
        let (newest, halfLife) = (newest, list.halfLife)
        let users = SparseRows(log) { RankedScores.decay(age: newest - $0, halfLife: halfLife) }
        let draft = self
        return try Factorization(list.vectors).itemVectors(users, itemCount: numbers.count) { done, total in
            draft.progress(
                RecallProgress(
                    list: draft.list.name, stage: .factorizing, done: Int64(done), total: Int64(total)))
        }
    }

    /// The vectors of the query's column; the last row of an item counts.
    private mutating func given(_ scan: EventScan, _ numbers: inout IDNumbers) async throws -> [Float] {
        var items = numbers
        var vectors: [Float] = []
        let draft = self
        let dimension = list.vectors.dimension
        try await read(scan, EventScan.Wanted(vector: true)) { event in
            let number = Int(try draft.number(event.item, &items))
            if number * dimension == vectors.count {
                vectors += event.vector
            } else {
                vectors.replaceSubrange(number * dimension..<(number + 1) * dimension, with: event.vector)
            }
        }
        numbers = items
        return vectors
    }
}
