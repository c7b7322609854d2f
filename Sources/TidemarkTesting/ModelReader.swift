import Extraction
import FeatureModel
import Synchronization

/// Reads a `ModelSource` as the contract of `ViewReader` says.
struct ModelReader: ViewReader {
    let source: ModelSource

    private var lookback: Int64? {
        if case .column(let lookback) = source.mode { lookback } else { nil }
    }

    var isExact: Bool { lookback == nil }

    var needsRangeLoad: Bool { isExact }

    func check() async throws(ExtractionError) { try source.throwIfFailing() }

    func history() async throws(ExtractionError) -> SourceHistory {
        try source.throwIfFailing()
        return source.state.withLock {
            SourceHistory(identity: "model \($0.identity)", end: isExact ? Self.horizon($0) : nil)
        }
    }

    private static func horizon(_ state: ModelSource.State) -> UInt64 {
        state.open.keys.min() ?? state.nextTransaction
    }

    func startCursor() async throws(ExtractionError) -> ChangeCursor {
        try source.throwIfFailing()
        let end = source.state.withLock { Self.horizon($0) }
        return ChangeCursor(text: isExact ? "\(end)" : "0")
    }

    func readChanges(after cursor: ChangeCursor, limit: Int) async throws(ExtractionError) -> ChangePage {
        try source.throwIfFailing()
        let page = lookback == nil ? try exactChanges(cursor, limit) : columnChanges(cursor, limit)
        await source.holdIfAsked()
        return page
    }

    /// A cursor is the first transaction not yet returned; a page never ends inside a transaction.
    private func exactChanges(_ cursor: ChangeCursor, _ limit: Int) throws(ExtractionError) -> ChangePage {
        let from = UInt64(cursor.text) ?? 0
        let page: ChangePage? = source.state.withLock { state in
            if from < state.prunedBelow { return nil }
            let horizon = Self.horizon(state)
            let behind = state.log.filter { $0.transaction >= from && $0.transaction < horizon }
                .sorted { $0.transaction < $1.transaction }
            var taken = behind.prefix(limit)
            if let last = taken.last { taken = behind.prefix { $0.transaction <= last.transaction } }
            let isLast = taken.count == behind.count
            let next = isLast ? max(horizon, from) : (taken.last?.transaction ?? from) + 1
            var seen = Set<EntityKey>()
            let keys = taken.map(\.key).filter { seen.insert($0).inserted }
            return ChangePage(
                rows: chunk(keys, state), next: ChangeCursor(text: "\(next)"), isLast: isLast,
                changeCount: taken.count)
        }
        guard let page else { throw ExtractionError(.historyBroken, "the model source forgot the changes") }
        return page
    }

    /// A cursor is the last stamp returned, with `+` inside a run; a new run starts the lookback before it.
    private func columnChanges(_ cursor: ChangeCursor, _ limit: Int) -> ChangePage {
        let inside = cursor.text.hasSuffix("+")
        let last = Int64(inside ? String(cursor.text.dropLast()) : cursor.text) ?? 0
        let from = inside ? last : max(0, last - (lookback ?? 0))
        return source.state.withLock { state in
            let behind = state.rows.filter { $0.value.stamp > from }.sorted { $0.value.stamp < $1.value.stamp }
            let taken = behind.prefix(limit)
            let isLast = taken.count == behind.count
            let end = max(last, taken.last?.value.stamp ?? 0)
            return ChangePage(
                rows: chunk(taken.map(\.key), state),
                next: ChangeCursor(text: isLast ? "\(end)" : "\(taken.last?.value.stamp ?? from)+"), isLast: isLast,
                changeCount: taken.count)
        }
    }

    func readRange(after: EntityKey?, limit: Int) async throws(ExtractionError) -> RangePage {
        try source.throwIfFailing()
        let page = source.state.withLock { state in
            let keys = state.rows.keys.filter { key in after.map { $0 < key } ?? true }.sorted().prefix(limit)
            return RangePage(rows: chunk(Array(keys), state), next: keys.count < limit ? nil : keys.last)
        }
        await source.holdIfAsked()
        return page
    }

    func readEntities(_ keys: [EntityKey]) async throws(ExtractionError) -> RowChunk {
        try source.throwIfFailing()
        return source.state.withLock { chunk(keys, $0) }
    }

    private func chunk(_ keys: [EntityKey], _ state: ModelSource.State) -> RowChunk {
        var chunk = RowChunk()
        chunk.position = isExact ? Self.horizon(state) : nil
        for key in keys {
            guard let row = state.rows[key] else {
                chunk.removed.append(Removal(key: key))
                continue
            }
            chunk.keys.append(key)
            chunk.values.append(.int64(row.stamp))
            chunk.eventTimes.append(row.eventTime)
        }
        return chunk
    }

    func lag(behind cursor: ChangeCursor) async throws(ExtractionError) -> SourceLag {
        SourceLag(rows: 0, age: nil)
    }

    func prune(below cursor: ChangeCursor) async throws(ExtractionError) {}

    func estimatedCount() async throws(ExtractionError) -> Int64? {
        source.state.withLock { Int64($0.rows.count) }
    }

    func close() async {}
}
