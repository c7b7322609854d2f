import Dispatch
package import FeatureModel

/// A PostgreSQL database that views read from. Every reader, and every call here, has a connection of its own.
///
/// Readers keep settings and prepared statements in their sessions: a pooler in between must pool sessions, not transactions.
package struct PostgresConnector: SourceConnector {
    let target: PostgresTarget
    let options: PostgresOptions

    /// Takes what libpq takes: `postgresql://…` or `key=value` pairs.
    ///
    /// - Throws: `misconfigured` when it can't be parsed.
    package init(url: String, options: PostgresOptions = .init()) throws(ExtractionError) {
        target = try PostgresTarget(url: url)
        self.options = options
    }

    package func open(_ view: FeatureView) async throws(ExtractionError) -> any ViewReader {
        let reader = PostgresReader(view, target: target, options: options)
        try await reader.connect()
        return reader
    }

    package func installStatements(for view: FeatureView) async throws(ExtractionError) -> [String] {
        try await withSession { (session) throws(PostgresFailure) in
            try Self.tracking(of: view, &session, deadline: session.callDeadline)?.statements ?? []
        }
    }

    /// Runs the statements one by one, each in a transaction of its own: the index is built without keeping writers out,
    /// which PostgreSQL does only outside of a transaction. What was done before a failure stays; a second run goes on.
    package func install(for view: FeatureView) async throws(ExtractionError) {
        var patient = options
        patient.statementTimeout = options.installTimeout
        let lockTimeout = options.lockTimeout.wholeMilliseconds
        try await withSession(patient) { (session) throws(PostgresFailure) in
            guard let tracking = try Self.tracking(of: view, &session, deadline: session.callDeadline) else { return }
            try Self.dropBrokenIndex(of: tracking, &session)
            for statement in tracking.statements {
                // Building an index so waits for the transactions that were open when it began; that is no lock to give up on.
                let isPatient = statement.hasPrefix("CREATE INDEX CONCURRENTLY")
                let wait = isPatient ? 0 : lockTimeout
                try session.run(
                    "SELECT set_config('lock_timeout', $1, false)", ["\(wait)"], deadline: session.callDeadline)
                try session.run(statement, deadline: session.callDeadline)
            }
            let shape = try PostgresShape.describe(view, &session, deadline: session.callDeadline)
            try shape.validate(view)
        }
    }

    package func diagnose(_ views: [FeatureView]) async -> [SourceFinding] {
        do throws(ExtractionError) {
            return try await withSession { (session) throws(PostgresFailure) in
                try PostgresDiagnosis.findings(views, &session)
            }
        } catch {
            return [SourceFinding(check: "connection", grade: .bad, text: error.description)]
        }
    }

    /// Nothing: readers are closed by their owners.
    package func close() async {}

    private static func tracking(
        of view: FeatureView, _ session: inout PostgresSession, deadline: ContinuousClock.Instant
    ) throws(PostgresFailure) -> PostgresTracking? {
        guard case .tracked(let table) = view.source.watermark else { return nil }
        let version = try session.connect(deadline: deadline)
        guard version >= 140_000 else {
            throw PostgresFailure(
                .misconfigured, "exact change tracking needs PostgreSQL 14 or later",
                detail: "found \(version / 10_000)")
        }
        let relation = try TrackedRelation.describe(table, view, &session, deadline)
        for column in table.keyColumns where relation.columns.type(of: column) == nil {
            let nearest = PostgresIdentifier.nearest(to: column, among: relation.columns.names)
            throw PostgresFailure(
                .schemaMismatch, "a key column of the tracked table is missing",
                detail: "view \"\(view.name)\", column \"\(column)\"; near to it: \(nearest.joined(separator: ", "))")
        }
        return PostgresTracking(relation: relation, keyColumns: table.keyColumns, keyTypes: view.entity.keyTypes)
    }

    /// An index whose building was broken off stays behind, unused, and would be taken for the real one.
    private static func dropBrokenIndex(
        of tracking: PostgresTracking, _ session: inout PostgresSession
    ) throws(PostgresFailure) {
        let schema = PostgresIdentifier.quote(tracking.relation.schema)
        let name = "\(schema).\(PostgresIdentifier.quote(tracking.indexName))"
        let broken = try session.rows(
            "SELECT 1 FROM pg_catalog.pg_index WHERE indexrelid = pg_catalog.to_regclass($1) AND NOT indisvalid",
            [name],
            deadline: session.callDeadline)
        if !broken.isEmpty { try session.run("DROP INDEX \(name)", deadline: session.callDeadline) }
    }

    /// Runs a body with a connection of its own, away from the cooperative pool.
    private func withSession<Result: Sendable>(
        _ options: PostgresOptions? = nil,
        _ body: @escaping @Sendable (inout PostgresSession) throws(PostgresFailure) -> Result
    ) async throws(ExtractionError) -> Result {
        let target = target
        let options = options ?? self.options
        let outcome: Swift.Result<Result, ExtractionError> = await withCheckedContinuation { continuation in
            DispatchQueue(label: "tidemark.postgres.connector").async {
                var session = PostgresSession(target, options: options)
                do throws(PostgresFailure) {
                    continuation.resume(returning: .success(try body(&session)))
                } catch {
                    continuation.resume(returning: .failure(error.error))
                }
            }
        }
        return try outcome.get()
    }
}
