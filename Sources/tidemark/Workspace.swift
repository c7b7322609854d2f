import Extraction
import FeatureModel
import Foundation
import Logging
import OnlineStore
import Sync
import Synchronization
import Telemetry

/// A project as its config describes it: definitions, store and sources, opened when first asked for.
final class Workspace: Sendable {
    let configPath: String
    let config: Config
    let catalog: Catalog
    let definitionFiles: [String]
    /// Of all definitions, 16 hex digits.
    let hash: String
    let logger: Logger
    /// Of the whole process: log and sync count into it, the page shows it.
    let registry: MetricRegistry

    private struct Opened {
        var store: (any OnlineStore)?
        var sources: [String: any SourceConnector & QuerySource] = [:]
        var appliedViews: [String] = []
    }

    private let opened = Mutex(Opened())

    private init(
        configPath: String, config: Config, catalog: Catalog, definitionFiles: [String], hash: String,
        registry: MetricRegistry
    ) {
        self.configPath = configPath
        self.config = config
        self.catalog = catalog
        self.definitionFiles = definitionFiles
        self.hash = hash
        self.registry = registry
        logger = ProcessLog.makeLogger(config.telemetry, registry)
    }

    // MARK: Loading

    /// Reads config and definitions. Errors are in words, one a line.
    static func load(configPath given: String?) throws -> Workspace {
        let path = given ?? ProcessInfo.processInfo.environment["TIDEMARK_CONFIG"] ?? "tidemark.yaml"
        let text = try ConfigFiles.read(path, what: "the config file")
        let config = try Config.parse(file: path, text: text)
        let folder = ConfigFiles.resolve(config.schemas, from: path)
        // Feast's registry has the definitions, and the daemon holds the rest of the config against it.
        let hasDefinitions = !config.servesFeastAlone || FileManager.default.fileExists(atPath: folder)
        let files = hasDefinitions ? try ConfigFiles.definitions(in: folder) : []
        let catalog =
            hasDefinitions
            ? try Catalog.compile(project: config.project, files: files)
            : Catalog(project: config.project, views: [], services: [])
        if hasDefinitions {
            try config.validate(catalog)
            try config.validatePipelines(catalog)
        }
        var print = Fingerprint()
        for view in catalog.views { print.combine(String(decoding: ViewDocument.encode(view), as: UTF8.self)) }
        for service in catalog.services {
            print.combine(service.name)
            for feature in service.features { print.combine("\(feature.view):\(feature.feature)") }
        }
        return Workspace(
            configPath: path, config: config, catalog: catalog, definitionFiles: files.map(\.name), hash: print.hex,
            registry: MetricRegistry())
    }

    /// The view of that name in the definitions.
    func view(_ name: String) throws -> FeatureView {
        if let view = catalog.view(name) { return view }
        throw UsageError("there is no view \(name)\(Nearest.hint(name, among: catalog.views.map(\.name)))")
    }

    // MARK: Store and sources

    /// The project whose rows the store has: Feast's, where there is no store of our own.
    var project: String { config.servesFeastAlone ? config.serve.feast?.project ?? config.project : config.project }

    /// The online store, opened once; what Feast materialized, read only, where the config has no store of our own.
    func store() async throws -> any OnlineStore {
        if let store = opened.withLock({ $0.store }) { return store }
        let store: any OnlineStore
        if config.servesFeastAlone, let feast = config.serve.feast {
            store = try await StoreOpener.openFeast(feast, configPath: configPath, logger: logger)
        } else {
            store = try await StoreOpener.open(config, configPath: configPath)
        }
        opened.withLock { $0.store = store }
        return store
    }

    /// An engine over the store and all sources.
    func engine(observer: any SyncObserver = SyncObservers([])) async throws -> SyncEngine {
        let store = try await store()
        var sources: [String: any SourceConnector] = [:]
        for source in config.sources { sources[source.name] = try await connector(source) }
        let context = SyncContext(
            project: project, store: store, settings: settings, time: .real, observer: observer)
        return SyncEngine(context: context, sources: sources)
    }

    /// What operators do to views, over the store alone.
    func viewOperator() async throws -> ViewOperator {
        ViewOperator(project: project, store: try await store(), owner: settings.owner, now: SyncTime.real.wall)
    }

    /// The source of that name, for queries of its own.
    func querySource(_ name: String) async throws -> any QuerySource {
        guard let source = config.source(name) else {
            throw UsageError("there is no source \(name)\(Nearest.hint(name, among: config.sources.map(\.name)))")
        }
        return try await connector(source)
    }

    private func connector(_ source: SourceConfig) async throws -> any SourceConnector & QuerySource {
        if let connector = opened.withLock({ $0.sources[source.name] }) { return connector }
        let connector = try await SourceOpener.open(source, configPath: configPath)
        opened.withLock { $0.sources[source.name] = connector }
        return connector
    }

    private var settings: SyncSettings {
        var settings = SyncSettings(
            owner: "\(ProcessInfo.processInfo.hostName):\(ProcessInfo.processInfo.processIdentifier)")
        settings.chunkRows = config.sync.chunkRows
        settings.chunksInFlight = config.sync.chunksInFlight
        settings.leaseDuration = config.sync.lease
        settings.sweepRowsPerSecond = config.sync.sweepRowsPerSecond
        settings.quarantineLimit = config.sync.quarantineLimit
        settings.retryInitial = config.sync.retry.initial
        settings.retryMaximum = config.sync.retry.maximum
        settings.retryBudget = config.sync.retry.budget
        settings.breakerFailures = config.sync.breaker.failures
        settings.breakerOpen = config.sync.breaker.open
        return settings
    }

    /// Closes what was opened.
    func close() async {
        let (store, sources) = opened.withLock { ($0.store, $0.sources) }
        for source in sources.values { await source.close() }
        await store?.close()
    }

    // MARK: What is applied

    /// The views that the store's catalog names; known after `prepareStore`.
    var appliedViews: [String] { opened.withLock { $0.appliedViews } }

    /// Applies the definitions to a store that has none yet, and brings the lists of erased entities together.
    func prepareStore() async throws {
        let engine = try await engine()
        var published = try await engine.context.catalog.catalog()?.record
        if published == nil {
            _ = try await Planner(engine).apply(catalog, hash: hash)
            Console.note("the store was empty: applied \(config.project) (\(hash))")
            published = try await engine.context.catalog.catalog()?.record
        } else if published?.hash != hash {
            Console.note(
                "the definitions differ from what is applied: `tidemark plan` shows how, `tidemark apply` publishes them"
            )
        }
        let views = published?.views ?? []
        opened.withLock { $0.appliedViews = views }
        try await erasureFile?.merge(into: engine.context.erasures, at: engine.context.time.wall())
    }

    /// Learns what is applied, and changes nothing.
    ///
    /// - Throws: `SyncError.notApplied` for a store that nothing was applied to.
    func readApplied() async throws {
        guard let record = try await engine().context.catalog.catalog()?.record else {
            throw SyncError.notApplied("project \(config.project)")
        }
        opened.withLock { $0.appliedViews = record.views }
    }

    /// Refuses names that are not applied.
    func checkApplied(_ names: [String]) async throws {
        for name in names where !appliedViews.contains(name) {
            let hint = Nearest.hint(name, among: appliedViews)
            throw UsageError("view \(name) is not applied to this store\(hint)")
        }
    }

    /// The file that keeps the list of erased entities beside the store, if the config names one.
    var erasureFile: ErasureFile? {
        config.sync.erasures.isEmpty
            ? nil : ErasureFile(path: ConfigFiles.resolve(config.sync.erasures, from: configPath))
    }
}

extension SyncTime {
    /// The machine's clocks.
    static let real = SyncTime(
        wall: { Int64(Date().timeIntervalSince1970 * 1_000_000) }, now: { ContinuousClock.now },
        sleep: { try await Task.sleep(for: $0) }, random: { Double.random(in: 0..<1) })
}
