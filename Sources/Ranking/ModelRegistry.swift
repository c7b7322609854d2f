import Dispatch
import Glibc
import Synchronization

/// The models of the config: one live version of each, and the one before it.
///
/// A version is read, checked, tried and warmed beside the live one, then swapped whole; one that is refused leaves the
/// live one alone and says why in the status. Loads are made one at a time, on a thread of their own, so that memory holds
/// at most one version more than those in use. `ranker` is safe from any thread and takes a lock only to copy a reference.
package final class ModelRegistry: Sendable {
    /// Says why a model must not be used with these columns, if so: most often, because the catalog has no such feature.
    package typealias ColumnCheck = @Sendable (_ model: String, _ columns: [RankerColumn]) -> String?

    private struct Loaded {
        let ranker: XGBoostRanker
        let loadedAt: Int64
    }

    private struct Entry {
        var live: Loaded?
        var previous: Loaded?
        var problem: String?
        /// The version that was read last, taken or not.
        var tried: String?
        var loads = 0
        var refusals = 0
        var rollbacks = 0
    }

    /// Calls that may wait for a load under way.
    private static let waitingLimit = 4

    private let folders: [String: ModelFolder]
    private let remotes: [String: any Ranker]
    private let entries: Mutex<[String: Entry]>
    private let waiting = Atomic<Int>(0)
    private let queue = DispatchQueue(label: "tidemark.models")
    private let check: ColumnCheck
    private let report: @Sendable (ModelEvent) -> Void

    /// `folders` are the folders of the models in process and `remotes` the models that other servers score with, by the
    /// model's name. `report` is called from the thread that loads.
    package init(
        folders: [String: ModelFolder], remotes: [String: any Ranker] = [:],
        check: @escaping ColumnCheck = { _, _ in nil },
        report: @escaping @Sendable (ModelEvent) -> Void = { _ in }
    ) {
        self.folders = folders
        self.remotes = remotes
        entries = Mutex(folders.mapValues { _ in Entry() })
        self.check = check
        self.report = report
    }

    /// What scores for that model now; `nil` when there is no such model or nothing could be loaded.
    package func ranker(_ model: String) -> (any Ranker)? {
        remotes[model] ?? entries.withLock { $0[model]?.live?.ranker }
    }

    /// Loads each model's current version. What is refused says so in its status; the others are there.
    package func load() async {
        for name in folders.keys.sorted() {
            do {
                _ = try await reload(name)
            } catch {
                continue  // `report` has told, and `list` tells.
            }
        }
    }

    /// Loads what `current` names where that is another version than the one that was read last. For calling now and then.
    package func follow() async {
        for name in names {
            // What can't be looked at was told of when it was read, and is when somebody reloads.
            guard
                let current = try? await onLoader(name, { folder throws(RankerError) in try folder.currentVersion() }),
                entries.withLock({ $0[name]?.tried }) != current
            else { continue }
            do {
                _ = try await reload(name)
            } catch {
                continue  // `report` has told, and `list` tells.
            }
        }
    }

    /// Loads the version that `current` names, or another one, which becomes the current one, and makes it live. The version
    /// that is live already, if the file is the same, stays as it is.
    package func reload(_ name: String, version: String? = nil) async throws(RankerError) -> ModelStatus {
        try await onLoader(name) { folder throws(RankerError) in
            Self.listing(try self.take(name, folder, version), folder)
        }
    }

    /// Goes back to the version before the live one, and makes it the current one of the folder too.
    ///
    /// With `target` it goes back to that one or nowhere, so that it can be called again when nobody knows what became of the first
    /// call: where `target` is live already nothing is changed, and where anything but `live` is, it throws `mismatch`.
    package func rollback(
        _ name: String, to target: String? = nil, from live: String? = nil
    ) async throws(RankerError) -> ModelStatus {
        try await onLoader(name) { folder throws(RankerError) in
            guard let target else { return Self.listing(try self.goBack(name, folder), folder) }
            let found = self.entries.withLock { $0[name]?.live?.ranker.version }
            if found == target { return Self.listing(self.status(name), folder) }
            guard found == live, try self.before(name, folder).version == target else {
                throw RankerError(
                    .mismatch, "another version is live by now than the one that was to be rolled back", detail: name)
            }
            return Self.listing(try self.goBack(name, folder), folder)
        }
    }

    /// The version that `rollback` would go back to now.
    package func rollbackTarget(_ name: String) async throws(RankerError) -> String {
        try await onLoader(name) { folder throws(RankerError) in try self.before(name, folder).version }
    }

    /// How each model stands, by name.
    package func list() async -> [ModelStatus] {
        var statuses: [ModelStatus] = []
        for name in folders.keys.sorted() {
            let status = self.status(name)
            // A busy loader leaves the versions empty.
            let listed = try? await onLoader(name) { folder throws(RankerError) in Self.listing(status, folder) }
            statuses.append(listed ?? status)
        }
        for (name, ranker) in remotes {
            var status = ModelStatus(name: name, kind: "remote")
            status.live = .init(
                version: ranker.version, sha256: "", bytes: 0, columns: ranker.columns.map(\.description), metrics: [:],
                loadedAt: 0)
            statuses.append(status)
        }
        return statuses.sorted { $0.name < $1.name }
    }

    /// How one model stands, without a look at its folder. For metrics: cheap.
    package func status(_ name: String) -> ModelStatus {
        let entry = entries.withLock { $0[name] }
        var status = ModelStatus(name: name, kind: folders[name] == nil ? "remote" : ModelManifest.kind)
        guard let entry else { return status }
        status.live = entry.live.map(Self.describe)
        status.previous = entry.previous.map(Self.describe)
        status.problem = entry.problem
        (status.loads, status.refusals, status.rollbacks) = (entry.loads, entry.refusals, entry.rollbacks)
        status.openScores = entry.live?.ranker.openScores ?? 0
        return status
    }

    /// The names of the models whose versions lie in folders.
    package var names: [String] { folders.keys.sorted() }

    private static func describe(_ loaded: Loaded) -> ModelStatus.Version {
        let manifest = loaded.ranker.manifest
        return ModelStatus.Version(
            version: manifest.version, sha256: manifest.sha256, bytes: manifest.bytes,
            columns: manifest.columns.map(\.description), metrics: manifest.metrics, loadedAt: loaded.loadedAt)
    }

    // MARK: On the loader's thread

    private func onLoader<Value: Sendable>(
        _ name: String, _ work: @escaping @Sendable (ModelFolder) throws(RankerError) -> Value
    ) async throws(RankerError) -> Value {
        guard let folder = folders[name] else {
            throw RankerError(
                .notFound, remotes[name] == nil ? "there is no such model" : "another server has this model's versions",
                detail: String(name.prefix(80)))
        }
        guard waiting.add(1, ordering: .relaxed).newValue <= Self.waitingLimit else {
            waiting.subtract(1, ordering: .relaxed)
            throw RankerError(.overloaded, "models are being loaded, and enough wait for that")
        }
        let result: Result<Value, RankerError> = await withCheckedContinuation { continuation in
            queue.async {
                let result = Result { () throws(RankerError) in try work(folder) }
                self.waiting.subtract(1, ordering: .relaxed)
                continuation.resume(returning: result)
            }
        }
        return try result.get()
    }

    /// The status with the folder's versions; what can't be listed `problem` tells of.
    private static func listing(_ status: ModelStatus, _ folder: ModelFolder) -> ModelStatus {
        var status = status
        status.versions = (try? folder.versions()) ?? []
        return status
    }

    private func take(
        _ name: String, _ folder: ModelFolder, _ wanted: String?
    ) throws(RankerError) -> ModelStatus {
        var version = wanted
        do throws(RankerError) {
            if version == nil { version = try folder.currentVersion() }
            guard let version else { throw RankerError(.notFound, "there is no current version", detail: folder.path) }
            let read = try folder.read(version)
            if let live = entries.withLock({ $0[name]?.live }), live.ranker.manifest == read.manifest {
                if wanted != nil { try folder.setCurrent(version) }
                return settle(name, .unchanged(model: name, version: version)) { entry in
                    entry.problem = nil
                    entry.tried = version
                }
            }
            let ranker = try make(name, read)
            if wanted != nil { try folder.setCurrent(version) }
            let before = entries.withLock { $0[name]?.live?.ranker.version }
            return settle(name, .loaded(model: name, version: version, previous: before)) { entry in
                entry.previous = entry.live
                entry.live = Loaded(ranker: ranker, loadedAt: Self.now)
                entry.problem = nil
                entry.tried = version
                entry.loads += 1
            }
        } catch {
            _ = settle(name, .refused(model: name, version: version, error)) { entry in
                entry.problem = "\(version ?? "current"): \(error)"
                entry.tried = version
                entry.refusals += 1
            }
            throw error
        }
    }

    private func make(_ name: String, _ read: ModelFolder.Version) throws(RankerError) -> XGBoostRanker {
        guard read.manifest.name == name else {
            throw RankerError(
                .mismatch, "model.json is of another model", detail: String(read.manifest.name.prefix(80)))
        }
        if let problem = check(name, read.manifest.columns) {
            throw RankerError(.mismatch, "the model's features are not the catalog's", detail: problem)
        }
        return try XGBoostRanker(read)
    }

    /// The version before the live one; `loaded` where it is in memory.
    private func before(
        _ name: String, _ folder: ModelFolder
    ) throws(RankerError) -> (live: Loaded, version: String, loaded: Loaded?) {
        let (live, previous) = entries.withLock { ($0[name]?.live, $0[name]?.previous) }
        guard let live else { throw RankerError(.notFound, "nothing is live that could be rolled back", detail: name) }
        if let previous { return (live, previous.ranker.version, previous) }
        guard let older = try folder.versions().prefix(while: { $0 != live.ranker.version }).last else {
            throw RankerError(.notFound, "there is no version before the live one", detail: name)
        }
        return (live, older, nil)
    }

    private func goBack(_ name: String, _ folder: ModelFolder) throws(RankerError) -> ModelStatus {
        let (live, version, loaded) = try before(name, folder)
        // It may be in memory and no longer on disk: what `current` names must be there at the next start.
        guard try folder.versions().contains(version) else {
            throw RankerError(.notFound, "the version before the live one is gone", detail: "\(name) \(version)")
        }
        let target: Loaded
        if let loaded {
            target = loaded
        } else {
            target = Loaded(ranker: try make(name, try folder.read(version)), loadedAt: Self.now)
        }
        try folder.setCurrent(target.ranker.version)
        return settle(
            name, .rolledBack(model: name, version: target.ranker.version, from: live.ranker.version)
        ) { entry in
            entry.previous = live
            entry.live = target
            entry.problem = nil
            entry.tried = target.ranker.version
            entry.rollbacks += 1
        }
    }

    private func settle(_ name: String, _ event: ModelEvent, _ change: (inout Entry) -> Void) -> ModelStatus {
        entries.withLock { entries in
            var entry = entries[name] ?? Entry()
            change(&entry)
            entries[name] = entry
        }
        report(event)
        var status = status(name)
        switch event {
        case .loaded, .rolledBack: status.isChanged = true
        case .unchanged, .refused: break
        }
        return status
    }

    private static var now: Int64 {
        var time = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1_000
    }
}
