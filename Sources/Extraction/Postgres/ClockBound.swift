import FeatureModel

/// Up to where a database's times can be trusted to be complete.
///
/// A row stamped with `now()` carries the start of its transaction, and is seen when that commits. So nothing at or above
/// the start of the oldest open transaction is read; what starts later stamps later. All open transactions count, with or
/// without an xid. A prepared transaction doesn't tell when it started: the bound stays `preparedMargin` before it.
///
/// Best effort: times set by the application, by `clock_timestamp()` or by COPY may be older than the bound when they
/// commit. `settle`, `lookback` and the sweep are for them. A standby knows nothing of its primary's open transactions;
/// there the bound is the last replayed commit.
struct ClockBound: Hashable, Sendable {
    /// The source's clock, microseconds since 1970.
    let now: Int64
    /// Exclusive; microseconds since 1970.
    let upper: Int64

    static let preparedMargin = Duration.seconds(600)
    /// Rows stamped further ahead of the source's clock than this are faults.
    static let maximumAhead = Duration.seconds(300)

    /// - Throws: `misconfigured` when the role may not see other sessions' transactions.
    static func read(
        _ session: inout PostgresSession, deadline: ContinuousClock.Instant
    ) throws(PostgresFailure) -> ClockBound {
        let rows = try session.rows(query, deadline: deadline)
        guard let row = rows.first, row.count == 6, let now = row[1].flatMap({ Int64($0) }) else {
            throw PostgresFailure(.corrupt, "PostgreSQL names no time")
        }
        guard row[3] == "0" else {
            throw PostgresFailure(
                .misconfigured, "open transactions of other roles can't be seen",
                detail: "a watermark by time needs them: GRANT pg_read_all_stats TO the source's role, "
                    + "and leave track_activities on")
        }
        var upper = now
        if row[0] == "t" {
            upper = min(upper, row[5].flatMap { Int64($0) } ?? now)
        }
        if let oldest = row[2].flatMap({ Int64($0) }) { upper = min(upper, oldest) }
        if let prepared = row[4].flatMap({ Int64($0) }) {
            upper = min(upper, prepared - preparedMargin.wholeMicroseconds)
        }
        return ClockBound(now: now, upper: upper)
    }

    /// `statement_timestamp()` is taken before the sessions are looked at: what begins in between is not below it.
    private static let query = """
        SELECT pg_is_in_recovery(), \(micros("statement_timestamp()")), \
        (SELECT \(micros("min(xact_start)")) FROM \(others)), \
        (SELECT count(*) FROM \(others) AND (query = '<insufficient privilege>' OR state = 'disabled')), \
        (SELECT \(micros("min(prepared)")) FROM pg_catalog.pg_prepared_xacts WHERE database = current_database()), \
        \(micros("pg_last_xact_replay_timestamp()"))
        """

    private static let others = """
        pg_catalog.pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() \
        AND coalesce(backend_type, '') NOT IN ('autovacuum worker', 'walsender')
        """

    private static func micros(_ time: String) -> String { "(extract(epoch FROM \(time)) * 1000000)::bigint" }
}
