import Extraction
package import FeatureModel
package import OnlineStore

/// What operators do to single views: sweeps, watermarks, erasure, quarantine.
extension SyncEngine {
    /// Makes the next pass sweep every synced version, whatever the interval says.
    package func requestSweep(_ view: String) async throws {
        try await changeMarkers(of: view) { state in
            state.sweep = nil
            state.sweepNow = true
        }
    }

    /// The marker of a version; `nil` before its first chunk.
    package func markerState(of view: FeatureView, version: Int) async throws -> MarkerState? {
        let space = KeySpace(project: context.project, viewKey: view.key, version: version)
        let session = try await context.store.openSession(
            Lease(name: view.name, owner: context.settings.owner, token: 0))
        let marker = try await session.marker(space)
        await session.close()
        return try marker.map { try MarkerState.decode($0) }
    }

    /// Sets the watermark of every synced version. The next pass reads on from there.
    ///
    /// - Throws: `SyncError.refused` for a watermark that the view's source can't read on from; nothing is changed then.
    package func setWatermark(_ name: String, to cursor: String) async throws {
        guard let versions = try await context.catalog.versions(of: name) else {
            throw SyncError.notApplied("view \(name)")
        }
        for version in versions.synced {
            let reader = try await connector(of: definition(of: version)).open(definition(of: version))
            do {
                _ = try await reader.lag(behind: ChangeCursor(text: cursor))
                await reader.close()
            } catch {
                await reader.close()
                guard error.code == .misconfigured else { throw error }
                throw SyncError.refused(
                    "\(error.message): \(error.detail); `tidemark watermark get \(name)` prints the present one")
            }
        }
        try await changeMarkers(of: name) { $0.cursor = cursor }
    }

    /// Forgets how far every synced version got: the next pass loads all rows again, over the ones that are there.
    package func resetWatermark(_ name: String) async throws {
        guard let versions = try await context.catalog.versions(of: name) else {
            throw SyncError.notApplied("view \(name)")
        }
        for version in versions.synced {
            let view = try definition(of: version)
            let reader = try await connector(of: view).open(view)
            let needsLoad = reader.needsRangeLoad
            do {
                let start = try await reader.startCursor()
                try await changeMarkers(of: name, version: version.number) { state in
                    state.cursor = start.text
                    state.phase = needsLoad ? .loading : .following
                    state.loadAfter = nil
                    state.loadedRows = 0
                    state.sweep = nil
                }
            } catch {
                await reader.close()
                throw error
            }
            await reader.close()
        }
    }

    /// Changes the markers of all synced versions, or of one, under the view's lease.
    private func changeMarkers(
        of name: String, version only: Int? = nil, _ change: (inout MarkerState) -> Void
    ) async throws {
        guard let versions = try await context.catalog.versions(of: name) else {
            throw SyncError.notApplied("view \(name)")
        }
        try await LeaseKeeper(context: context).withLease(name) { session in
            for version in versions.synced where only == nil || only == version.number {
                let view = try definition(of: version)
                let space = KeySpace(project: context.project, viewKey: view.key, version: version.number)
                guard let marker = try await session.marker(space) else { continue }
                var state = try MarkerState.decode(marker)
                change(&state)
                state.sequence = marker.sequence + 1
                state.token = session.lease.token
                try await session.advance(space, to: try state.marker())
            }
        }
    }

    /// What went with an erased entity.
    package struct ErasedRows: Codable, Hashable, Sendable {
        package let view: String
        package let version: Int
        package let rows: Int
    }

    /// Puts an entity on the list of erased ones, then removes its rows from every view and version, and from quarantine.
    package func erase(_ key: EntityKey, entity: String) async throws -> [ErasedRows] {
        let digest = context.erasures.digest(key, entity: entity)
        try await context.erasures.add([digest], entity: entity, at: context.time.wall())
        var gone: [ErasedRows] = []
        for name in try await context.catalog.catalog()?.record.views ?? [] {
            guard let versions = try await context.catalog.versions(of: name) else { continue }
            for version in versions.versions {
                let view = try definition(of: version)
                guard view.entity.name == entity else { continue }
                let space = KeySpace(project: context.project, viewKey: view.key, version: version.number)
                let rows = try await context.store.remove([key], in: space)
                try await context.quarantine.remove([key.text], from: name)
                if rows > 0 { gone.append(ErasedRows(view: name, version: version.number, rows: rows)) }
            }
        }
        return gone
    }

    /// Reads quarantined entities again and writes those that are right now.
    ///
    /// - Returns: How many were written and how many are still wrong.
    package func retryQuarantine(_ view: String, ids: [String]) async throws -> (written: Int, wrong: Int) {
        guard let versions = try await context.catalog.versions(of: view) else {
            throw SyncError.notApplied("view \(view)")
        }
        let entries = try await context.quarantine.entries(of: view)
        let chosen = entries.filter { ids.isEmpty || ids.contains($0.id) }
        let keys = chosen.compactMap { $0.entity.map { EntityKey(canonical: $0) } }
        return try await LeaseKeeper(context: context).withLease(view) { session in
            var wrong = Set<String>()
            for version in versions.synced {
                let definition = try definition(of: version)
                let reader = try await connector(of: definition).open(definition)
                let retry = QuarantineRetry(
                    view: definition, version: version.number, reader: reader, session: session, context: context)
                wrong.formUnion(try await retry.run(keys))
                await reader.close()
            }
            let healed = keys.map(\.text).filter { !wrong.contains($0) }
            try await context.quarantine.remove(healed, from: view)
            return (healed.count, chosen.count - healed.count)
        }
    }
}

/// Reads entities again and writes them if they are right now.
private struct QuarantineRetry {
    let view: FeatureView
    let version: Int
    let reader: any ViewReader
    let session: any StoreSession
    let context: SyncContext

    /// The entities that are still wrong.
    func run(_ keys: [EntityKey]) async throws -> Set<String> {
        let space = KeySpace(project: context.project, viewKey: view.key, version: version)
        guard let marker = try await session.marker(space) else { return Set(keys.map(\.text)) }
        let epoch = try MarkerState.decode(marker).epoch
        let erased = try await context.erasures.digests(entity: view.entity.name)
        var wrong = Set<String>()
        for start in stride(from: 0, to: keys.count, by: context.settings.chunkRows) {
            let asked = Array(keys[start..<min(start + context.settings.chunkRows, keys.count)])
            // Behind every page this lease can have numbered, and before those of the next lease.
            let own = UInt64(truncatingIfNeeded: session.lease.token) << 32 | UInt64(start + 1)
            let rows = try await reader.readEntities(asked)
            let encoded = ChunkEncoder(view: view, erasures: context.erasures).encode(
                rows, epoch: epoch, position: rows.position ?? own, erased: erased)
            if encoded.rows.count > 0 { _ = try await session.write(encoded.rows, in: space, mode: .newest) }
            wrong.formUnion(encoded.faults.compactMap { $0.key?.text })
        }
        return wrong
    }
}
