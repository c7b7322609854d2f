import FeatureModel

extension PostgresPlan {
    // MARK: History

    /// The identity and the end of the database's history.
    ///
    /// The identity names the system, its timeline and the database. For an exact view also the tracked table by its oid,
    /// its last `TRUNCATE`, and when the server last started its statistics anew: it does so after a crash, and only a crash
    /// can give transaction numbers out again that were seen before, if nothing of them had reached the disk.
    /// (`pg_stat_reset_shared('bgwriter')` looks the same; the sweep that follows is then for nothing.)
    func history(
        _ session: inout PostgresSession, deadline: ContinuousClock.Instant
    ) throws(PostgresFailure) -> SourceHistory {
        let rights = try session.rows(Self.rightsQuery, deadline: deadline).first ?? []
        let mayName = rights.count == 3 && rights[0] == "t"
        let mayTell = rights.count == 3 && rights[1] == "t"
        let isStandby = rights.count == 3 && rights[2] == "t"
        let system = mayName ? "(SELECT system_identifier FROM pg_control_system())" : "NULL::bigint"
        let timeline =
            isStandby
            ? (mayTell ? "(SELECT timeline_id FROM pg_control_checkpoint())" : "NULL::int")
            : "('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int"
        let database = "(SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())"
        let row = try session.rows("SELECT \(system), \(timeline), \(database)", deadline: deadline).first ?? []
        let named = zip(["system", "timeline", "database"], row).map { "\($0):\($1 ?? "unknown")" }
        guard let tracking = statements.tracking else {
            return SourceHistory(identity: named.joined(separator: " "), end: nil)
        }
        let tracked =
            try session.rows(
                "SELECT \(statements.lastTruncate), (SELECT (extract(epoch FROM stats_reset) * 1000000)::bigint "
                    + "FROM pg_catalog.pg_stat_bgwriter), pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())",
                [tracking.source], deadline: deadline
            ).first ?? []
        guard tracked.count == 3, let end = tracked[2].flatMap({ UInt64($0) }) else {
            throw PostgresFailure(.corrupt, "PostgreSQL names no horizon of its snapshot")
        }
        let parts =
            named + [
                "table:\(tracking.relation.oid)", "truncate:\(tracked[0] ?? "0")", "statistics:\(tracked[1] ?? "none")",
            ]
        return SourceHistory(identity: parts.joined(separator: " "), end: end)
    }

    private static let rightsQuery = """
        SELECT has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE'), \
        has_function_privilege('pg_catalog.pg_control_checkpoint()', 'EXECUTE'), pg_is_in_recovery()
        """

    // MARK: Start

    /// The present end of the changes; for a view that finds all its rows by watermark, the beginning.
    func startCursor(
        _ session: inout PostgresSession, deadline: ContinuousClock.Instant
    ) throws(PostgresFailure) -> PostgresCursor {
        guard let watermark = statements.watermark else {
            return .transaction(try Self.horizon(&session, deadline: deadline))
        }
        guard statements.changeKeys != nil else { return .start }
        if watermark.isTime {
            let clock = try ClockBound.read(&session, deadline: deadline)
            return .end(watermark.value(microseconds: clock.upper - watermark.definition.settle.wholeMicroseconds))
        }
        let query = statements.watermarkEnd
        let end = try session.rows(query.sql, query.parameters, deadline: deadline).first?.first ?? nil
        return end.flatMap { watermark.canonical($0) }.map { .end($0) } ?? .start
    }

    // MARK: Lag

    /// How many changes lie behind a cursor, and how old the oldest is.
    func lag(
        behind cursor: PostgresCursor, _ session: inout PostgresSession, deadline: ContinuousClock.Instant
    ) throws(PostgresFailure) -> SourceLag {
        statements.tracking == nil
            ? try watermarkLag(cursor, &session, deadline) : try trackedLag(cursor, &session, deadline)
    }

    /// Stamps carry no time: their age is known from the log of deletes, and from commit times where the server keeps them
    /// (`track_commit_timestamp`), else from the view's event time where the tracked table has that column.
    private func trackedLag(
        _ cursor: PostgresCursor, _ session: inout PostgresSession, _ deadline: ContinuousClock.Instant
    ) throws(PostgresFailure) -> SourceLag {
        let limit = Int(SourceLag.countLimit)
        guard let stamps = statements.stamps(behind: cursor, below: nil, limit: limit),
            let logged = statements.logged(behind: cursor, below: nil, limit: limit)
        else { throw PostgresFailure(.corrupt, "the cursor is not one of this view", detail: cursor.text) }
        var count: Int64 = 0
        for query in [stamps, logged] {
            let rows = try session.rows(
                "SELECT count(*) FROM (\(query.sql)) AS _lag", query.parameters, deadline: deadline)
            count += rows.first?.first?.flatMap { Int64($0) } ?? 0
        }
        let horizon = try session.rows(Self.horizonAge, deadline: deadline).first?.first ?? nil
        let horizonAge = horizon.flatMap { Int64($0) }.map { Duration.microseconds(max(0, $0)) }
        guard count > 0 else { return SourceLag(rows: 0, age: nil, horizonAge: horizonAge) }
        let hasCommitTimes = try session.rows("SELECT current_setting('track_commit_timestamp')", deadline: deadline)
        var ages: [Int64] = []
        for query in statements.oldestTimes(behind: cursor, hasCommitTimes: hasCommitTimes.first?.first == "on") {
            let age = try session.rows(query.sql, query.parameters, deadline: deadline).first?.first ?? nil
            if let age = age.flatMap({ Int64($0) }) { ages.append(age) }
        }
        return SourceLag(
            rows: min(count, SourceLag.countLimit), age: ages.max().map { .microseconds(max(0, $0)) },
            horizonAge: horizonAge)
    }

    /// Of this database's writers: changes behind the oldest of them wait until it ends.
    private static let horizonAge = """
        SELECT (extract(epoch FROM clock_timestamp() - min(xact_start)) * 1000000)::bigint \
        FROM pg_catalog.pg_stat_activity WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid()
        """

    private func watermarkLag(
        _ cursor: PostgresCursor, _ session: inout PostgresSession, _ deadline: ContinuousClock.Instant
    ) throws(PostgresFailure) -> SourceLag {
        guard let watermark = statements.watermark else { return SourceLag(rows: 0, age: nil) }
        let clock = try session.rows(
            "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint", deadline: deadline)
        guard let now = clock.first?.first?.flatMap({ Int64($0) }) else { return SourceLag(rows: 0, age: nil) }
        let lower: WatermarkBounds.Lower
        switch cursor {
        case .start: lower = .from(watermark.isTime ? watermark.lowest : nil)
        // What stands at the end itself was read.
        case .end(let mark): lower = .from(watermark.after(mark))
        case .middle(let mark, let ties): lower = .behind(mark, ties: ties)
        case .transaction, .stamp, .log:
            throw PostgresFailure(.corrupt, "the cursor is not one of this view", detail: cursor.text)
        }
        let ahead = now + ClockBound.maximumAhead.wholeMicroseconds
        let upper = watermark.isTime ? watermark.value(microseconds: ahead) : nil
        guard
            let query = statements.watermarkCount(
                WatermarkBounds(lower: lower, upper: upper), limit: SourceLag.countLimit)
        else { return SourceLag(rows: 0, age: nil) }
        let row = try session.rows(query.sql, query.parameters, deadline: deadline).first ?? []
        let count = row.first?.flatMap { Int64($0) } ?? 0
        let oldest = row.count == 2 ? row[1].flatMap { watermark.microseconds($0) } : nil
        return SourceLag(rows: count, age: oldest.map { .microseconds(max(0, now - $0)) })
    }

    // MARK: Housekeeping

    /// Deletes what was read of the log of deletes. A role that may not, or a standby, leaves it to somebody else.
    func prune(
        below cursor: PostgresCursor, retention: Duration, _ session: inout PostgresSession,
        deadline: ContinuousClock.Instant
    ) throws(PostgresFailure) {
        let transaction: UInt64
        switch cursor {
        case .transaction(let xid), .stamp(let xid, _), .log(let xid, _): transaction = xid
        case .start, .end, .middle: return
        }
        guard let query = statements.prune(below: transaction, retention: retention, limit: 10_000) else { return }
        do throws(PostgresFailure) {
            try session.run(query.sql, query.parameters, deadline: deadline)
        } catch {
            // 42501: no permission; 25006: read only.
            guard error.state == "42501" || error.state == "25006" else { throw error }
        }
    }

    /// The planner's guess.
    func estimatedCount(
        _ session: inout PostgresSession, deadline: ContinuousClock.Instant
    ) throws(PostgresFailure) -> Int64? {
        let keys = statements.isKeyed ? statements.walkKeys : statements.queryKeys
        let distinct = statements.isKeyed ? "DISTINCT " : ""
        let lines = try session.rows("EXPLAIN SELECT \(distinct)\(keys.list) FROM \(keys.from)", deadline: deadline)
        // `HashAggregate  (cost=1.25..1.27 rows=2 width=8)`
        guard let line = lines.first?.first ?? nil, let found = line.firstRange(of: " rows=") else { return nil }
        return Int64(line[found.upperBound...].prefix { $0.isNumber })
    }
}
