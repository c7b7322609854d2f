package import Extraction
package import FeatureModel
import Glibc

/// Builds lists from their sources: into new versions on the disk, or in memory as they would have been at a time.
///
/// A build reads its query twice: for the newest event, from which everything counts, and for the events. Nothing of the
/// version before is touched until the new one is on the disk and was read back.
package struct RecallBuilder: Sendable {
    private let config: RecallConfig
    private let entities: [Entity]
    private let directory: String
    private let now: @Sendable () -> Int64
    private let open: @Sendable (_ source: String) async throws -> any QuerySource

    /// `directory` is the config's, resolved. `now` is the wall clock in microseconds since 1970.
    package init(
        _ config: RecallConfig, entities: [Entity], directory: String, now: @escaping @Sendable () -> Int64,
        open: @escaping @Sendable (_ source: String) async throws -> any QuerySource
    ) {
        self.config = config
        self.entities = entities
        self.directory = directory
        self.now = now
        self.open = open
    }

    /// Builds a list into a new version and makes that the live one.
    ///
    /// - Throws: `RecallError`, `ExtractionError`, `CancellationError`. The version before is live then.
    package func build(
        _ name: String, until: Int64? = nil, progress: @escaping @Sendable (RecallProgress) -> Void = { _ in },
        at step: @Sendable (RecallFolder.Step) -> Void = { _ in }
    ) async throws -> RecallBuildReport {
        let started = ContinuousClock.now
        let folder = RecallFolder(directory: directory, list: try list(name).name)
        let lock = try folder.lock()
        let draft = try await draft(name, until: until, progress: progress)
        progress(RecallProgress(list: name, stage: .writing, done: 0, total: nil))
        let builtAt = now()
        let seconds = (ContinuousClock.now - started).inSeconds
        let manifest = try folder.publish(
            draft.artifact, lock: lock, keep: config.keep, limit: config.maximumBytes,
            manifest: { draft.manifest(version: $0, builtAt: builtAt, seconds: seconds, bytes: $1, sha256: $2) },
            at: step)
        return RecallBuildReport(manifest: manifest, seconds: (ContinuousClock.now - started).inSeconds)
    }

    /// Builds a list in memory, of the events not after `until`: what it would have been then.
    package func make(
        _ name: String, until: Int64? = nil, progress: @escaping @Sendable (RecallProgress) -> Void = { _ in }
    ) async throws -> RecallList {
        let draft = try await draft(name, until: until, progress: progress)
        return RecallList(
            draft.artifact, draft.manifest(version: 0, builtAt: now(), seconds: 0, bytes: 0, sha256: ""))
    }

    private func list(_ name: String) throws(RecallError) -> RecallListConfig {
        if let list = config.list(name) { return list }
        throw RecallError(
            .misconfigured, "there is no such recall list",
            detail: "\(name); there are \(config.lists.map(\.name).joined(separator: ", "))")
    }

    @concurrent private func draft(
        _ name: String, until: Int64?, progress: @escaping @Sendable (RecallProgress) -> Void
    ) async throws -> RecallDraft {
        let list = try list(name)
        let scan = try EventScan(list, entities: entities, source: try await open(list.from))
        let (newest, rows) = try await scan.newest(until: until) {
            progress(RecallProgress(list: name, stage: .looking, done: $0, total: nil))
        }
        var draft = RecallDraft(list: list, itemType: scan.itemKey.type, newest: newest ?? now(), until: until)
        guard newest != nil || list.time == nil else { throw Self.empty(list, rows) }
        draft.maximumBytes = config.maximumBytes
        draft.rowEstimate = rows > 0 ? rows : nil
        draft.progress = progress
        switch list.kind {
        case .popularity, .trending, .newest: try await draft.rank(scan)
        case .coOccurrence: try await draft.findMeetings(scan)
        case .vectors: try await draft.findVectors(scan)
        }
        guard draft.counts.events > 0 else { throw Self.empty(list, draft.counts.rows) }
        return draft
    }

    private static func empty(_ list: RecallListConfig, _ rows: Int64) -> RecallError {
        RecallError(
            .empty, "the source has no events for the list",
            detail: "list \(list.name): \(rows) rows; the version before stays")
    }
}

/// How far a build is.
package struct RecallProgress: Sendable {
    /// What it does, in this order.
    package enum Stage: String, Sendable {
        /// Looks for the newest event.
        case looking
        case reading
        /// Rounds of alternating least squares.
        case factorizing
        case computing
        case writing
    }

    package let list: String
    package let stage: Stage
    /// Rows; rounds where it factorizes, items where it computes.
    package let done: Int64
    package let total: Int64?
}

/// What a build made.
package struct RecallBuildReport: Sendable {
    package let manifest: RecallManifest
    package let seconds: Double
}
