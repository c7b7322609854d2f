import Extraction
import FeatureModel
import OnlineStore
import RowCodec

/// The sweep: walks the source by entity and rewrites what the store has as `repair` would, which renews expiries and mends
/// what is missing or different; then looks for rows whose source is gone.
extension ViewPass {
    func sweepIfDue(until deadline: ContinuousClock.Instant?) async throws {
        if state.sweep == nil {
            guard isSweepDue else { return }
            state.sweep = MarkerState.Sweep(
                startedAt: context.time.wall(), startPosition: try await sweepStartPosition())
        }
        if state.sweep?.orphanScan == nil { try await walk(until: deadline) }
        if state.sweep?.orphanScan != nil { try await findOrphans(until: deadline) }
    }

    private var isSweepDue: Bool {
        if state.sweepNow { return true }
        guard let last = state.lastSweepAt else { return false }
        return context.time.wall() - last >= view.sweep.wholeMicroseconds
    }

    private func sweepStartPosition() async throws -> UInt64 {
        try await reader.history().end ?? nextPosition()
    }

    private func walk(until deadline: ContinuousClock.Instant?) async throws {
        let estimate = state.rowCount
        var pace = SweepPace(rowsPerSecond: context.settings.sweepRowsPerSecond)
        var ended = false
        try await pump(.sweep, mode: .repair, estimate: estimate) { ahead in
            if ended { return nil }
            if let deadline, self.context.time.now() >= deadline { return nil }
            try await pace.wait(self.context.time)
            let after = ahead.sweep?.after.map { EntityKey(canonical: $0) }
            let page = try await self.reader.readRange(after: after, limit: self.context.settings.chunkRows)
            pace.walked(page.rows.keys.count)
            ended = page.next == nil
            if let next = page.next { ahead.sweep?.after = next.text } else { ahead.sweep?.orphanScan = "" }
            return (page.rows, page.rows.keys.count)
        }
    }

    private func findOrphans(until deadline: ContinuousClock.Instant?) async throws {
        guard let sweep = state.sweep, let from = sweep.orphanScan else { return }
        let finder = OrphanFinder(
            reader: reader, store: context.store, space: space, epoch: state.epoch,
            startPosition: sweep.startPosition)
        var cursor = ScanCursor(text: from)
        var pace = SweepPace(rowsPerSecond: context.settings.sweepRowsPerSecond)
        while true {
            try Task.checkCancellation()
            if let deadline, context.time.now() >= deadline { return }
            try await pace.wait(context.time)
            let ownPosition = nextPosition()
            let page = try await finder.page(from: cursor, limit: context.settings.chunkRows)
            pace.walked(page.scanned)
            if !page.orphans.isEmpty { try await bury(page.orphans, position: page.position ?? ownPosition) }
            guard let next = page.next else { break }
            cursor = next
            state.sweep?.orphanScan = next.text
            try await mark()
        }
        try await finishSweep()
    }

    private func bury(_ orphans: [EntityKey], position: UInt64) async throws {
        var chunk = RowChunk()
        chunk.removed = orphans.map { Removal(key: $0) }
        let encoded = encoder.encode(chunk, epoch: state.epoch, position: position, erased: [])
        let outcomes = try await session.write(encoded.rows, in: space, mode: .repair)
        let buried = Int64(outcomes.count { $0 == .replaced })
        ledger.note(.orphans)
        ledger.removed += buried
        state.sweep?.counts.orphaned += buried
    }

    private func finishSweep() async throws {
        guard let sweep = state.sweep else { return }
        let counts = sweep.counts
        try checkRowCount(counts)
        state.rowCount = counts.checked
        state.sweep = nil
        state.sweepNow = false
        state.lastSweepAt = sweep.startedAt
        try await mark()
        context.observer.observe(.sweepFinished(view: view.name, version: space.version, counts: counts))
    }

    private func checkRowCount(_ counts: SweepCounts) throws {
        guard let bound = view.contract.maximumRowCountChange, let before = state.rowCount, before > 0 else { return }
        let change = Double(abs(counts.checked - before)) / Double(before)
        guard change > bound else { return }
        let text = "the row count went from \(before) to \(counts.checked), more than max_row_count_change \(bound)"
        context.observer.observe(.breached(view: view.name, text: text))
    }
}

/// Keeps a walk to its rate.
struct SweepPace {
    private let rowsPerSecond: Int
    private var rows = 0
    private var start: ContinuousClock.Instant?

    init(rowsPerSecond: Int) {
        self.rowsPerSecond = max(1, rowsPerSecond)
    }

    mutating func walked(_ count: Int) {
        rows += count
    }

    /// Waits until the rows walked so far are within the rate.
    mutating func wait(_ time: SyncTime) async throws {
        let now = time.now()
        let begin = start ?? now
        start = begin
        let due = begin + .microseconds(Int64(rows) * 1_000_000 / Int64(rowsPerSecond))
        if due > now { try await time.sleep(due - now) }
    }
}

/// Adds the outcomes of a sweep's chunk to its counts.
enum SweepTally {
    static func adding(_ outcomes: [WriteOutcome], _ chunk: FlyingChunk, to counts: SweepCounts?) -> SweepCounts {
        var counts = counts ?? SweepCounts()
        counts.checked += Int64(chunk.readCount)
        counts.quarantined += Int64(chunk.encoded.faults.count)
        let live = outcomes.count - chunk.encoded.tombstones
        for (index, outcome) in outcomes.enumerated() {
            switch outcome {
            // A delete that the store had forgotten already is no mismatch.
            case .created: counts.missing += index < live ? 1 : 0
            case .replaced, .conflict: counts.different += 1
            case .renewed: counts.renewed += 1
            case .older: counts.newer += 1
            }
        }
        return counts
    }
}
