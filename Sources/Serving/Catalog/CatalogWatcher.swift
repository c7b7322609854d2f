package import Logging
package import OnlineStore
import ServiceLifecycle
import Synchronization

/// Keeps the catalog that lookups go by in step with the store: looks at it in an interval, swaps whole catalogs, and keeps
/// the last good one through everything the store may do.
///
/// Free to share. `generation` is one atomic load, for caches that check it with each request; `current` takes a lock for as
/// long as a reference is copied.
package final class CatalogWatcher: Service {
    /// How the watching goes.
    package struct Status: Sendable {
        /// Of the catalog in force; 0 before the first.
        package var generation: UInt64 = 0
        /// When the store was last looked at with success.
        package var lastLook: ContinuousClock.Instant?
        /// What keeps the catalog from being the store's, in words; empty when it is.
        package var problems: [String] = []
        /// Looks that failed, or found what makes no sense.
        package var failures = 0
        /// Looks in all.
        package var looks = 0

        /// How old what is known of the store is; `nil` before the first good look.
        package func age(at now: ContinuousClock.Instant) -> Duration? { lastLook.map { now - $0 } }
    }

    /// What looks work on. Held while documents are decoded, so no event loop asks for it.
    private struct Machine {
        var assembler: CatalogAssembler
        /// Looks are numbered as they begin; one that began before another ended is not taken after it.
        var begun: UInt64 = 0
        var taken: UInt64 = 0
    }

    private let store: any OnlineStore
    private let clock: ServingClock
    private let logger: Logger
    private let interval: Mutex<Duration>
    private let machine: Mutex<Machine>
    /// Always held for a moment only; taken under `machine`, never the other way round.
    private let shared = Mutex<(current: ServingCatalog?, status: Status)>((nil, Status()))
    private let published = Atomic<UInt64>(0)
    private let logged = Mutex<[String]>([])

    /// - Parameters:
    ///   - store: Where the catalog is; its own deadlines bound each look.
    ///   - project: Whose.
    ///   - interval: How often to look, `serve.catalog_refresh`; each time a quarter more or less.
    ///   - clock: The machine's, or a test's.
    ///   - logger: Told of swaps, and of problems when they change.
    package init(
        store: any OnlineStore, project: String, interval: Duration, clock: ServingClock = .real, logger: Logger
    ) {
        self.store = store
        self.clock = clock
        self.logger = logger
        self.interval = Mutex(interval)
        machine = Mutex(Machine(assembler: CatalogAssembler(project: project)))
    }

    /// The catalog in force; `nil` before the first good look.
    package var current: ServingCatalog? { shared.withLock { $0.current } }

    /// The generation of `current`, or 0: what a cache compares before it asks for `current`.
    package var generation: UInt64 { published.load(ordering: .acquiring) }

    /// How the watching goes, for readiness and metrics.
    package var status: Status { shared.withLock { $0.status } }

    /// Changes how often it looks, from the next look on.
    package func setInterval(_ interval: Duration) { self.interval.withLock { $0 = interval } }

    /// Looks until graceful shutdown or cancellation.
    package func run() async throws {
        try await cancelWhenGracefulShutdown {
            do {
                while true {
                    await self.look()
                    let wait = self.interval.withLock { $0 } * (0.75 + 0.5 * self.clock.random())
                    try await self.clock.sleep(wait)
                }
            } catch is CancellationError {
                return
            }
        }
    }

    /// Looks at the store once. `true` when there is a catalog afterwards.
    @discardableResult
    package func look() async -> Bool {
        let (assembler, number) = machine.withLock { machine in
            machine.begun += 1
            return (machine.assembler, machine.begun)
        }
        do throws(StoreError) {
            take(try await assembler.read(from: store), number)
        } catch {
            failed("the store can't be read: \(error)", number)
        }
        return generation > 0
    }

    private func take(_ documents: [String: Document], _ number: UInt64) {
        let swapped = machine.withLock { machine -> ServingCatalog? in
            guard number > machine.taken else { return nil }
            machine.taken = number
            let isSwapped = machine.assembler.assemble(documents)
            let swapped = isSwapped ? machine.assembler.current : nil
            publish(swapped, machine.assembler.problems)
            return swapped
        }
        if let swapped { logSwap(swapped) }
        logProblems()
    }

    private func failed(_ problem: String, _ number: UInt64) {
        machine.withLock { machine in
            guard number > machine.taken else { return }
            machine.taken = number
            publish(nil, [problem])
        }
        logProblems()
    }

    private func publish(_ swapped: ServingCatalog?, _ problems: [String]) {
        let now = clock.now()
        shared.withLock { shared in
            shared.status.looks += 1
            shared.status.problems = problems
            // What a store says that lost or garbled its documents makes nothing younger.
            if problems.isEmpty { shared.status.lastLook = now } else { shared.status.failures += 1 }
            guard let swapped else { return }
            shared.current = swapped
            shared.status.generation = swapped.generation
            published.store(swapped.generation, ordering: .releasing)
        }
    }

    private func logSwap(_ catalog: ServingCatalog) {
        let versions = catalog.versions.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
        logger.info(
            "another catalog is served",
            metadata: [
                "generation": "\(catalog.generation)", "hash": "\(catalog.hash)",
                "versions": "\(versions.joined(separator: " "))",
            ])
    }

    /// Logs problems when they are others than those logged last.
    private func logProblems() {
        let status = status
        let isNews = logged.withLock { logged in
            defer { logged = status.problems }
            return logged != status.problems
        }
        guard isNews else { return }
        let problems = status.problems.joined(separator: "; ")
        if problems.isEmpty {
            logger.info("the catalog is in step with the store again")
        } else if status.generation == 0 {
            logger.warning("there is no catalog to serve yet", metadata: ["problem": "\(problems)"])
        } else {
            logger.warning("the last good catalog is served", metadata: ["problem": "\(problems)"])
        }
    }
}
