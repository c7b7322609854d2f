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
        /// Why the newest version isn't the one that is used; `nil` while it is.
        var refusal: Refusal?
    }

    private struct Refusal {
        let version: UInt64?
        let reason: String
        /// Not looked at again before.
        let until: ContinuousClock.Instant
    }

    private let config: RecallConfig
    private let folders: [RecallFolder]
    private let logger: Logger
    private let clock: any Clock<Duration>
    private let observe: @Sendable (RecallListStatus) -> Void
    private let disk = Disk()
    private let slots: Mutex<[String: Slot]>

    /// A refused version is tried again after this: it may have been refused for want of memory or a disk that was away.
    static let retryAfter = Duration.seconds(30)

    /// `directory` is the config's, resolved. `observe` is told of each list after it changed or was refused.
    package init(
        _ config: RecallConfig, directory: String, logger: Logger, clock: any Clock<Duration> = ContinuousClock(),
        observe: @escaping @Sendable (RecallListStatus) -> Void = { _ in }
    ) {
        self.config = config
        self.logger = logger
        self.clock = clock
        self.observe = observe
        folders = config.lists.map { RecallFolder(directory: directory, list: $0.name) }
        slots = Mutex([:])
    }

    /// The list as it is live now; `nil` for one that was never built, or whose every version was refused.
    package func list(_ name: String) -> RecallList? {
        slots.withLock { $0[name]?.list }
    }

    /// All lists of the config, in its order.
    package func status() -> [RecallListStatus] {
        folders.map { status(of: $0.list) }
    }

    private func status(of name: String) -> RecallListStatus {
        let slot = slots.withLock { $0[name] }
        return RecallListStatus(name: name, list: slot?.list, refusal: slot?.refusal?.reason)
    }

    /// Looks for new versions once.
    package func load() async {
        for folder in folders { await disk.refresh(folder, self) }
    }

    /// Looks for new versions until it is cancelled or asked to stop.
    package func run() async throws {
        try? await cancelWhenGracefulShutdown { [self] in
            while !Task.isCancelled {
                await load()
                try await clock.sleep(for: config.refresh)
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
            guard let version, isNew(version, of: folder.list, at: now) else { return }
            let list = try open(folder, version)
            slots.withLock { $0[folder.list] = Slot(list: list) }
            logger.info(
                "a recall list is live",
                metadata: [
                    "list": "\(list.name)", "version": "\(version)", "items": "\(list.itemCount)",
                    "bytes": "\(list.byteCount)", "newest_event": "\(Timestamps.format(list.newestEvent))",
                ])
        } catch {
            guard refuse(folder.list, version, error, at: now) else { return }
            logger.error(
                "a version of a recall list was refused; the one before stays",
                metadata: [
                    "list": "\(folder.list)", "version": "\(version.map(String.init) ?? "none")", "error": "\(error)",
                ])
        }
        observe(status(of: folder.list))
    }

    private func isNew(_ version: UInt64, of name: String, at now: ContinuousClock.Instant) -> Bool {
        slots.withLock { slots in
            guard let slot = slots[name] else { return true }
            if let refusal = slot.refusal, refusal.version == version, now < refusal.until { return false }
            guard slot.list?.version == version else { return true }
            // Rolled back to what is loaded: what was refused meanwhile is of no account.
            slots[name]?.refusal = nil
            return false
        }
    }

    private func open(_ folder: RecallFolder, _ version: UInt64) throws(RecallError) -> RecallList {
        let loaded = slots.withLock { $0.values.reduce(0) { $0 + ($1.list?.byteCount ?? 0) } }
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
        _ name: String, _ version: UInt64?, _ error: RecallError, at now: ContinuousClock.Instant
    ) -> Bool {
        slots.withLock { slots in
            var slot = slots[name] ?? Slot()
            let isNews = slot.refusal?.version != version || slot.refusal?.reason != error.description
            slot.refusal = Refusal(version: version, reason: error.description, until: now + Self.retryAfter)
            slots[name] = slot
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
