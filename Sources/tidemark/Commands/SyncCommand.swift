import ArgumentParser
import FeatureModel
import Logging
import OnlineStore
import ServiceLifecycle
import Sync
import Telemetry
import UnixSignals

struct SyncCommand: ProjectCommand {
    static let configuration = CommandConfiguration(
        commandName: "sync",
        abstract: "Keep the online store in step with the sources.",
        discussion: """
            Without --once: a service that syncs each view in its interval until SIGTERM or SIGINT, with a Prometheus page \
            (sync.metrics in the config). Several services may run side by side: they share the views by lease.

            With --once: one pass over the views (all, or those named) and exit, for systemd or Kubernetes timers. The \
            first sync of an empty store applies the definitions by itself. Paused views are left out.

            tidemark sync
            tidemark sync --once user_activity item
            tidemark sync --backfill user_activity
            """)

    @ParentCommand var root: Tidemark
    @OptionGroup var global: GlobalOptions
    @OptionGroup var output: OutputOptions

    @Argument(help: "Views to sync (default: all that are applied).")
    var views: [String] = []

    @Flag(name: .long, help: "One pass, then exit: 0 done, 1 failed, 3 something was quarantined.")
    var once = false

    @Flag(name: .long, help: "Build a new version of the named views under their present definition; implies --once.")
    var backfill = false

    func validate() throws {
        if backfill, views.isEmpty { throw ValidationError("--backfill needs the views to build anew by name") }
    }

    func run(_ workspace: Workspace) async throws {
        try await workspace.prepareStore()
        try await workspace.checkApplied(views)
        if once || backfill { try await runOnce(workspace) } else { try await serve(workspace) }
    }

    // MARK: Once

    private func runOnce(_ workspace: Workspace) async throws {
        let reporter = ProgressReporter(quiet: output.json)
        let engine = try await workspace.engine(observer: reporter)
        let names = views.isEmpty ? workspace.appliedViews : views
        if backfill { try await beginBackfills(engine, names) }
        var entries: [LedgerEntry] = []
        var failed = false
        for name in names {
            do {
                entries += try await Signals.stopping { try await engine.sync(name) }
            } catch is CancellationError {
                reporter.finish()
                Console.note("stopped: what is marked stays, the next sync goes on from there")
                throw Ending.failed
            } catch SyncError.paused {
                reporter.finish()
                Console.note("view \(name) is paused and left out; `tidemark resume \(name)` lets it go on")
            } catch {
                reporter.finish()
                Console.error(Advice.text(of: SyncError(error), view: name))
                failed = true
            }
        }
        reporter.finish()
        if output.json { try Console.json(entries) } else { entries.forEach { print(LedgerText.describe($0)) } }
        if failed { throw Ending.failed }
        if entries.contains(where: { $0.quarantined > 0 }) { throw Ending.differs }
    }

    private func beginBackfills(_ engine: SyncEngine, _ names: [String]) async throws {
        for name in names {
            guard let versions = try await engine.context.catalog.versions(of: name),
                let version = versions.current ?? versions.next
            else { throw SyncError.notApplied("view \(name)") }
            let number = try await Planner(engine).beginBackfill(engine.definition(of: version))
            Console.note("\(name): building version \(number)")
        }
    }

    // MARK: Service

    private func serve(_ workspace: Workspace) async throws {
        let logger = workspace.logger
        workspace.registry.setInfo(.config, [workspace.hash])
        let metrics = SyncMetrics(
            registry: workspace.registry, sources: workspace.config.sources.map(\.name))
        let engine = try await workspace.engine(observer: SyncObservers([SyncLog(logger: logger), metrics]))
        let page = MetricsPage(address: workspace.config.sync.metrics, metrics: metrics, logger: logger)
        logger.info(
            "sync service starts",
            metadata: [
                "project": "\(workspace.config.project)", "owner": "\(engine.context.settings.owner)",
                "views": "\(workspace.appliedViews.count)",
                "metrics": "\(workspace.config.sync.metrics.map { "\($0)" } ?? "none")",
            ])
        var configuration = ServiceGroupConfiguration(
            services: [
                .init(service: page, successTerminationBehavior: .gracefullyShutdownGroup),
                .init(
                    service: SyncService(engine: engine, only: Set(views)) { try await workspace.prepareStore() },
                    successTerminationBehavior: .gracefullyShutdownGroup),
            ],
            gracefulShutdownSignals: [.sigterm, .sigint], logger: logger)
        configuration.maximumGracefulShutdownDuration = workspace.config.sync.shutdown
        configuration.maximumCancellationDuration = .seconds(5)
        try await ServiceGroup(configuration: configuration).run()
        logger.info("sync service ended")
    }
}

/// A run in words.
enum LedgerText {
    static func describe(_ entry: LedgerEntry) -> String {
        var parts = ["\(Words.count(entry.read)) read", "\(Words.count(entry.written)) written"]
        if entry.removed > 0 { parts.append("\(Words.count(entry.removed)) of them deletes") }
        if entry.renewed > 0 { parts.append("\(Words.count(entry.renewed)) unchanged") }
        if entry.older + entry.conflict > 0 {
            parts.append("\(Words.count(entry.older + entry.conflict)) older than stored")
        }
        if entry.quarantined > 0 { parts.append("\(Words.count(entry.quarantined)) quarantined") }
        if entry.erased > 0 { parts.append("\(Words.count(entry.erased)) erased left out") }
        let outcome = entry.outcome == "done" ? "" : "  \(entry.outcome)"
        return "\(entry.view) v\(entry.version): \(parts.joined(separator: ", ")) in "
            + "\(Words.seconds(entry.durationSeconds))\(outcome)"
    }
}
