import FeatureModel

extension PostgresStatements {
    static let horizon = "SELECT pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())"

    /// Stamped rows behind a cursor and below the horizon: the transaction, then the key. Empty for another kind of cursor.
    func stamps(
        behind cursor: PostgresCursor, below horizon: UInt64?, limit: Int, returning list: String? = nil
    ) -> PostgresQuery? {
        guard let keys = trackedKeys, let (condition, parameters) = stampCondition(cursor, keys) else { return nil }
        let stamp = Self.column(PostgresTracking.stampColumn)
        var query = PostgresQuery(sql: "", parameters: parameters)
        var bound = ""
        if let horizon {
            query.parameters.append(String(horizon))
            bound = " AND \(stamp) < $\(query.parameters.count)::xid8"
        }
        query.sql =
            "SELECT \(list ?? "\(stamp), \(keys.list)") FROM \(keys.from) WHERE \(condition)\(bound) AND \(keys.areComplete) "
            + "ORDER BY \(stamp), \(keys.list) LIMIT \(limit)"
        return query
    }

    private func stampCondition(_ cursor: PostgresCursor, _ keys: KeyColumns) -> (String, [String?])? {
        let stamp = Self.column(PostgresTracking.stampColumn)
        switch cursor {
        case .transaction(let xid): return ("\(stamp) >= $1::xid8", [String(xid)])
        case .log(let xid, _): return ("\(stamp) > $1::xid8", [String(xid)])
        case .stamp(let xid, let key):
            guard key.count == keys.columns.count else { return nil }
            let condition = Self.compare([stamp] + keys.columns, ">", ["xid8"] + keys.casts, firstParameter: 1)
            return (condition, [String(xid)] + key)
        case .start, .end, .middle: return nil
        }
    }

    /// Logged deletes behind a cursor and below the horizon: the transaction, the entry, the key as an array, its time.
    func logged(behind cursor: PostgresCursor, below horizon: UInt64?, limit: Int) -> PostgresQuery? {
        guard let tracking else { return nil }
        var query = PostgresQuery(sql: "", parameters: [tracking.source])
        let condition: String
        switch cursor {
        case .transaction(let xid), .stamp(let xid, _):
            query.parameters.append(String(xid))
            condition = "xid >= $2::xid8"
        case .log(let xid, let entry):
            query.parameters += [String(xid), String(entry)]
            condition = "(xid, id) > ($2::xid8, $3::bigint)"
        case .start, .end, .middle: return nil
        }
        var bound = ""
        if let horizon {
            query.parameters.append(String(horizon))
            bound = " AND xid < $\(query.parameters.count)::xid8"
        }
        query.sql =
            "SELECT xid, id, key, deleted_at FROM \(tracking.log) WHERE source_table = $1 AND \(condition)\(bound) "
            + "AND key IS NOT NULL ORDER BY xid, id LIMIT \(limit)"
        return query
    }

    /// Deletes log entries that were read and are old enough. The newest mark of a `TRUNCATE` stays: the history's name
    /// is made from it.
    func prune(below xid: UInt64, retention: Duration, limit: Int) -> PostgresQuery? {
        guard let tracking else { return nil }
        return PostgresQuery(
            sql: """
                DELETE FROM \(tracking.log) WHERE id IN (SELECT id FROM \(tracking.log) \
                WHERE source_table = $1 AND xid < $2::xid8 \
                AND deleted_at < pg_catalog.clock_timestamp() - $3::bigint * interval '1 microsecond' \
                AND (key IS NOT NULL OR id < \(lastTruncate)) ORDER BY xid, id LIMIT \(limit))
                """,
            parameters: [tracking.source, String(xid), String(retention.wholeMicroseconds)])
    }

    /// The number of the newest mark of a `TRUNCATE`; its one parameter is the source.
    var lastTruncate: String {
        "(SELECT coalesce(max(id), 0) FROM \(tracking?.log ?? "") WHERE source_table = $1 AND key IS NULL)"
    }

    /// Each returns the age, in microseconds, of the oldest change it knows of.
    func oldestTimes(behind cursor: PostgresCursor, hasCommitTimes: Bool) -> [PostgresQuery] {
        var queries: [PostgresQuery] = []
        let age = { (time: String) in "(extract(epoch FROM clock_timestamp() - \(time)) * 1000000)::bigint" }
        if var query = logged(behind: cursor, below: nil, limit: 1) {
            query.sql = "SELECT \(age("deleted_at")) FROM (\(query.sql)) AS _lag"
            queries.append(query)
        }
        guard var query = stamps(behind: cursor, below: nil, limit: 1), let tracking else { return queries }
        let stamp = PostgresTracking.stampColumn
        if hasCommitTimes {
            query.sql =
                "SELECT \(age("pg_catalog.pg_xact_commit_timestamp(\(stamp)::xid)")) FROM (\(query.sql)) AS _lag"
            queries.append(query)
        } else if let time = view.source.eventTime, time.unit == nil,
            tracking.relation.columns.type(of: time.column).flatMap({ shape.types[$0]?.kind }) == .time
        {
            let column = Self.column(time.column)
            query = stamps(behind: cursor, below: nil, limit: 1, returning: "\(column) AS t") ?? query
            query.sql = "SELECT \(age("t::timestamptz")) FROM (\(query.sql)) AS _lag"
            queries.append(query)
        }
        return queries
    }
}
