import FeatureModel

/// One record of tracked changes.
struct TrackedChange: Hashable, Sendable {
    let transaction: UInt64
    /// Of a logged delete; `nil` for a stamped row.
    let entry: Int64?
    /// As PostgreSQL prints them.
    let keyTexts: [String]
    /// `nil` where no entity can have that key.
    let key: EntityKey?

    /// Everything up to this record was read.
    var cursor: PostgresCursor {
        if let entry { .log(transaction, entry: entry) } else { .stamp(transaction, key: keyTexts) }
    }

    /// Merges both kinds in the cursor's order and cuts behind `limit` records. Both lists are in that order.
    static func merge(stamps: [TrackedChange], logged: [TrackedChange], limit: Int) -> [TrackedChange] {
        var merged: [TrackedChange] = []
        var (left, right) = (stamps[...], logged[...])
        while merged.count < limit {
            guard let stamp = left.first else {
                merged.append(contentsOf: right.prefix(limit - merged.count))
                break
            }
            if let entry = right.first, entry.transaction < stamp.transaction {
                merged.append(entry)
                right.removeFirst()
            } else {
                merged.append(stamp)
                left.removeFirst()
            }
        }
        return merged
    }
}

extension PostgresPlan {
    /// A page of tracked changes: the keys that changed below the snapshot's horizon, with their rows in that snapshot.
    ///
    /// Every transaction below the horizon has ended, so it is either in the snapshot or will never be anywhere. A row
    /// that changes again moves to a later transaction and is read once more there.
    func trackedPage(
        behind cursor: PostgresCursor, limit: Int, _ session: inout PostgresSession,
        deadline: ContinuousClock.Instant
    ) throws(PostgresFailure) -> ChangePage {
        try session.inSnapshot(deadline: deadline) { (session) throws(PostgresFailure) in
            let horizon = try Self.horizon(&session, deadline: deadline)
            guard let stampQuery = statements.stamps(behind: cursor, below: horizon, limit: limit),
                let logQuery = statements.logged(behind: cursor, below: horizon, limit: limit)
            else {
                throw PostgresFailure(.corrupt, "the cursor is not one of this view", detail: cursor.text)
            }
            try Self.check(cursor, against: horizon)
            let stamps = try readStamps(stampQuery, &session, deadline)
            let logged = try readLogged(logQuery, &session, deadline)
            let taken = TrackedChange.merge(stamps: stamps, logged: logged, limit: limit)
            let isLast =
                stamps.count < limit && logged.count < limit && taken.count == stamps.count + logged.count
            let place = "xid:\(horizon)"
            var collector = rows.collector
            let keys = distinct(taken, into: &collector)
            try readFeatures(of: keys, into: &collector, position: place, &session, deadline: deadline)
            // A short page has read everything below the horizon, whatever there was of it.
            let next = isLast ? PostgresCursor.transaction(horizon) : taken.last?.cursor ?? cursor
            return ChangePage(
                rows: collector.chunk(position: horizon, askedFor: keys), next: ChangeCursor(next), isLast: isLast,
                changeCount: taken.count)
        }
    }

    /// Transaction numbers never go down within one history: a cursor above the horizon is of another one.
    private static func check(_ cursor: PostgresCursor, against horizon: UInt64) throws(PostgresFailure) {
        let transaction: UInt64
        switch cursor {
        case .transaction(let xid), .stamp(let xid, _), .log(let xid, _): transaction = xid
        case .start, .end, .middle: return
        }
        guard transaction <= horizon else {
            throw PostgresFailure(
                .historyBroken, "the cursor lies behind the end of the source's history",
                detail: "\(cursor.text), while the source is at xid:\(horizon): another or an older database answers")
        }
    }

    private func distinct(_ changes: [TrackedChange], into collector: inout RowCollector) -> [EntityKey] {
        var seen: Set<EntityKey> = []
        var keys: [EntityKey] = []
        for change in changes {
            guard let key = change.key else {
                collector.add(
                    RowFault(
                        key: nil, column: view.entity.keys[0].name, rule: "range",
                        reason: "the key is none that the entity \(view.entity.name) can have",
                        position: change.cursor.text))
                continue
            }
            if seen.insert(key).inserted { keys.append(key) }
        }
        return keys
    }

    private func readStamps(
        _ query: PostgresQuery, _ session: inout PostgresSession, _ deadline: ContinuousClock.Instant
    ) throws(PostgresFailure) -> [TrackedChange] {
        var changes: [TrackedChange] = []
        try session.run(query.sql, query.parameters, deadline: deadline) { (row) throws(PostgresFailure) in
            let texts = (1..<row.columnCount).map { row.text($0) ?? "" }
            changes.append(
                TrackedChange(
                    transaction: try Self.transaction(row.text(0)), entry: nil, keyTexts: texts,
                    key: Self.key(row, from: 1, changeKeys)))
        }
        return changes
    }

    private func readLogged(
        _ query: PostgresQuery, _ session: inout PostgresSession, _ deadline: ContinuousClock.Instant
    ) throws(PostgresFailure) -> [TrackedChange] {
        let conversions = view.entity.keyTypes.map { PostgresKeyConversion(logged: $0) }
        var changes: [TrackedChange] = []
        try session.run(query.sql, query.parameters, deadline: deadline) { (row) throws(PostgresFailure) in
            let texts = FlatArray.parse(postgres: row.text(2) ?? "") ?? []
            var values: [EntityKeyValue] = []
            if texts.count == conversions.count {
                for (text, conversion) in zip(texts, conversions) {
                    if let value = try? conversion.value(text.map(PostgresCell.text) ?? .null) { values.append(value) }
                }
            }
            changes.append(
                TrackedChange(
                    transaction: try Self.transaction(row.text(0)), entry: row.text(1).flatMap { Int64($0) } ?? 0,
                    keyTexts: texts.map { $0 ?? "" }, key: values.count == conversions.count ? EntityKey(values) : nil))
        }
        return changes
    }

    private static func transaction(_ text: String?) throws(PostgresFailure) -> UInt64 {
        guard let transaction = text.flatMap({ UInt64($0) }) else {
            throw PostgresFailure(.corrupt, "a change has no transaction")
        }
        return transaction
    }

    /// The entity named by a row's columns from `first` on; `nil` where no entity can have that key.
    static func key(
        _ row: borrowing PostgresResult, from first: Int, _ conversions: [PostgresKeyConversion]
    ) -> EntityKey? {
        var values: [EntityKeyValue] = []
        for (index, conversion) in conversions.enumerated() {
            guard let value = try? conversion.value(row.cell(first + index)) else { return nil }
            values.append(value)
        }
        return EntityKey(values)
    }
}
