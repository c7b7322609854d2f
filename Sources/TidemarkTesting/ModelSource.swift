package import Extraction
package import FeatureModel
import Synchronization

/// A source that is a model of one: transactions that commit late, deletes, lost histories, failures on demand.
///
/// It behaves as the contract of `ViewReader` says a database does, without one, so that schedules can be run by the ten thousand.
/// Its view has one `int64` feature, `stamp`: the number of the write, unique and rising in order of writing.
package final class ModelSource: SourceConnector {
    /// How changed rows are found.
    package enum Mode: Sendable {
        /// By transaction number below the oldest open transaction: as PostgreSQL with a stamp.
        case exact
        /// By a column with lookback, in the order of writing: late commits within the lookback are found, deletes are not.
        case column(lookback: Int64)
    }

    struct Row: Hashable {
        var stamp: Int64
        var eventTime: Int64
        /// The transaction that wrote it.
        var transaction: UInt64
    }

    struct State {
        var rows: [EntityKey: Row] = [:]
        /// Changed entities by transaction, those of open transactions left out.
        var log: [(transaction: UInt64, key: EntityKey)] = []
        /// Changes of transactions below this one are forgotten.
        var prunedBelow: UInt64 = 0
        /// What open transactions will write, with the stamps they took when they began.
        var open: [UInt64: [(write: Write, stamp: Int64)]] = [:]
        var nextTransaction: UInt64 = 1
        var nextStamp: Int64 = 1
        var identity = 1
        /// The stamps that were ever committed in the present history, and those that went with a lost one.
        var committed: Set<Int64> = []
        var lost: Set<Int64> = []
        var failures = 0
        /// Reads until one is held with its page in hand; `nil` for none.
        var readsUntilHold: Int?
        var held: CheckedContinuation<Void, Never>?
    }

    /// One change inside a transaction.
    package enum Write: Sendable {
        case put(EntityKey, eventTime: Int64)
        case delete(EntityKey)
    }

    package let mode: Mode
    let state = Mutex(State())

    package init(mode: Mode) {
        self.mode = mode
    }

    // MARK: What a test does

    /// Begins a transaction; its number and stamps are taken now, its writes show when it commits. As with row locks, no
    /// two open transactions may write one entity.
    package func begin(_ writes: [Write]) -> UInt64 {
        state.withLock { state in
            let number = state.nextTransaction
            state.nextTransaction += 1
            state.open[number] = writes.enumerated().map { ($1, state.nextStamp + Int64($0)) }
            state.nextStamp += Int64(writes.count)
            return number
        }
    }

    /// Commits a transaction begun before.
    package func commit(_ number: UInt64) {
        state.withLock { state in
            guard let writes = state.open.removeValue(forKey: number) else { return }
            for (write, stamp) in writes {
                switch write {
                case .put(let key, let eventTime):
                    state.committed.insert(stamp)
                    state.rows[key] = Row(stamp: stamp, eventTime: eventTime, transaction: number)
                    state.log.append((number, key))
                case .delete(let key):
                    state.rows[key] = nil
                    state.log.append((number, key))
                }
            }
        }
    }

    /// Gives an open transaction up.
    package func rollBack(_ number: UInt64) {
        state.withLock { _ = $0.open.removeValue(forKey: number) }
    }

    /// The transactions that are open.
    package var openTransactions: [UInt64] { state.withLock { $0.open.keys.sorted() } }

    /// What every lookup should answer: entity → stamp.
    package var truth: [EntityKey: Int64] { state.withLock { $0.rows.mapValues(\.stamp) } }

    /// Whether a stamp was committed in a history that was lost since.
    package func isLost(_ stamp: Int64) -> Bool { state.withLock { $0.lost.contains(stamp) } }

    /// A copy of the whole source, to be put back later.
    package struct Backup: Sendable {
        let rows: [EntityKey: Row]
        let log: [(transaction: UInt64, key: EntityKey)]
        let nextTransaction: UInt64
        let committed: Set<Int64>
    }

    /// Copies the source; open transactions are not part of it.
    package func backup() -> Backup {
        state.withLock {
            Backup(rows: $0.rows, log: $0.log, nextTransaction: $0.nextTransaction, committed: $0.committed)
        }
    }

    /// Puts an older copy in place, as a failover that lost its tail would: another identity, numbers that come again.
    package func restore(_ backup: Backup) {
        state.withLock { state in
            state.lost.formUnion(state.committed.subtracting(backup.committed))
            state.committed = backup.committed
            state.rows = backup.rows
            state.log = backup.log
            state.nextTransaction = backup.nextTransaction
            state.prunedBelow = 0
            state.open = [:]
            state.identity += 1
        }
    }

    /// Forgets all changes committed so far, read or not: as a log is that is kept for some days only.
    package func forgetChanges() {
        state.withLock { state in
            let horizon = state.open.keys.min() ?? state.nextTransaction
            state.prunedBelow = horizon
            state.log.removeAll { $0.transaction < horizon }
        }
    }

    /// Makes the next calls fail as a source that is away does.
    package func failNext(_ calls: Int) {
        state.withLock { $0.failures = calls }
    }

    /// Holds a later read once it has its page, as a process is that is stopped there: `release` lets it go on.
    package func hold(afterReads reads: Int) {
        state.withLock { $0.readsUntilHold = reads }
    }

    /// Whether a read is being held.
    package var isHolding: Bool { state.withLock { $0.held != nil } }

    /// Lets a held read go on, and holds no more.
    package func release() {
        let held = state.withLock { state in
            defer { state.held = nil }
            state.readsUntilHold = nil
            return state.held
        }
        held?.resume()
    }

    func holdIfAsked() async {
        let isTurn = state.withLock { state in
            guard let reads = state.readsUntilHold else { return false }
            state.readsUntilHold = reads > 0 ? reads - 1 : nil
            return reads == 0
        }
        guard isTurn else { return }
        await withCheckedContinuation { continuation in state.withLock { $0.held = continuation } }
    }

    func throwIfFailing() throws(ExtractionError) {
        let fails = state.withLock { state in
            if state.failures == 0 { return false }
            state.failures -= 1
            return true
        }
        if fails { throw ExtractionError(.unavailable, "the model source is away") }
    }

    // MARK: SourceConnector

    package func open(_ view: FeatureView) async throws(ExtractionError) -> any ViewReader {
        try throwIfFailing()
        return ModelReader(source: self)
    }

    package func installStatements(for view: FeatureView) async throws(ExtractionError) -> [String] { [] }

    package func install(for view: FeatureView) async throws(ExtractionError) {}

    package func diagnose(_ views: [FeatureView]) async -> [SourceFinding] { [] }

    package func close() async {}

    /// The view to read it by.
    package static func view(
        mode: Mode, eventTime: Bool, ttl: Duration = .seconds(86_400), sweep: Duration = .seconds(3_600)
    ) -> FeatureView {
        let watermark: Watermark =
            switch mode {
            case .exact: .tracked(TrackedTable(table: "model", keyColumns: ["id"]))
            case .column(let lookback):
                .column(WatermarkColumn(column: "stamp", tieBreaker: ["id"], lookbackCount: lookback))
            }
        return FeatureView(
            name: "model", entity: Entity(name: "thing", keys: [Entity.Key(name: "id", type: .int64)]),
            source: ViewSource(
                from: "model", query: "SELECT id, stamp, at FROM model", watermark: watermark,
                eventTime: eventTime ? TimeColumn(column: "at", unit: .microseconds) : nil),
            every: .seconds(10), ttl: ttl, sweep: sweep,
            features: [Feature(name: "stamp", type: .scalar(.int64))])
    }
}
