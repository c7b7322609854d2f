import FeatureModel
package import NIOCore
package import OnlineStore
import RowCodec
import Synchronization

/// Writes rows that callers push, into every version of a view that is synced: newest wins, between pushes and the sync too.
///
/// It takes no lease, so it never waits for a sync and no sync waits for it. It may be called from anywhere. A call that
/// is cancelled or fails may have written some of its rows; pushing them again is harmless.
package final class FeatureWriter: Sendable {
    /// What bounds the writer.
    package struct Configuration: Sendable {
        /// Writes at a time; more are refused, not queued.
        package var concurrency = 32
        /// How often a row is tried that somebody else writes at the same time.
        package var attempts = 16

        package init() {}
    }

    private let catalog: CatalogStore
    private let project: String
    private let configuration: Configuration
    private let erasures: Erasures
    private let definitions = Mutex<[String: FeatureView]>([:])
    private let underWay = Atomic(0)

    package init(_ store: any OnlineStore, project: String, configuration: Configuration = .init()) {
        catalog = CatalogStore(store)
        self.project = project
        self.configuration = configuration
        erasures = Erasures(store, project: project)
    }

    private var store: any OnlineStore { catalog.store }

    /// Writes the rows of a request. Nothing is written when one of them doesn't fit.
    ///
    /// The deadline is looked at between calls of the store, each of which has a deadline of its own. `now` is in
    /// microseconds since 1970.
    package func write(
        _ request: WriteRequestBody, of body: ByteBuffer, limits: WireLimits, now: Int64,
        deadline: ContinuousClock.Instant
    ) async throws(WriteFault) -> WriteCounts {
        let others = underWay.wrappingAdd(1, ordering: .relaxed).oldValue
        defer { underWay.wrappingSubtract(1, ordering: .relaxed) }
        guard others < configuration.concurrency else { throw .overloaded }
        let targets = try await targets(request.name)
        var counts = WriteCounts()
        var jobs: [PushJob] = []
        for (index, target) in targets.enumerated() {
            do throws(WireError) {
                let rows = try FrameReader(target.view, limits: limits, now: now).rows(body, request.frame)
                let job = try PushJob(view: target.view, space: target.space, rows: rows)
                // A version whose entity has other keys has other rows.
                if let first = jobs.first, first.keys != job.keys {
                    counts.skippedVersions += 1
                } else {
                    jobs.append(job)
                }
            } catch {
                // The version that is read must fit; one that is being built may ask for more than callers know yet.
                if index == 0 { throw .request(error) }
                counts.skippedVersions += 1
            }
        }
        try await run(jobs, deadline, &counts)
        return counts
    }

    // MARK: What is written to

    /// The versions of a view that are synced, the one that is read first.
    private func targets(_ name: String) async throws(WriteFault) -> [(view: FeatureView, space: KeySpace)] {
        let record: CatalogRecord?
        let versions: ViewVersions?
        do throws(StoreError) {
            let names = [CatalogStore.catalogName, CatalogStore.versionsName(name)]
            let documents = try await store.documents(names)
            record = try documents[0].map { document throws(StoreError) in
                try ControlDocument.decode(CatalogRecord.self, from: document.bytes)
            }
            versions = try documents[1].map { document throws(StoreError) in
                try ControlDocument.decode(ViewVersions.self, from: document.bytes)
            }
        } catch {
            throw .store(error)
        }
        guard let record else { throw .refused("nothing is applied to the store yet; `tidemark apply` does it") }
        guard record.views.contains(name), let versions else { throw .noView(name, known: record.views) }
        var targets: [(view: FeatureView, space: KeySpace)] = []
        for version in versions.synced {
            let view = try definition(version.definition)
            targets.append((view, KeySpace(project: project, viewKey: view.key, version: version.number)))
        }
        guard !targets.isEmpty else {
            throw .refused("view \(name) has no version to write to; `tidemark apply` begins one")
        }
        return targets
    }

    private func definition(_ text: String) throws(WriteFault) -> FeatureView {
        if let known = definitions.withLock({ $0[text] }) { return known }
        do {
            let view = try ViewDocument.decode(Array(text.utf8))
            definitions.withLock { known in
                if known.count >= 256 { known.removeAll() }
                known[text] = view
            }
            return view
        } catch {
            throw .store(StoreError(.corrupt, "the definition of a version can't be read", detail: "\(error)"))
        }
    }

    // MARK: Writing

    private func run(
        _ jobs: [PushJob], _ deadline: ContinuousClock.Instant, _ counts: inout WriteCounts
    ) async throws(WriteFault) {
        guard let keys = jobs.first?.keys, !keys.isEmpty, let entity = jobs.first?.view.entity.name else { return }
        let digests = keys.map { erasures.digest($0, entity: entity) }
        let erased = try await self.erased(digests, entity)
        counts.erased = digests.count { erased.contains($0) }
        let wanted = keys.indices.filter { !erased.contains(digests[$0]) }
        guard !wanted.isEmpty else { return }
        try await withSession { (session) throws(WriteFault) in
            for (index, job) in jobs.enumerated() {
                let outcomes = try await write(job, wanted, session, deadline)
                if index == 0 { counts.add(outcomes) }
            }
        }
        // An entity that was erased meanwhile may have been removed before its row came.
        let late = try await self.erased(digests, entity).subtracting(erased)
        let gone = wanted.filter { late.contains(digests[$0]) }.map { keys[$0] }
        guard !gone.isEmpty else { return }
        do throws(StoreError) {
            for job in jobs { _ = try await store.remove(gone, in: job.space) }
        } catch {
            throw .store(error)
        }
    }

    private func withSession(
        _ body: (any StoreSession) async throws(WriteFault) -> Void
    ) async throws(WriteFault) {
        let session: any StoreSession
        do throws(StoreError) {
            session = try await store.openSession(Lease(name: "push", owner: "push", token: 0))
        } catch {
            throw .store(error)
        }
        do throws(WriteFault) {
            try await body(session)
        } catch {
            await session.close()
            throw error
        }
        await session.close()
    }

    private func erased(_ digests: [String], _ entity: String) async throws(WriteFault) -> Set<String> {
        do throws(StoreError) {
            guard try await erasures.count(entity: entity) > 0 else { return [] }
            return try await erasures.listed(digests, entity: entity)
        } catch {
            throw .store(error)
        }
    }

    /// Writes the wanted rows of one version: reads what they would replace, and tries again those that somebody else
    /// writes in between.
    private func write(
        _ job: PushJob, _ wanted: [Int], _ session: any StoreSession, _ deadline: ContinuousClock.Instant
    ) async throws(WriteFault) -> [WriteOutcome] {
        var pending = wanted
        var outcomes: [WriteOutcome] = []
        for _ in 0..<max(1, configuration.attempts) {
            guard ContinuousClock.now < deadline, !Task.isCancelled else { throw .deadlineExceeded }
            let conflicts: [Int]
            do throws(StoreError) {
                let stored = try await store.read(pending.map { job.keys[$0] }, in: job.space)
                let batch = try job.batch(pending, over: stored)
                let results = try await session.write(batch, in: job.space, mode: .push)
                conflicts = zip(pending, results).filter { $0.1 == .conflict }.map(\.0)
                outcomes += results.filter { $0 != .conflict }
            } catch {
                throw .store(error)
            }
            if conflicts.isEmpty { return outcomes }
            pending = conflicts
        }
        throw .store(StoreError(.unavailable, "a row changed under every attempt to write it"))
    }
}

/// What became of a write, by rows of the version that is read.
package struct WriteCounts: Sendable, Hashable {
    package var created = 0
    package var replaced = 0
    /// The same content was there.
    package var renewed = 0
    /// Something newer was there.
    package var older = 0
    /// The entity was erased and stays so.
    package var erased = 0
    /// Versions being built or kept that the rows don't fit.
    package var skippedVersions = 0

    package init() {}

    mutating func add(_ outcomes: [WriteOutcome]) {
        for outcome in outcomes {
            switch outcome {
            case .created: created += 1
            case .replaced: replaced += 1
            case .renewed: renewed += 1
            case .older, .conflict: older += 1
            }
        }
    }
}

/// Why a write was not done, or not to its end.
package enum WriteFault: Error, Sendable {
    case noView(String, known: [String])
    /// The body doesn't fit the view.
    case request(WireError)
    /// There is nothing to write to.
    case refused(String)
    case overloaded
    case deadlineExceeded
    case store(StoreError)
}
