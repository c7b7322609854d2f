package import Extraction
package import FeatureModel
package import OnlineStore

/// Syncs the views of a project: one call of `sync` is one pass over all synced versions of one view.
package struct SyncEngine: Sendable {
    package let context: SyncContext
    /// By the names that definitions use in `from`.
    package let sources: [String: any SourceConnector]
    private let guards: SyncGuards

    package init(context: SyncContext, sources: [String: any SourceConnector]) {
        self.context = context
        self.sources = sources
        guards = SyncGuards(settings: context.settings, time: context.time, observer: context.observer)
    }

    /// Passes over a view's versions under its lease, retrying what can help within the settings' bounds.
    ///
    /// Each version's run is in the ledger, ended well or not.
    ///
    /// A due sweep makes room at `sweepUntil`; `nil` lets it run to its end. Returns the runs, the read version's first. What
    /// it throws is a `SyncError`, or `CancellationError` when cancelled.
    @discardableResult
    package func sync(_ view: String, sweepUntil: ContinuousClock.Instant? = nil) async throws -> [LedgerEntry] {
        var attempt = 0
        var earlier: SyncError?
        guards.attemptBegan()
        while true {
            do {
                return try await attemptSync(view, sweepUntil: sweepUntil)
            } catch let error as CancellationError {
                throw error
            } catch {
                let failure = SyncError(error)
                if case .leaseHeld = failure { throw failure }
                // A breaker that these attempts opened themselves says less than what opened it.
                if case .breakerOpen = failure { throw earlier ?? failure }
                earlier = failure
                guard failure.isRetryable, attempt < context.settings.retriesPerPass, guards.mayRetry() else {
                    throw failure
                }
                let pause = backoff(attempt)
                attempt += 1
                context.observer.observe(.retrying(view: view, after: pause, error: "\(failure)"))
                try await context.time.sleep(pause)
            }
        }
    }

    /// Exponential with full jitter above a floor of a quarter.
    private func backoff(_ attempt: Int) -> Duration {
        let bound = min(
            context.settings.retryMaximum.inSeconds,
            context.settings.retryInitial.inSeconds * Double(1 << min(attempt, 16)))
        return .seconds(bound * (0.25 + 0.75 * context.time.random()))
    }

    private func attemptSync(_ name: String, sweepUntil: ContinuousClock.Instant?) async throws -> [LedgerEntry] {
        let applied = try await guards.call("online_store", isFault: { ($0 as? StoreError)?.isRetryable == true }) {
            try await context.catalog.versions(of: name)
        }
        guard var versions = applied else { throw SyncError.notApplied("view \(name)") }
        if versions.isPaused { throw SyncError.paused(view: name) }
        let keeper = LeaseKeeper(context: context)
        return try await keeper.withLease(name) { session in
            let now = context.time.wall()
            if versions.previous?.retireAt.map({ $0 <= now }) == true {
                versions = try await context.catalog.updateVersions(of: name) { $0.retireExpired(at: now) }
                CrashPoint.retired.reached()
            }
            var entries: [LedgerEntry] = []
            var failure: (any Error)?
            for version in versions.synced {
                do {
                    entries.append(try await syncVersion(version, of: name, session, sweepUntil))
                } catch {
                    // A version whose definition the source no longer serves must not keep the next one from being built.
                    guard (error as? ExtractionError)?.isRetryable == false else { throw error }
                    failure = failure ?? error
                }
            }
            if let failure { throw failure }
            try await prune(versions, read: entries)
            return entries
        }
    }

    private func syncVersion(
        _ version: ViewVersions.Version, of name: String, _ session: any StoreSession,
        _ sweepUntil: ContinuousClock.Instant?
    ) async throws -> LedgerEntry {
        let view = try definition(of: version)
        let startedAt = context.time.wall()
        var entry = LedgerEntry(
            view: view.name, version: version.number, from: "", startedAt: startedAt, owner: context.settings.owner)
        var reader: (any ViewReader)?
        do {
            let opened = try await open(view)
            reader = opened
            entry = try await pass(view, version, opened, session, sweepUntil, &entry)
        } catch {
            count(error, source: view.source.from)
            entry.outcome = error is CancellationError ? "stopped" : SyncError(error).outcome
            entry.error = error is CancellationError ? nil : "\(SyncError(error))"
            await reader?.close()
            await record(&entry, startedAt)
            throw error
        }
        await reader?.close()
        await record(&entry, startedAt)
        return entry
    }

    /// A reader that has checked its source, behind the source's breaker.
    private func open(_ view: FeatureView) async throws -> any ViewReader {
        let connector = try connector(of: view)
        return try await guards.call(
            "source_\(view.source.from)", isFault: { ($0 as? ExtractionError)?.isRetryable == true }
        ) {
            let reader = try await connector.open(view)
            do {
                try await reader.check()
                return reader
            } catch {
                await reader.close()
                throw error
            }
        }
    }

    /// Lets the source forget tracked changes that every version has read. All versions of a view are read one after the
    /// other to the source's end, so the first one's cursor is the lowest.
    private func prune(_ versions: ViewVersions, read entries: [LedgerEntry]) async throws {
        guard let first = entries.first, let version = versions.version(first.version), first.read > 0 else { return }
        let view = try definition(of: version)
        CrashPoint.beforePrune.reached()
        let reader = try await connector(of: view).open(view)
        // Changes that stay are forgotten another time.
        try? await reader.prune(below: ChangeCursor(text: first.to))
        await reader.close()
    }

    private func pass(
        _ view: FeatureView, _ version: ViewVersions.Version, _ reader: any ViewReader, _ session: any StoreSession,
        _ sweepUntil: ContinuousClock.Instant?, _ entry: inout LedgerEntry
    ) async throws -> LedgerEntry {
        let (state, isNew) = try await startingState(view, version.number, reader, session)
        let pass = ViewPass(
            view: view, version: version.number, reader: reader, session: session, state: state, context: context)
        defer { entry = pass.ledger }
        // Before any row: should this process die, the next one has to follow the changes from this start on, or it
        // would never learn of what was deleted meanwhile.
        if isNew { try await pass.mark() }
        try await run(pass, sweepUntil)
        try await finishVersion(view, version, pass)
        await report(view, version, pass, reader)
        return pass.ledger
    }

    private func count(_ error: any Error, source: String) {
        switch error {
        case let error as StoreError: context.observer.observe(.storeFailed(code: error.code.rawValue))
        case let error as ExtractionError:
            context.observer.observe(.sourceFailed(source: source, code: error.code.rawValue))
        default: break
        }
    }

    /// A run that did nothing leaves no entry; the journal is for people.
    private func record(_ entry: inout LedgerEntry, _ startedAt: Int64) async {
        entry.durationSeconds = Double(context.time.wall() - startedAt) / 1_000_000
        context.observer.observe(.finished(entry))
        guard entry.read > 0 || entry.removed > 0 || entry.outcome != "done" else { return }
        // The ledger reports; a store that can't take the entry has failed the run already or will fail the next one.
        try? await context.ledger.append(entry)
    }

    /// Where the pass goes on, and whether that is a beginning which isn't marked yet.
    ///
    /// Kept out of line: the optimiser of Swift 6.3.1 crashes on its caller otherwise.
    @inline(never)
    private func startingState(
        _ view: FeatureView, _ version: Int, _ reader: any ViewReader, _ session: any StoreSession
    ) async throws -> (state: MarkerState, isNew: Bool) {
        let space = KeySpace(project: context.project, viewKey: view.key, version: version)
        let history = try await reader.history()
        if let marker = try await session.marker(space) {
            var state = try MarkerState.decode(marker)
            state.sequence = marker.sequence
            guard let text = HistoryCheck.breakage(state, history) else { return (state, false) }
            try await rewind(&state, view, version, reader, history, because: text)
            return (state, true)
        }
        let start = try await reader.startCursor()
        let state = MarkerState(
            historyIdentity: history.identity, historyEnd: history.end,
            phase: reader.needsRangeLoad ? .loading : .following, cursor: start.text)
        return (state, true)
    }

    /// Runs a pass, and once more from the beginning when the source has forgotten the changes behind its cursor.
    private func run(_ pass: ViewPass, _ sweepUntil: ContinuousClock.Instant?) async throws {
        var breakage: ExtractionError?
        do {
            try await pass.run(sweepUntil: sweepUntil)
        } catch let error as ExtractionError {
            guard error.code == .historyBroken else { throw error }
            breakage = error
        }
        guard let breakage else { return }
        let history = try await pass.reader.history()
        try await rewind(
            &pass.state, pass.view, pass.space.version, pass.reader, history,
            because: "\(breakage.message): \(breakage.detail)")
        try await pass.mark()
        try await pass.run(sweepUntil: sweepUntil)
    }

    private func rewind(
        _ state: inout MarkerState, _ view: FeatureView, _ version: Int, _ reader: any ViewReader,
        _ history: SourceHistory, because text: String
    ) async throws {
        context.observer.observe(.historyBroke(view: view.name, version: version, text: text))
        let start = try await reader.startCursor()
        HistoryCheck.rewind(&state, history: history, start: start, needsLoad: reader.needsRangeLoad)
    }

    /// A version that is filled becomes `built`, and the current one unless activation is manual or its contract forbids it.
    private func finishVersion(_ view: FeatureView, _ version: ViewVersions.Version, _ pass: ViewPass) async throws {
        guard version.state == .building, pass.state.phase == .following else { return }
        let now = context.time.wall()
        let isAllowed = try await keepsRowCount(view, pass)
        let after = try await context.catalog.updateVersions(of: view.name) { versions in
            guard versions.finishBuilding(version.number) else { return false }
            let isFirst = versions.current == nil
            if isFirst || (view.activation == .automatic && isAllowed) {
                _ = versions.activate(version.number, at: now, keepPrevious: view.keepPrevious)
            }
            return true
        }
        CrashPoint.activated.reached()
        if after.current?.number == version.number {
            context.observer.observe(.activated(view: view.name, version: version.number))
        }
    }

    /// Whether a filled version has about as many rows as the one that is read, as far as the contract asks for it.
    private func keepsRowCount(_ view: FeatureView, _ pass: ViewPass) async throws -> Bool {
        guard let bound = view.contract.maximumRowCountChange, let filled = pass.state.rowCount,
            let current = try await context.catalog.versions(of: view.name)?.current
        else { return true }
        let space = KeySpace(
            project: context.project, viewKey: try definition(of: current).key, version: current.number)
        guard let marker = try await pass.session.marker(space),
            let before = try MarkerState.decode(marker).rowCount, before > 0,
            Double(abs(filled - before)) / Double(before) > bound
        else { return true }
        context.observer.observe(
            .breached(
                view: view.name,
                text: "version \(pass.space.version) has \(filled) rows, version \(current.number) has \(before): "
                    + "more than max_row_count_change \(bound) apart; `tidemark versions activate` reads it all the same"
            ))
        return view.contract.onBreach == .warn
    }

    /// Measures what the metrics tell. A source that can't say how far behind a view is fails no pass.
    private func report(
        _ view: FeatureView, _ version: ViewVersions.Version, _ pass: ViewPass, _ reader: any ViewReader
    ) async {
        if version.state != .previous {
            context.observer.observe(
                .succeeded(
                    view: view.name, at: context.time.wall(), interval: view.every.inSeconds,
                    sweepInterval: view.sweep.inSeconds, lastSweep: pass.state.lastSweepAt))
        }
        if let newest = pass.state.newestEventTime {
            context.observer.observe(.newestEvent(view: view.name, microseconds: newest))
        }
        if let entries = try? await context.quarantine.count(of: view.name) {
            context.observer.observe(.quarantineSize(view: view.name, entries: entries))
        }
        guard version.state == .current || version.state == .building,
            let lag = try? await reader.lag(behind: ChangeCursor(text: pass.state.cursor))
        else { return }
        context.observer.observe(.lag(view: view.name, rows: lag.rows, seconds: lag.age?.inSeconds))
        if reader.isExact {
            context.observer.observe(
                .horizon(source: view.source.from, seconds: lag.horizonAge?.inSeconds ?? 0))
        }
    }

    /// The view as it was defined for a version.
    package func definition(of version: ViewVersions.Version) throws -> FeatureView {
        try ViewDocument.decode(Array(version.definition.utf8))
    }

    /// The connector of the source that a view reads.
    package func connector(of view: FeatureView) throws(SyncError) -> any SourceConnector {
        guard let connector = sources[view.source.from] else {
            let known = sources.keys.sorted().joined(separator: ", ")
            throw .refused(
                "view \(view.name) reads source \(view.source.from), which the config doesn't name; it names: \(known)")
        }
        return connector
    }
}
