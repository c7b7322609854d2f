import FeatureModel
import Glibc

/// What `tidemark doctor` finds in a PostgreSQL database.
enum PostgresDiagnosis {
    /// A clock that differs by more is reported.
    private static let maximumSkew = Duration.seconds(2)
    /// A transaction open for longer, which holds changes back, is reported.
    private static let maximumHold = Duration.seconds(300)

    /// - Throws: When there is no connection; what is wrong with a view is a finding.
    static func findings(
        _ views: [FeatureView], _ session: inout PostgresSession
    ) throws(PostgresFailure) -> [SourceFinding] {
        let started = ContinuousClock.now
        let row = try session.rows(query, deadline: session.callDeadline).first ?? []
        guard row.count == 6 else { throw PostgresFailure(.corrupt, "PostgreSQL does not tell about itself") }
        let took = Duration.microseconds((.now - started).wholeMicroseconds)
        var findings = [
            SourceFinding(
                check: "connection", grade: .good, text: "PostgreSQL \(row[0] ?? "?") answered in \(took.spelling)")
        ]
        findings.append(clock(row[1].flatMap { Int64($0) } ?? 0))
        findings.append(openTransactions(oldest: row[2].flatMap { Int64($0) } ?? 0, prepared: row[3] ?? "0"))
        if row[4] == "t" {
            findings.append(
                SourceFinding(
                    check: "standby", grade: .warning,
                    text: "this is a standby: watermarks by time are bound by the last replayed commit only"))
        }
        if row[5] != "on" {
            findings.append(
                SourceFinding(
                    check: "commit times", grade: .good,
                    text: "track_commit_timestamp is off: the lag of tracked views is counted in rows, not in seconds"))
        }
        for view in views { findings.append(finding(view, &session)) }
        return findings
    }

    private static func clock(_ theirs: Int64) -> SourceFinding {
        var time = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &time)
        let skew = Duration.microseconds(theirs - Int64(time.tv_sec) * 1_000_000 - Int64(time.tv_nsec) / 1_000)
        let isOff = skew > maximumSkew || skew < .zero - maximumSkew
        return SourceFinding(
            check: "clock", grade: isOff ? .warning : .good,
            text: "the source's clock is \(skew.wholeMilliseconds) ms ahead of this machine's"
                + (isOff ? "; set both by NTP" : ""))
    }

    private static func openTransactions(oldest: Int64, prepared: String) -> SourceFinding {
        let age = Duration.microseconds(oldest)
        let isHeld = age > maximumHold || prepared != "0"
        return SourceFinding(
            check: "open transactions", grade: isHeld ? .warning : .good,
            text: "the oldest has been writing for \(Int64(age.inSeconds)) s, \(prepared) are prepared"
                + (isHeld ? "; changes committed since then are not read before it ends" : ""))
    }

    private static func finding(_ view: FeatureView, _ session: inout PostgresSession) -> SourceFinding {
        do throws(PostgresFailure) {
            let deadline = session.callDeadline
            let plan = try PostgresPlan.make(view, &session, deadline: deadline)
            try plan.validate(&session, deadline: deadline)
            guard let tracking = plan.statements.tracking else {
                if plan.statements.watermark?.isTime == true { _ = try ClockBound.read(&session, deadline: deadline) }
                return SourceFinding(
                    check: view.name, grade: .good,
                    text: "query and columns fit; changes are found by a column, best effort: the sweep finds the rest")
            }
            return try index(of: tracking, view, &session)
        } catch {
            return SourceFinding(check: view.name, grade: .bad, text: error.error.description)
        }
    }

    private static func index(
        of tracking: PostgresTracking, _ view: FeatureView, _ session: inout PostgresSession
    ) throws(PostgresFailure) -> SourceFinding {
        let name =
            "\(PostgresIdentifier.quote(tracking.relation.schema)).\(PostgresIdentifier.quote(tracking.indexName))"
        let valid = try session.rows(
            "SELECT 1 FROM pg_catalog.pg_index WHERE indexrelid = pg_catalog.to_regclass($1) AND indisvalid", [name],
            deadline: session.callDeadline)
        return valid.isEmpty
            ? SourceFinding(
                check: view.name, grade: .warning,
                text: "changes are tracked, but the index \(name) is missing or broken: "
                    + "run `tidemark source install \(view.name)`")
            : SourceFinding(check: view.name, grade: .good, text: "query and columns fit; changes are tracked exactly")
    }

    private static let query = """
        SELECT current_setting('server_version'), (extract(epoch FROM clock_timestamp()) * 1000000)::bigint, \
        (SELECT (extract(epoch FROM clock_timestamp() - min(xact_start)) * 1000000)::bigint \
        FROM pg_catalog.pg_stat_activity WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid()), \
        (SELECT count(*) FROM pg_catalog.pg_prepared_xacts), pg_is_in_recovery(), \
        current_setting('track_commit_timestamp')
        """
}
