package import FeatureModel
package import Logging
import NIOPosix
import ServiceLifecycle
import Synchronization
package import Telemetry

/// Takes changes of the config file into a daemon that runs: validates, then swaps whole, else keeps the old one and says why.
///
/// It looks at the file in an interval, and at once when `hangups` yields or `reload` is called. A file that an editor
/// is still writing is half a file, and half a config may be a valid one; so what a look finds counts when the next one finds
/// it again. A hangup is somebody's word that the file is done.
package actor ConfigReloader: Service {
    /// What became of one reload.
    package enum Outcome: String, Sendable, CaseIterable {
        /// Another config is in force.
        case applied
        /// The file says what is in force.
        case unchanged
        /// The file is wrong, and the old config stays.
        case refused
        /// The file can't be read, and the old config stays.
        case unreadable
    }

    /// How the reloading goes.
    package struct Status: Sendable {
        /// Of the text of the config in force, 16 hex digits.
        package var hash: String
        /// 1 at the start, and one more with each config that takes the place of another.
        package var generation: UInt64 = 1
        /// Why the file is not what is in force; `nil` when it is.
        package var problem: String?
        /// Keys that differ from what the daemon was started with and count from its next start.
        package var waitingForRestart: [String] = []
    }

    /// Resolves all that a config names (files, secrets) and gives what puts it in force. Runs on no event loop.
    package typealias Preparation = @Sendable (Config) async throws -> Commit
    /// The same for the config in force, which the files that it names may have left behind; `nil` when they have not.
    package typealias Refreshment = @Sendable (Config) async throws -> Commit?
    /// Puts something in force; cannot fail.
    package typealias Commit = @Sendable () -> Void

    private struct Shared {
        var config: Config
        var status: Status
    }

    private let started: Config
    private let read: @Sendable () throws -> [UInt8]
    private let prepare: Preparation
    private let refresh: Refreshment
    private let hangups: AsyncStream<Void>
    private let interval: Duration
    private let clock: ServingClock
    private let logger: Logger
    private let registry: MetricRegistry
    private let shared: Mutex<Shared>

    /// The text in force, and the one found last if it is another.
    private var text: [UInt8]
    private var found: [UInt8]?
    /// The text refused last.
    private var refused: [UInt8]?
    private var begun: UInt64 = 0
    private var taken: UInt64 = 0

    /// - Parameters:
    ///   - config: What the daemon was started with.
    ///   - text: What it was parsed from.
    ///   - hangups: Asks for a look at once; SIGHUP.
    ///   - interval: How often to look by itself.
    ///   - clock: The machine's, or a test's.
    ///   - logger: Told of each swap, and of each file that is refused, once.
    ///   - registry: Where outcomes are counted and the hash in force is shown.
    ///   - read: Reads the file; runs on a thread that may block.
    ///   - prepare: What it gives is called for one config after the other. What it throws leaves the old config in force.
    ///   - refresh: Asked with every look that finds the file as it was.
    package init(
        config: Config, text: [UInt8], hangups: AsyncStream<Void>, interval: Duration = .seconds(1),
        clock: ServingClock = .real, logger: Logger, registry: MetricRegistry,
        read: @escaping @Sendable () throws -> [UInt8], prepare: @escaping Preparation,
        refresh: @escaping Refreshment = { _ in nil }
    ) {
        started = config
        self.text = text
        self.hangups = hangups
        self.interval = interval
        self.clock = clock
        self.logger = logger
        self.registry = registry
        self.read = read
        self.prepare = prepare
        self.refresh = refresh
        let hash = Self.hash(text)
        shared = Mutex(Shared(config: config, status: Status(hash: hash)))
        registry.setInfo(.config, [hash])
        for outcome in Outcome.allCases { _ = registry.counter(.configReloads, [outcome.rawValue]) }
        registry.gauge(.configGeneration).set(1)
        registry.gauge(.configWaitsForRestart).set(false)
    }

    /// The config in force. Keys that wait for a restart are in it as the file has them.
    package nonisolated var current: Config { shared.withLock { $0.config } }

    /// How the reloading goes.
    package nonisolated var status: Status { shared.withLock { $0.status } }

    /// The hash that names a config's text.
    package static func hash(_ text: [UInt8]) -> String {
        var print = Fingerprint()
        print.combine(String(decoding: text, as: UTF8.self))
        return print.hex
    }

    /// Looks until graceful shutdown or cancellation.
    package func run() async throws {
        await cancelWhenGracefulShutdown {
            await withTaskGroup(of: Void.self) { group in
                group.addTask {
                    while (try? await self.clock.sleep(self.interval)) != nil { await self.look(trusting: false) }
                }
                group.addTask {
                    for await _ in self.hangups { await self.look(trusting: true) }
                }
            }
        }
    }

    /// Takes the file as it is now.
    @discardableResult
    package func reload() async -> Outcome { await look(trusting: true) }

    /// What a look has found, before anything of it counts.
    private enum Finding: Sendable {
        /// Nothing but what is known already.
        case nothing(Outcome)
        case same(Commit?)
        case next(Config, Commit)
        case wrong(String)
        case notReady(String)
        case gone(String)
    }

    @discardableResult
    private func look(trusting: Bool) async -> Outcome {
        begun += 1
        let number = begun
        let read = read
        let result: Result<[UInt8], any Error>
        do {
            result = .success(try await NIOThreadPool.singleton.runIfActive { try read() })
        } catch {
            result = .failure(error)
        }
        // A look that began later has ended before and knows better.
        guard number > taken else { return .unchanged }
        switch result {
        case .success(let text):
            let wasInForce = text == self.text
            let finding = await find(text, trusting: trusting)
            // Another look may have put a text in force meanwhile: this one, or one beside which what was found doesn't belong.
            guard number > taken, wasInForce == (text == self.text) else { return .unchanged }
            // A look that only remembers a text takes nothing away from one that prepares it.
            if case .nothing(let outcome) = finding { return outcome }
            taken = number
            return take(finding, text, trusting: trusting)
        case .failure(let error):
            taken = number
            found = nil
            return take(.gone("\(error)"), [], trusting: trusting)
        }
    }

    private func find(_ text: [UInt8], trusting: Bool) async -> Finding {
        if text == self.text {
            found = nil
            do {
                return .same(try await refresh(current))
            } catch {
                return .notReady("\(error)")
            }
        }
        let isKnown = text == found
        found = text
        // The first look at a new text only remembers it; a text that was refused is refused in silence from then on.
        guard trusting || isKnown else { return .nothing(.unchanged) }
        if !trusting, refused == text { return .nothing(.refused) }
        let config: Config
        do throws(DefinitionErrors) {
            config = try Config.parse(file: started.file, text: text)
        } catch {
            return .wrong("\(error)")
        }
        do {
            return .next(config, try await prepare(config))
        } catch {
            return .notReady("\(error)")
        }
    }

    private func take(_ finding: Finding, _ text: [UInt8], trusting: Bool) -> Outcome {
        switch finding {
        case .nothing(let outcome): return outcome
        case .same(let commit): return stay(commit, trusting: trusting)
        case .next(let config, let commit):
            put(config, text, commit)
            return .applied
        case .wrong(let problem):
            let isNews = refused != text
            refused = text
            return keep(.refused, problem, isNews: isNews, counts: true)
        // What the text names may be put right without the text, so it is looked at again.
        case .notReady(let problem):
            return keep(.refused, problem, isNews: status.problem != problem, counts: trusting)
        case .gone(let problem):
            return keep(.unreadable, problem, isNews: status.problem != problem, counts: trusting)
        }
    }

    private func stay(_ commit: Commit?, trusting: Bool) -> Outcome {
        if status.problem != nil {
            shared.withLock { $0.status.problem = nil }
            logger.info("the config file is again what is in force")
        }
        guard let commit else {
            if trusting { count(.unchanged) }
            return .unchanged
        }
        commit()
        count(.applied)
        logger.info("files that the config names are in force as they are now")
        return .applied
    }

    private func put(_ config: Config, _ text: [UInt8], _ commit: Commit) {
        self.text = text
        found = nil
        refused = nil
        let hash = Self.hash(text)
        let waiting = ConfigChange.waitingForRestart(from: started, to: config)
        // Who sees the generation finds its config in force.
        commit()
        let generation = shared.withLock { shared in
            shared.config = config
            shared.status = Status(
                hash: hash, generation: shared.status.generation + 1, problem: nil, waitingForRestart: waiting)
            return shared.status.generation
        }
        registry.setInfo(.config, [hash])
        registry.gauge(.configGeneration).set(Double(generation))
        registry.gauge(.configWaitsForRestart).set(!waiting.isEmpty)
        count(.applied)
        logger.info("another config is in force", metadata: ["config": "\(hash)", "generation": "\(generation)"])
        if !waiting.isEmpty {
            logger.warning(
                "some of the config counts from the next start only",
                metadata: ["keys": "\(waiting.joined(separator: " "))"])
        }
    }

    private func keep(_ outcome: Outcome, _ problem: String, isNews: Bool, counts: Bool) -> Outcome {
        shared.withLock { $0.status.problem = problem }
        if counts || isNews { count(outcome) }
        if isNews {
            logger.error("the config file is not taken; the old config stays", metadata: ["error": "\(problem)"])
        }
        return outcome
    }

    private func count(_ outcome: Outcome) { registry.counter(.configReloads, [outcome.rawValue]).add() }
}
