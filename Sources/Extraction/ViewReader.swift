package import FeatureModel

/// A database (or directory of files) that views read from. One a configured source.
package protocol SourceConnector: Sendable {
    /// Opens a reader of one view. Each reader has a connection of its own.
    func open(_ view: FeatureView) async throws(ExtractionError) -> any ViewReader

    /// The statements that make a view's change tracking exact: triggers, columns, tables, indexes.
    /// Empty where nothing is needed. Running them twice does no harm.
    func installStatements(for view: FeatureView) async throws(ExtractionError) -> [String]

    /// Runs `installStatements`, and verifies that changes are tracked from then on.
    func install(for view: FeatureView) async throws(ExtractionError)

    /// What `tidemark doctor` wants to know: reachability, permissions, clock, tracking.
    func diagnose(_ views: [FeatureView]) async -> [SourceFinding]

    /// Closes what the connector holds.
    func close() async
}

/// Reads one view's rows. Calls come one at a time; every one has a deadline and holds no transaction afterwards.
///
/// Each page is read in one snapshot of the source. `position` is that snapshot's horizon: everything the source committed
/// before it is in the page. Positions never go down within one history. A reader whose `isExact` is false
/// has no horizon and returns `nil`; its caller numbers the pages in the order of reading.
package protocol ViewReader: Sendable {
    /// Whether no committed change can be missed, and whether deletes arrive as changes.
    var isExact: Bool { get }

    /// Checks that the query runs and yields every column the view needs with a type that can hold it.
    ///
    /// - Throws: `schemaMismatch` naming view, column, expected and found; `notInstalled` where tracking is missing.
    func check() async throws(ExtractionError)

    /// The identity and the end of the source's history.
    func history() async throws(ExtractionError) -> SourceHistory

    /// A cursor at the source's present end: changes committed from now on lie behind it.
    /// For a reader that finds all rows by watermark (`column` without `:keys`) it is the beginning.
    func startCursor() async throws(ExtractionError) -> ChangeCursor

    /// Whether a first load must walk all entities (`readRange`) before changes are followed.
    /// False where following the changes from the beginning yields every row.
    var needsRangeLoad: Bool { get }

    /// Changes behind a cursor, at most `limit` changed entities.
    func readChanges(after cursor: ChangeCursor, limit: Int) async throws(ExtractionError) -> ChangePage

    /// Rows of entities in the reader's own stable order behind `after` (`nil`: from the first), at most `limit` entities.
    func readRange(after: EntityKey?, limit: Int) async throws(ExtractionError) -> RangePage

    /// The present rows of given entities; those without a row come back in `removed`.
    func readEntities(_ keys: [EntityKey]) async throws(ExtractionError) -> RowChunk

    /// How far behind a cursor is.
    func lag(behind cursor: ChangeCursor) async throws(ExtractionError) -> SourceLag

    /// Forgets tracked changes below a cursor that has been marked. Bounded work a call; harmless to skip.
    func prune(below cursor: ChangeCursor) async throws(ExtractionError)

    /// An estimate of the number of entities: cheap, possibly stale; `nil` where there is none.
    func estimatedCount() async throws(ExtractionError) -> Int64?

    /// Interrupts a running call, and closes the connection.
    func close() async
}

/// Rows read in one snapshot.
package struct RowChunk: Sendable {
    /// The entities that have rows; distinct within the chunk.
    package var keys: [EntityKey] = []
    /// Row by row, each as wide as the view has features, in their order; each matches its feature's type.
    package var values: [FeatureValue] = []
    /// One a row; empty where the view names no event time. Microseconds since 1970.
    package var eventTimes: [Int64] = []
    /// Entities that are deleted: soft-deleted rows, or no longer returned by the query.
    package var removed: [Removal] = []
    /// Rows that could not be read as the view describes them.
    package var faults: [RowFault] = []
    /// The horizon of the snapshot; `nil` from a reader that is not exact.
    package var position: UInt64?

    package init() {}

    /// Whether there is nothing in it.
    package var isEmpty: Bool { keys.isEmpty && removed.isEmpty && faults.isEmpty }
}

/// An entity that is gone.
package struct Removal: Hashable, Sendable {
    package let key: EntityKey
    /// The event time of a soft-deleted row; `nil` for a row that is no longer there.
    package let eventTime: Int64?

    package init(key: EntityKey, eventTime: Int64? = nil) {
        self.key = key
        self.eventTime = eventTime
    }
}

/// A row that is not what the view describes.
package struct RowFault: Hashable, Sendable {
    /// `nil` where the key itself is bad.
    package let key: EntityKey?
    /// The column at fault.
    package let column: String
    /// The rule it broke, from a fixed set: a metric label (`type`, `null_key`, `range`, `encoding`, `future`, `too_large` …).
    package let rule: String
    /// What was expected and found; at most 200 characters, no whole values of other columns.
    package let reason: String
    /// Where in the source: the watermark, or the row's place.
    package let position: String

    package init(key: EntityKey?, column: String, rule: String, reason: String, position: String) {
        self.key = key
        self.column = column
        self.rule = rule
        self.reason = reason
        self.position = position
    }
}

/// Changes behind a cursor.
package struct ChangePage: Sendable {
    package var rows: RowChunk
    /// Everything up to here has been returned.
    package var next: ChangeCursor
    /// Whether nothing more was committed (or settled) when the page was read.
    package var isLast: Bool
    /// How many change records the page stands for.
    package var changeCount: Int

    package init(rows: RowChunk, next: ChangeCursor, isLast: Bool, changeCount: Int) {
        self.rows = rows
        self.next = next
        self.isLast = isLast
        self.changeCount = changeCount
    }
}

/// Part of a walk over all entities.
package struct RangePage: Sendable {
    package var rows: RowChunk
    /// The last entity of the page in the reader's order, or `nil` at the end of the walk.
    package var next: EntityKey?

    package init(rows: RowChunk, next: EntityKey?) {
        self.rows = rows
        self.next = next
    }
}

/// A place in a source's order of changes. Only its reader knows what the text means; people can read it.
package struct ChangeCursor: Hashable, Sendable {
    package let text: String

    package init(text: String) {
        self.text = text
    }
}

/// Which history a source's positions belong to.
package struct SourceHistory: Hashable, Sendable {
    /// Names the history: a system id and timeline, a file's instance id. Another one means the history broke.
    package let identity: String
    /// The horizon now; `nil` from a reader that is not exact. Below an earlier one means the history broke.
    package let end: UInt64?

    package init(identity: String, end: UInt64?) {
        self.identity = identity
        self.end = end
    }
}

/// How far behind a cursor is.
package struct SourceLag: Hashable, Sendable {
    /// Change records behind the cursor; counting stops at `SourceLag.countLimit`.
    package let rows: Int64
    /// Age by the source's clock of the oldest change behind the cursor; `nil` when there is none or it can't be told.
    package let age: Duration?
    /// How long the oldest open transaction has held the source's horizon back; `nil` where nothing does or can.
    package let horizonAge: Duration?

    package static let countLimit: Int64 = 100_000

    package init(rows: Int64, age: Duration?, horizonAge: Duration? = nil) {
        self.rows = rows
        self.age = age
        self.horizonAge = horizonAge
    }
}

/// One thing `tidemark doctor` found in a source.
package struct SourceFinding: Sendable {
    /// How bad it is.
    package enum Grade: String, Sendable {
        case good
        case warning
        case bad
    }

    package let check: String
    package let grade: Grade
    /// What was found and, unless it is good, what to do.
    package let text: String

    package init(check: String, grade: Grade, text: String) {
        self.check = check
        self.grade = grade
        self.text = text
    }
}
