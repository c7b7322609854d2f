package import FeatureModel
import LocalDatabase
package import Logging
import ServiceLifecycle
import Synchronization

/// All lists of a config, as they are live now.
///
/// Follows the versions on the disk: a new one is read and checked beside the old one and takes its place whole; one that is
/// damaged, of another kind or too large is refused, which is logged and shown, and the old one stays. Readers hold what
/// they were given for as long as they like. Reading and checking happen on a thread of the library's own.
package final class RecallLibrary: Service, Sendable {
    private struct Slot {
        var list: RecallList?
        /// The folder of `list`.
        var path = ""
        /// Why the newest version isn't the one that is used; `nil` while it is.
        var refusal: Refusal?
    }

    private struct Refusal {
        let version: UInt64?
        let path: String
        let reason: String
        /// Not looked at again before.
        let until: ContinuousClock.Instant
    }

    /// What is loaded, and from where.
    private struct State {
        var config: RecallConfig
        var folders: [RecallFolder]
        var slots: [String: Slot] = [:]

        func isWanted(_ folder: RecallFolder) -> Bool {
            folders.contains { $0.list == folder.list && $0.path == folder.path }
        }
    }

    private let logger: Logger
    private let clock: any Clock<Duration>
    private let observe: @Sendable (RecallListStatus) -> Void
    private let disk = Disk()
    private let state: Mutex<State>

    /// A refused version is tried again after this: it may have been refused for want of memory or a disk that was away.
    static let retryAfter = Duration.seconds(30)

    /// `directory` is the config's, resolved. `observe` is told of each list after it changed or was refused.
    package init(
        _ config: RecallConfig, directory: String, logger: Logger, clock: any Clock<Duration> = ContinuousClock(),
        observe: @escaping @Sendable (RecallListStatus) -> Void = { _ in }
    ) {
        self.logger = logger
        self.clock = clock
        self.observe = observe
        state = Mutex(State(config: config, folders: Self.folders(config, directory)))
    }

    private static func folders(_ config: RecallConfig, _ directory: String) -> [RecallFolder] {
        config.lists.map { RecallFolder(directory: directory, list: $0.name) }
    }

    /// Goes by another config. Lists that it doesn't have, or has as another kind, are gone at once; what is new, or lies in
    /// another directory, comes with the next look, and what was read before stays until then.
    package func apply(_ config: RecallConfig, directory: String) {
        state.withLock { state in
            state.config = config
            state.folders = Self.folders(config, directory)
            state.slots = state.slots.filter { name, slot in
                guard let list = config.list(name) else { return false }
                return slot.list.map { $0.kind == list.kind } ?? true
            }
            // What was refused may be right by the new config.
            for name in state.slots.keys { state.slots[name]?.refusal = nil }
        }
    }

    /// The list as it is live now; `nil` for one that was never built, or whose every version was refused.
    package func list(_ name: String) -> RecallList? {
        state.withLock { $0.slots[name]?.list }
    }

    /// All lists of the config, in its order.
    package func status() -> [RecallListStatus] {
        state.withLock { $0.folders }.map { status(of: $0.list) }
    }

    private func status(of name: String) -> RecallListStatus {
        let slot = state.withLock { $0.slots[name] }
        return RecallListStatus(name: name, list: slot?.list, refusal: slot?.refusal?.reason)
    }

    /// Looks for new versions once.
    package func load() async {
        for folder in state.withLock({ $0.folders }) { await disk.refresh(folder, self) }
    }

    /// Looks for new versions until it is cancelled or asked to stop.
    package func run() async throws {
        try? await cancelWhenGracefulShutdown { [self] in
            while !Task.isCancelled {
                await load()
                try await clock.sleep(for: state.withLock { $0.config.refresh })
            }
        }
    }

    /// The thread on which versions are read; one at a time.
    private actor Disk {
        private let executor = QueueExecutor(label: "tidemark.recall")
        nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe executor.asUnownedSerialExecutor() }

        func refresh(_ folder: RecallFolder, _ library: RecallLibrary) {
            library.refresh(folder)
        }
    }

    // MARK: On the disk's thread

    private func refresh(_ folder: RecallFolder) {
        let now = ContinuousClock.now
        var version: UInt64?
        do throws(RecallError) {
            version = try folder.current()
            guard let version, isNew(version, of: folder, at: now) else { return }
            let list = try open(folder, version)
            guard put(list, of: folder) else { return }
            logger.info(
                "a recall list is live",
                metadata: [
                    "list": "\(list.name)", "version": "\(version)", "items": "\(list.itemCount)",
                    "bytes": "\(list.byteCount)", "newest_event": "\(Timestamps.format(list.newestEvent))",
                ])
        } catch {
            guard refuse(folder, version, error, at: now) else { return }
            logger.error(
                "a version of a recall list was refused; the one before stays",
                metadata: [
                    "list": "\(folder.list)", "version": "\(version.map(String.init) ?? "none")", "error": "\(error)",
                ])
        }
        observe(status(of: folder.list))
    }

    /// - Returns: Whether the config still has it so.
    private func put(_ list: RecallList, of folder: RecallFolder) -> Bool {
        state.withLock { state in
            guard state.isWanted(folder), state.config.list(folder.list)?.kind == list.kind else { return false }
            state.slots[folder.list] = Slot(list: list, path: folder.path)
            return true
        }
    }

    private func isNew(_ version: UInt64, of folder: RecallFolder, at now: ContinuousClock.Instant) -> Bool {
        state.withLock { state in
            guard let slot = state.slots[folder.list] else { return true }
            if let refusal = slot.refusal, refusal.version == version, refusal.path == folder.path, now < refusal.until
            {
                return false
            }
            guard slot.list?.version == version, slot.path == folder.path else { return true }
            // Rolled back to what is loaded: what was refused meanwhile is of no account.
            state.slots[folder.list]?.refusal = nil
            return false
        }
    }

    private func open(_ folder: RecallFolder, _ version: UInt64) throws(RecallError) -> RecallList {
        let (config, loaded) = state.withLock { state in
            (state.config, state.slots.values.reduce(0) { $0 + ($1.list?.byteCount ?? 0) })
        }
        let (manifest, artifact) = try folder.load(version, limit: max(0, config.maximumBytes - loaded))
        let wanted = config.list(folder.list)?.kind
        guard artifact.kind == wanted else {
            throw RecallError(
                .incompatible, "the list is of another kind than the config says",
                detail: "\(folder.list): expected \(wanted?.rawValue ?? "none"), found \(artifact.kind.rawValue); "
                    + "build it anew")
        }
        return RecallList(artifact, manifest)
    }

    /// - Returns: Whether it is news.
    private func refuse(
        _ folder: RecallFolder, _ version: UInt64?, _ error: RecallError, at now: ContinuousClock.Instant
    ) -> Bool {
        state.withLock { state in
            guard state.isWanted(folder) else { return false }
            var slot = state.slots[folder.list] ?? Slot()
            let isNews = slot.refusal?.version != version || slot.refusal?.reason != error.description
            slot.refusal = Refusal(
                version: version, path: folder.path, reason: error.description, until: now + Self.retryAfter)
            state.slots[folder.list] = slot
            return isNews
        }
    }
}

/// How a list stands in a library.
package struct RecallListStatus: Sendable {
    package let name: String
    /// What is used; `nil` for nothing.
    package let list: RecallList?
    /// Why a newer version isn't used; `nil` where the newest is.
    package let refusal: String?
}
