package import FeatureModel
import LocalDatabase

/// Reads one view of a PostgreSQL database over a connection of its own, on a queue of its own.
///
/// A call connects when there is no connection, ends within `statementTimeout` and a second, and leaves no transaction.
/// A connection that breaks or misses the deadline is dropped; the next call makes another. `close` ends a running call.
package actor PostgresReader: ViewReader {
    nonisolated private let executor: QueueExecutor
    nonisolated private let interrupt: PostgresInterrupt
    nonisolated package let isExact: Bool
    nonisolated package let needsRangeLoad: Bool
    private let view: FeatureView
    private let options: PostgresOptions
    private var session: PostgresSession
    private var plan: PostgresPlan?
    /// The connection that the plan was made on.
    private var planGeneration = 0

    nonisolated package var unownedExecutor: UnownedSerialExecutor { unsafe executor.asUnownedSerialExecutor() }

    init(_ view: FeatureView, target: PostgresTarget, options: PostgresOptions) {
        self.view = view
        self.options = options
        executor = QueueExecutor(label: "tidemark.postgres.\(view.name)")
        let interrupt = PostgresInterrupt()
        self.interrupt = interrupt
        session = PostgresSession(target, options: options, interrupt: interrupt)
        if case .tracked = view.source.watermark { isExact = true } else { isExact = false }
        needsRangeLoad =
            isExact || view.source.changes != nil || KeysPlaceholder.count(in: view.source.query) > 0
    }

    /// Connects, so that a wrong URL shows when the reader is opened.
    func connect() throws(ExtractionError) {
        do {
            try session.connect(deadline: session.callDeadline)
        } catch {
            throw error.error
        }
    }

    package func check() throws(ExtractionError) {
        plan = nil
        try perform { (plan, session, deadline) throws(PostgresFailure) in
            try plan.validate(&session, deadline: deadline)
            if plan.statements.watermark?.isTime == true {
                _ = try ClockBound.read(&session, deadline: deadline)
            }
        }
    }

    package func history() throws(ExtractionError) -> SourceHistory {
        try perform { (plan, session, deadline) throws(PostgresFailure) in
            try plan.history(&session, deadline: deadline)
        }
    }

    package func startCursor() throws(ExtractionError) -> ChangeCursor {
        try perform { (plan, session, deadline) throws(PostgresFailure) in
            ChangeCursor(try plan.startCursor(&session, deadline: deadline))
        }
    }

    package func readChanges(after cursor: ChangeCursor, limit: Int) throws(ExtractionError) -> ChangePage {
        guard let place = PostgresCursor(cursor.text) else {
            throw ExtractionError(
                .corrupt, "the cursor is none of PostgreSQL's", detail: String(cursor.text.prefix(100)))
        }
        return try perform { (plan, session, deadline) throws(PostgresFailure) in
            plan.statements.tracking == nil
                ? try plan.watermarkPage(behind: place, limit: max(1, limit), &session, deadline: deadline)
                : try plan.trackedPage(behind: place, limit: max(1, limit), &session, deadline: deadline)
        }
    }

    package func readRange(after: EntityKey?, limit: Int) throws(ExtractionError) -> RangePage {
        try perform { (plan, session, deadline) throws(PostgresFailure) in
            try plan.rangePage(after: after, limit: max(1, limit), &session, deadline: deadline)
        }
    }

    package func readEntities(_ keys: [EntityKey]) throws(ExtractionError) -> RowChunk {
        try perform { (plan, session, deadline) throws(PostgresFailure) in
            try plan.readEntities(keys, &session, deadline: deadline)
        }
    }

    package func lag(behind cursor: ChangeCursor) throws(ExtractionError) -> SourceLag {
        guard let place = PostgresCursor(cursor.text) else {
            throw ExtractionError(
                .corrupt, "the cursor is none of PostgreSQL's", detail: String(cursor.text.prefix(100)))
        }
        return try perform { (plan, session, deadline) throws(PostgresFailure) in
            try plan.lag(behind: place, &session, deadline: deadline)
        }
    }

    package func prune(below cursor: ChangeCursor) throws(ExtractionError) {
        guard let place = PostgresCursor(cursor.text) else { return }
        let retention = options.changeRetention
        try perform { (plan, session, deadline) throws(PostgresFailure) in
            try plan.prune(below: place, retention: retention, &session, deadline: deadline)
        }
    }

    package func estimatedCount() throws(ExtractionError) -> Int64? {
        try perform { (plan, session, deadline) throws(PostgresFailure) in
            try plan.estimatedCount(&session, deadline: deadline)
        }
    }

    nonisolated package func close() async {
        interrupt.fire()
        await disconnect()
    }

    private func disconnect() {
        session.disconnect()
    }

    /// Runs a call with a plan that fits the connection, and turns its failure into what a caller should do.
    private func perform<Result>(
        _ body: (PostgresPlan, inout PostgresSession, ContinuousClock.Instant) throws(PostgresFailure) -> Result
    ) throws(ExtractionError) -> Result {
        let deadline = session.callDeadline
        session.dropIfClosed()
        do throws(PostgresFailure) {
            return try body(try currentPlan(deadline: deadline), &session, deadline)
        } catch {
            guard error.isSchemaChange else { throw error.error }
            // Tables change while views are read: what does not fit is told by a fresh look, in full.
            plan = nil
            do throws(PostgresFailure) {
                _ = try currentPlan(deadline: deadline)
            } catch let fresh {
                throw fresh.error
            }
            guard error.state.isEmpty || error.state == "0A000" else { throw error.error }
            throw ExtractionError(
                .unavailable, "the source's tables changed while they were read", detail: error.error.detail)
        }
    }

    private func currentPlan(deadline: ContinuousClock.Instant) throws(PostgresFailure) -> PostgresPlan {
        try session.connect(deadline: deadline)
        if let plan, planGeneration == session.generation { return plan }
        let fresh = try PostgresPlan.make(view, &session, deadline: deadline)
        plan = fresh
        planGeneration = session.generation
        return fresh
    }
}
