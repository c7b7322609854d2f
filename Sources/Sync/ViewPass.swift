import Extraction
import FeatureModel
import OnlineStore

/// One pass over one version of one view, under a lease: load or follow, then sweep if it is time.
///
/// Belongs to one task. `read chunk → contract → quarantine → encode → write → acknowledge → mark`, with a bounded number
/// of chunks in flight; the marker only ever moves over chunks that were acknowledged in order.
final class ViewPass {
    let view: FeatureView
    let space: KeySpace
    let reader: any ViewReader
    let session: any StoreSession
    let context: SyncContext
    let encoder: ChunkEncoder
    var state: MarkerState
    var ledger: LedgerEntry
    private var rates: RunRates
    private var erased: Set<String> = []
    private var erasedCount = 0
    private var quarantined: Set<String> = []
    private var readCounter: UInt64 = 0

    init(
        view: FeatureView, version: Int, reader: any ViewReader, session: any StoreSession, state: MarkerState,
        context: SyncContext
    ) {
        self.view = view
        self.reader = reader
        self.session = session
        self.state = state
        self.context = context
        space = KeySpace(project: context.project, viewKey: view.key, version: version)
        encoder = ChunkEncoder(view: view, erasures: context.erasures)
        ledger = LedgerEntry(
            view: view.name, version: version, from: state.cursor, startedAt: context.time.wall(),
            owner: context.settings.owner)
        rates = RunRates(view)
    }

    /// Runs to the end of the source's changes, and the part of a due sweep that fits before `sweepUntil` (`nil`: all of it).
    func run(sweepUntil: ContinuousClock.Instant?) async throws {
        try await prepare()
        if state.phase == .loading { try await load() }
        try await follow()
        try await sweepIfDue(until: sweepUntil)
        state.lastSuccessAt = context.time.wall()
        try await mark()
        ledger.to = state.cursor
    }

    private func prepare() async throws {
        erasedCount = try await context.erasures.count(entity: view.entity.name)
        if erasedCount > 0 { erased = try await context.erasures.digests(entity: view.entity.name) }
        quarantined = try await context.quarantine.ids(of: view.name)
    }

    // MARK: Loading and following

    private func load() async throws {
        let estimate = try await reader.estimatedCount()
        var ended = false
        try await pump(.load, mode: .newest, estimate: estimate) { ahead in
            if ended { return nil }
            let after = ahead.loadAfter.map { EntityKey(canonical: $0) }
            let page = try await self.reader.readRange(after: after, limit: self.context.settings.chunkRows)
            ended = page.next == nil
            ahead.loadedRows += Int64(page.rows.keys.count)
            if let next = page.next {
                ahead.loadAfter = next.text
            } else {
                ahead.phase = .following
                ahead.loadAfter = nil
                ahead.rowCount = ahead.loadedRows
                ahead.lastSweepAt = self.context.time.wall()
            }
            return (page.rows, page.rows.keys.count)
        }
    }

    /// A writer that never rests must not keep the sweep from its turn.
    private static let pagesPerPass = 2_000

    private func follow() async throws {
        var ended = false
        var pages = 0
        try await pump(.changes, mode: .newest, estimate: nil) { ahead in
            if ended || pages >= Self.pagesPerPass { return nil }
            pages += 1
            let cursor = ChangeCursor(text: ahead.cursor)
            let page = try await self.reader.readChanges(after: cursor, limit: self.context.settings.chunkRows)
            ended = page.isLast
            ahead.cursor = page.next.text
            if ended, ahead.lastSweepAt == nil { ahead.lastSweepAt = self.context.time.wall() }
            return (page.rows, page.changeCount)
        }
    }

    // MARK: The pump

    /// Reads pages through `read` (which moves the state it is given), writes them, and marks them in order.
    ///
    /// A marker waits in the store behind all chunks on their way, so reading goes on meanwhile: if it waited, the store
    /// would run dry with each chunk. One marker is on its way at a time; it stands for all chunks settled before it.
    func pump(
        _ work: PassWork, mode: WriteMode, estimate: Int64?,
        read: (inout MarkerState) async throws -> (rows: RowChunk, count: Int)?
    ) async throws {
        var ahead = state
        var failure: (any Error)?
        let limit = context.settings.chunksInFlight
        try await withThrowingTaskGroup(of: PumpEvent.self) { group in
            var flight = ChunkFlight()
            var marks = MarkFlight()
            var ended = false
            while true {
                if marks.begin() { try sendMarker(&group) }
                while !ended, flight.count < limit, marks.unmarked < limit {
                    do {
                        guard let chunk = try await nextChunk(work, &ahead, read) else {
                            ended = true
                            break
                        }
                        send(chunk, index: flight.add(chunk), mode, &group)
                    } catch {
                        // What was read before the failure is still written and marked.
                        failure = error
                        ended = true
                    }
                }
                guard flight.count > 0 || marks.unmarked > 0, let event = try await group.next() else { break }
                switch event {
                case .marked: marks.acknowledged()
                case .written(let written):
                    let ready = flight.acknowledge(written)
                    if !ready.isEmpty { try await settle(ready, work, mode, estimate) }
                    marks.settled(ready.count)
                }
            }
        }
        if let failure { throw failure }
    }

    private func send(
        _ chunk: FlyingChunk, index: Int, _ mode: WriteMode, _ group: inout ThrowingTaskGroup<PumpEvent, any Error>
    ) {
        let (session, space) = (session, space)
        let (erasures, entity) = (context.erasures, view.entity.name)
        group.addTask {
            CrashPoint.someCommandsSent.reached()
            let rows = chunk.encoded.rows
            if rows.count == 0 {
                return .written(WrittenChunk(index: index, outcomes: [], erasedCount: chunk.erasedCount))
            }
            let outcomes = try await session.write(rows, in: space, mode: mode)
            let erasedCount = try await erasures.count(entity: entity)
            return .written(WrittenChunk(index: index, outcomes: outcomes, erasedCount: erasedCount))
        }
        CrashPoint.rowsSent.reached()
    }

    private func sendMarker(_ group: inout ThrowingTaskGroup<PumpEvent, any Error>) throws {
        let (session, space) = (session, space)
        let marker = try nextMarker()
        group.addTask {
            try await session.advance(space, to: marker)
            CrashPoint.markerAcknowledged.reached()
            return .marked
        }
    }

    private func nextChunk(
        _ work: PassWork, _ ahead: inout MarkerState,
        _ read: (inout MarkerState) async throws -> (rows: RowChunk, count: Int)?
    ) async throws -> FlyingChunk? {
        try Task.checkCancellation()
        // The number is taken before the read: whoever reads later has a larger one.
        let ownPosition = nextPosition()
        guard let page = try await read(&ahead) else { return nil }
        CrashPoint.pageRead.reached()
        let position = page.rows.position ?? ownPosition
        if let end = page.rows.position { ahead.historyEnd = max(ahead.historyEnd ?? end, end) }
        let encoded = encoder.encode(page.rows, epoch: ahead.epoch, position: position, erased: erased)
        try judge(encoded)
        ahead.saw(eventTimes: encoded.eventTimes)
        return FlyingChunk(
            encoded: encoded, stateAfter: ahead, readCount: page.count, erasedCount: erasedCount)
    }

    /// The position of a page from a reader without a horizon: later leases and later reads are larger.
    func nextPosition() -> UInt64 {
        readCounter += 1
        return UInt64(truncatingIfNeeded: session.lease.token) << 32 | readCounter
    }

    private func judge(_ chunk: EncodedChunk) throws {
        rates.add(rows: chunk.rows.count - chunk.tombstones, quarantined: chunk.faults.count)
        for (feature, count) in chunk.nulls { rates.addNulls(count, of: feature) }
        for (place, count) in Dictionary(grouping: chunk.faults, by: { FaultPlace($0) }).mapValues(\.count) {
            context.observer.observe(
                .violations(view: view.name, feature: place.column, rule: place.rule, count: count))
        }
        guard let breach = rates.breach else { return }
        context.observer.observe(.breached(view: view.name, text: breach))
        if view.contract.onBreach == .stop { throw SyncError.contractBreached(view: view.name, text: breach) }
    }

    // MARK: Behind the acknowledgement

    private func settle(
        _ chunks: [(chunk: FlyingChunk, written: WrittenChunk)], _ work: PassWork, _ mode: WriteMode,
        _ estimate: Int64?
    ) async throws {
        CrashPoint.rowsAcknowledged.reached()
        ledger.note(work)
        var next = state
        for (chunk, written) in chunks {
            let outcomes = written.outcomes
            tally(chunk, outcomes, work)
            let sequence = next.sequence
            var sweep = chunk.stateAfter.sweep
            if work == .sweep { sweep?.counts = SweepTally.adding(outcomes, chunk, to: next.sweep?.counts) }
            next = chunk.stateAfter
            next.sequence = sequence
            next.sweep = sweep
            try await quarantine(chunk.encoded)
        }
        try await removeErasedMeanwhile(chunks.filter { $0.chunk.erasedCount != $0.written.erasedCount }.map(\.chunk))
        state = next
        if work == .load { CrashPoint.loadChunkWritten.reached() }
        if work == .sweep { CrashPoint.sweepChunkWritten.reached() }
        context.observer.observe(
            .progress(
                view: view.name, version: space.version, work: work,
                rows: work == .load
                    ? state.loadedRows : work == .sweep ? state.sweep?.counts.checked ?? 0 : ledger.read,
                estimate: estimate))
    }

    /// Writes the marker behind everything acknowledged so far.
    func mark() async throws {
        try await session.advance(space, to: try nextMarker())
        CrashPoint.markerAcknowledged.reached()
    }

    /// The marker behind everything acknowledged so far. It has to be written before the next one.
    private func nextMarker() throws -> Marker {
        CrashPoint.beforeMarker.reached()
        state.sequence += 1
        state.token = session.lease.token
        state.updatedAt = context.time.wall()
        CrashPoint.markerSent.reached()
        return try state.marker()
    }

    private func tally(_ chunk: FlyingChunk, _ outcomes: [WriteOutcome], _ work: PassWork) {
        ledger.read += Int64(chunk.readCount)
        ledger.quarantined += Int64(chunk.encoded.faults.count)
        ledger.erased += Int64(chunk.encoded.erased)
        ledger.bytes += Int64(chunk.encoded.rows.bytes.count)
        let live = outcomes.count - chunk.encoded.tombstones
        for (index, outcome) in outcomes.enumerated() {
            switch outcome {
            case .older: ledger.older += 1
            case .renewed: ledger.renewed += 1
            case .conflict: ledger.conflict += 1
            case .created:
                // A tombstone where nothing was is remembered, but nobody lost a row by it.
                if index < live { ledger.created += 1 }
            case .replaced:
                if index < live { ledger.replaced += 1 } else { ledger.removed += 1 }
            }
        }
    }

    private func quarantine(_ chunk: EncodedChunk) async throws {
        try await context.quarantine.put(
            chunk.faults, view: view.name, version: space.version, at: context.time.wall())
        if !chunk.faults.isEmpty {
            CrashPoint.quarantineWritten.reached()
            for fault in chunk.faults { if let key = fault.key { quarantined.insert(key.text) } }
        }
        guard !quarantined.isEmpty else { return }
        let healed = chunk.rows.keys.map(\.text).filter { quarantined.contains($0) }
        try await context.quarantine.remove(healed, from: view.name)
        quarantined.subtract(healed)
    }

    /// An erasure that came while chunks were in flight: it listed the entity first and removed its rows then, so rows
    /// written in between are found here, before they are marked. Each chunk is held against the list it was packed under:
    /// that a chunk before it was cleaned says nothing of it.
    private func removeErasedMeanwhile(_ chunks: [FlyingChunk]) async throws {
        guard !chunks.isEmpty else { return }
        erasedCount = try await context.erasures.count(entity: view.entity.name)
        erased = try await context.erasures.digests(entity: view.entity.name)
        let keys = chunks.flatMap(\.encoded.rows.keys).filter {
            erased.contains(context.erasures.digest($0, entity: view.entity.name))
        }
        _ = try await context.store.remove(keys, in: space)
    }
}

/// Where a row broke a rule, for counting.
private struct FaultPlace: Hashable {
    let column: String
    let rule: String

    init(_ fault: RowFault) {
        column = fault.column
        rule = fault.rule
    }
}
