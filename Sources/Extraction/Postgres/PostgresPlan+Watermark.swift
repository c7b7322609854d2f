import FeatureModel

extension PostgresPlan {
    /// The most rows without a usable watermark that a run reports.
    static let maximumWatermarkFaults = 100

    /// A page of rows, or of changed entities, in the order of the watermark. Best effort; `ClockBound` says why.
    ///
    /// A run starts a lookback before the end of the last one and goes on until a page is short; its end is the greatest
    /// watermark that was seen, never the bound.
    func watermarkPage(
        behind cursor: PostgresCursor, limit: Int, _ session: inout PostgresSession,
        deadline: ContinuousClock.Instant
    ) throws(PostgresFailure) -> ChangePage {
        guard let watermark = statements.watermark, let lower = lower(cursor, watermark) else {
            throw PostgresFailure(.corrupt, "the cursor is not one of this view", detail: cursor.text)
        }
        // The bound first, the snapshot second: what commits in between is above the bound or in the snapshot.
        let clock = watermark.isTime ? try ClockBound.read(&session, deadline: deadline) : nil
        let bounds = WatermarkBounds(lower: lower, upper: clock.map { upper($0, watermark) })
        return try session.inSnapshot(deadline: deadline) { (session) throws(PostgresFailure) in
            var page = WatermarkRead(collector: rows.collector)
            if case .from = lower {
                let ahead = clock.map {
                    watermark.value(microseconds: $0.now + ClockBound.maximumAhead.wholeMicroseconds)
                }
                try readFaults(
                    statements.watermarkFaults(ahead: ahead, limit: Self.maximumWatermarkFaults), &page, &session,
                    deadline)
            }
            try readRows(statements.watermarkRows(bounds, limit: limit), watermark, &page, &session, deadline)
            if !page.keys.isEmpty {
                let place = page.last?.0 ?? ""
                try readFeatures(of: page.keys, into: &page.collector, position: place, &session, deadline: deadline)
            }
            let isLast = page.count < limit
            return ChangePage(
                rows: page.collector.chunk(position: nil, askedFor: page.keys),
                next: ChangeCursor(next(cursor, page, isLast: isLast)), isLast: isLast, changeCount: page.count)
        }
    }

    private func next(_ cursor: PostgresCursor, _ page: WatermarkRead, isLast: Bool) -> PostgresCursor {
        if let (mark, ties) = page.last { return isLast ? .end(mark) : .middle(mark, ties: ties) }
        // Nothing behind it: a run that was under way has ended where it was.
        if case .middle(let mark, _) = cursor { return .end(mark) }
        return cursor
    }

    private func lower(_ cursor: PostgresCursor, _ watermark: PostgresWatermark) -> WatermarkBounds.Lower? {
        switch cursor {
        case .start: return .from(watermark.isTime ? watermark.lowest : nil)
        case .end(let mark): return watermark.start(afterEnd: mark).map { .from($0) }
        case .middle(let mark, let ties):
            guard ties.count == statements.tieNames.count, watermark.start(afterEnd: mark) != nil else { return nil }
            return .behind(mark, ties: ties)
        case .transaction, .stamp, .log: return nil
        }
    }

    private func upper(_ clock: ClockBound, _ watermark: PostgresWatermark) -> String {
        watermark.value(microseconds: clock.upper - watermark.definition.settle.wholeMicroseconds)
    }

    private func readRows(
        _ query: PostgresQuery?, _ watermark: PostgresWatermark, _ page: inout WatermarkRead,
        _ session: inout PostgresSession, _ deadline: ContinuousClock.Instant
    ) throws(PostgresFailure) {
        guard let query else { return }
        let hasRows = statements.changeKeys == nil
        let markColumn = hasRows ? rows.columnCount : view.entity.keys.count
        var seen: Set<EntityKey> = []
        try session.run(query.sql, query.parameters, deadline: deadline) { (row) throws(PostgresFailure) in
            if hasRows, page.count == 0 { try rows.verify(row) }
            page.count += 1
            guard let mark = row.text(markColumn).flatMap({ watermark.canonical($0) }) else {
                throw PostgresFailure(.schemaMismatch, "the watermark column has another type")
            }
            page.last = (mark, (markColumn + 1..<row.columnCount).map { row.text($0) ?? "" })
            if hasRows {
                switch rows.key(row, position: mark) {
                case .success(let key): rows.read(row, of: key, into: &page.collector, position: mark)
                case .failure(let error): page.collector.add(error.fault)
                }
            } else if let key = Self.key(row, from: 0, changeKeys) {
                if seen.insert(key).inserted { page.keys.append(key) }
            }
            // A change without a complete key belongs to no entity.
        }
    }

    private func readFaults(
        _ query: PostgresQuery?, _ page: inout WatermarkRead, _ session: inout PostgresSession,
        _ deadline: ContinuousClock.Instant
    ) throws(PostgresFailure) {
        guard let query, let watermark = statements.watermark else { return }
        let hasRows = statements.changeKeys == nil
        let markColumn = hasRows ? rows.columnCount : view.entity.keys.count
        try session.run(query.sql, query.parameters, deadline: deadline) { (row) throws(PostgresFailure) in
            let missing = (markColumn + 1..<row.columnCount).first { row.cell($0) == .null }
            page.collector.add(
                fault(
                    mark: row.text(markColumn), missingTie: missing.map { statements.tieNames[$0 - markColumn - 1] },
                    key: Self.key(row, from: 0, hasRows ? rows.keyConversions : changeKeys), watermark))
        }
    }

    /// The first that holds: no watermark, none in range, no tie-breaker, too far ahead.
    private func fault(
        mark: String?, missingTie: String?, key: EntityKey?, _ watermark: PostgresWatermark
    ) -> RowFault {
        let column = watermark.definition.column
        guard let mark else {
            return RowFault(
                key: key, column: column, rule: "null_watermark", reason: "expected a watermark, found null",
                position: "null")
        }
        if watermark.canonical(mark) == nil {
            let reason = "expected a time in the years 1 to 9999, found \(mark)"
            return RowFault(key: key, column: column, rule: "range", reason: reason, position: mark)
        }
        if let missingTie {
            let reason = "expected a tie-breaker, found null"
            return RowFault(key: key, column: missingTie, rule: "null_key", reason: reason, position: mark)
        }
        let reason = "more than \(ClockBound.maximumAhead.spelling) ahead of the source's clock: \(mark)"
        return RowFault(key: key, column: column, rule: "future", reason: reason, position: mark)
    }
}

/// What a page by watermark has gathered.
private struct WatermarkRead {
    var collector: RowCollector
    /// Changed entities, where `changes` names them.
    var keys: [EntityKey] = []
    var last: (String, [String])?
    var count = 0

    init(collector: RowCollector) {
        self.collector = collector
    }
}
