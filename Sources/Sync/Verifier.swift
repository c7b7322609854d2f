import Extraction
import FeatureModel
package import OnlineStore
import RowCodec

/// What `verify` found in one version of a view.
package struct VerifyReport: Codable, Hashable, Sendable {
    package let view: String
    package let version: Int
    package var counts = SweepCounts()
    package var repaired = false
    /// The first entities that differ, with how; at most `VerifyReport.sampleLimit`.
    package var samples: [String] = []

    package static let sampleLimit = 20
}

/// Compares a view's source with the store, row by row, as the sweep would write it.
package struct Verifier: Sendable {
    private let engine: SyncEngine
    private var context: SyncContext { engine.context }

    package init(_ engine: SyncEngine) {
        self.engine = engine
    }

    /// Compares without changing anything. Rows that look wrong are looked at twice, because changes may be on their way.
    package func verify(
        _ name: String, progress: @Sendable (Int64, Int64?) -> Void = { _, _ in }
    ) async throws -> VerifyReport {
        guard let versions = try await context.catalog.versions(of: name),
            let version = versions.current ?? versions.next
        else { throw SyncError.notApplied("view \(name)") }
        let view = try engine.definition(of: version)
        let reader = try await engine.connector(of: view).open(view)
        do {
            try await reader.check()
            // Comparing needs no lease: nothing is written.
            let session = try await context.store.openSession(
                Lease(name: name, owner: context.settings.owner, token: 0))
            let walk = CompareWalk(
                view: view, version: version.number, reader: reader, session: session, context: context)
            let report = try await walk.run(progress)
            await session.close()
            await reader.close()
            return report
        } catch {
            await reader.close()
            throw error
        }
    }

    /// Sweeps now and to the end, under the view's lease.
    package func repair(_ name: String) async throws -> [VerifyReport] {
        let recorder = SweepRecorder()
        let context = context.observed(by: recorder)
        let engine = SyncEngine(context: context, sources: engine.sources)
        try await engine.requestSweep(name)
        try await engine.sync(name)
        return recorder.reports
    }
}

/// One comparison.
private struct CompareWalk {
    let view: FeatureView
    let version: Int
    let reader: any ViewReader
    let session: any StoreSession
    let context: SyncContext

    private var space: KeySpace { KeySpace(project: context.project, viewKey: view.key, version: version) }

    func run(_ progress: (Int64, Int64?) -> Void) async throws -> VerifyReport {
        var report = VerifyReport(view: view.name, version: version)
        let marker = try await session.marker(space)
        let epoch = try marker.map { try MarkerState.decode($0).epoch } ?? 1
        let start = try await reader.history().end ?? UInt64.max
        let estimate = try await reader.estimatedCount()
        var suspects: [EntityKey] = []
        var after: EntityKey?
        repeat {
            try Task.checkCancellation()
            let page = try await reader.readRange(after: after, limit: context.settings.chunkRows)
            suspects += try await compare(page.rows, epoch, &report.counts)
            progress(report.counts.checked, estimate)
            after = page.next
        } while after != nil
        try await lookAgain(suspects, epoch, &report)
        try await orphans(epoch, start, &report)
        return report
    }

    private func compare(_ rows: RowChunk, _ epoch: UInt16, _ counts: inout SweepCounts) async throws -> [EntityKey] {
        let encoded = ChunkEncoder(view: view, erasures: context.erasures).encode(
            rows, epoch: epoch, position: rows.position ?? UInt64.max, erased: try await erased())
        counts.checked += Int64(rows.keys.count)
        counts.quarantined += Int64(encoded.faults.count)
        guard encoded.rows.count > 0 else { return [] }
        let outcomes = try await session.write(encoded.rows, in: space, mode: .compare)
        var suspects: [EntityKey] = []
        let live = outcomes.count - encoded.tombstones
        for (index, outcome) in outcomes.enumerated() {
            switch outcome {
            case .renewed: break
            case .older: counts.newer += 1
            case .created: if index < live { suspects.append(encoded.rows.keys[index]) }
            case .replaced, .conflict: suspects.append(encoded.rows.keys[index])
            }
        }
        return suspects
    }

    private func erased() async throws -> Set<String> {
        try await context.erasures.digests(entity: view.entity.name)
    }

    private func lookAgain(_ suspects: [EntityKey], _ epoch: UInt16, _ report: inout VerifyReport) async throws {
        for start in stride(from: 0, to: suspects.count, by: context.settings.chunkRows) {
            let keys = Array(suspects[start..<min(start + context.settings.chunkRows, suspects.count)])
            let rows = try await reader.readEntities(keys)
            let encoded = ChunkEncoder(view: view, erasures: context.erasures).encode(
                rows, epoch: epoch, position: rows.position ?? UInt64.max, erased: try await erased())
            guard encoded.rows.count > 0 else { continue }
            let outcomes = try await session.write(encoded.rows, in: space, mode: .compare)
            let live = outcomes.count - encoded.tombstones
            for (index, outcome) in outcomes.enumerated() {
                let key = encoded.rows.keys[index]
                switch outcome {
                case .created where index < live: note("missing in the store", key, &report, \.missing)
                case .replaced, .conflict: note("different in the store", key, &report, \.different)
                case .created, .renewed, .older: break
                }
            }
        }
    }

    private func orphans(_ epoch: UInt16, _ start: UInt64, _ report: inout VerifyReport) async throws {
        let finder = OrphanFinder(
            reader: reader, store: context.store, space: space, epoch: epoch, startPosition: start)
        var cursor: ScanCursor? = .start
        while let from = cursor {
            try Task.checkCancellation()
            let page = try await finder.page(from: from, limit: context.settings.chunkRows)
            for key in page.orphans { note("gone at the source", key, &report, \.orphaned) }
            cursor = page.next
        }
    }

    private func note(
        _ what: String, _ key: EntityKey, _ report: inout VerifyReport, _ count: WritableKeyPath<SweepCounts, Int64>
    ) {
        report.counts[keyPath: count] += 1
        if report.samples.count < VerifyReport.sampleLimit { report.samples.append("\(key.text): \(what)") }
    }
}
