import FeatureModel
import Logging
import Ranking
import Recommend
import ServiceLifecycle
import Sync
import Telemetry

/// The models of a config: loads them, follows what trainings and operators make the current versions, counts and logs.
struct ModelHome: Service {
    let registry: ModelRegistry
    private let client: InferenceClient?
    private let logger: Logger

    /// How often the folders are looked at.
    private static let interval = Duration.seconds(2)

    init(
        _ config: Config, configPath: String, catalogs: any PipelineCatalogs, registry metrics: MetricRegistry,
        logger: Logger
    ) {
        self.logger = logger
        let folders = Self.folders(config, configPath)
        let remotes = config.models.filter { $0.remote != nil }
        let client = remotes.isEmpty ? nil : InferenceClient()
        self.client = client
        var rankers: [String: any Ranker] = [:]
        for model in remotes {
            guard let remote = model.remote, let client else { continue }
            do {
                let columns = try ModelColumns.columns(model.columns, in: nil)
                rankers[model.name] = RemoteRanker(name: model.name, columns: columns, config: remote, client: client)
            } catch {
                logger.error("a remote model is left out", metadata: ["model": "\(model.name)", "error": "\(error)"])
            }
        }
        let pipelines = config.pipelines
        let meters = ModelMeters(metrics, names: folders.keys.sorted(), logger: logger)
        registry = ModelRegistry(
            folders: folders, remotes: rankers,
            check: { name, columns in Self.problem(name, columns, pipelines, catalogs.catalog) },
            report: { meters.count($0) })
    }

    /// The folder of each model, by its name.
    static func folders(_ config: Config, _ configPath: String) -> [String: ModelFolder] {
        var folders: [String: ModelFolder] = [:]
        for model in config.models {
            guard let path = model.path else { continue }
            folders[model.name] = ModelFolder(
                path: ConfigFiles.resolve(path, from: configPath), maximumBytes: model.maximumBytes)
        }
        return folders
    }

    /// What keeps a pipeline from filling a model's columns; `nil` for nothing, and while there is no catalog.
    private static func problem(
        _ name: String, _ columns: [RankerColumn], _ pipelines: [PipelineConfig], _ catalog: (any PipelineCatalog)?
    ) -> String? {
        guard let catalog else { return nil }
        for pipeline in pipelines where pipeline.model == name {
            let service = pipeline.features.flatMap { try? catalog.features(ofService: $0) }
            let problem = ModelColumns.problem(columns, service: service) { reference in
                let view = try? catalog.view(reference.view)
                return view?.features.first { $0.name == reference.feature }?.type
            }
            if let problem { return "pipeline \(pipeline.name): \(problem)" }
            for case .recall(let source) in columns.map(\.input)
            where !pipeline.sources.contains(where: { $0.name == source }) {
                return "pipeline \(pipeline.name) has no recall source \(source)"
            }
        }
        return nil
    }

    /// Follows the folders until shutdown.
    func run() async throws {
        do {
            try await cancelWhenGracefulShutdown { () async throws -> Void in
                while true {
                    try await Task.sleep(for: Self.interval)
                    await registry.follow()
                }
            }
        } catch is CancellationError {
            // Shutdown: nothing is half-way.
        }
        do {
            try await client?.shutdown()
        } catch {
            logger.warning("connections to model servers did not close", metadata: ["error": "\(error)"])
        }
    }
}

/// Counts and logs what happens to models.
private struct ModelMeters: Sendable {
    let metrics: MetricRegistry
    let logger: Logger

    init(_ metrics: MetricRegistry, names: [String], logger: Logger) {
        self.metrics = metrics
        self.logger = logger
        for name in names {
            metrics.gauge(.modelRefused, [name]).set(0)
            metrics.gauge(.modelLoaded, [name]).set(0)
        }
    }

    func count(_ event: ModelEvent) {
        switch event {
        case .loaded(let model, let version, let previous):
            live(model, "loaded")
            logger.notice(
                "a model is live",
                metadata: ["model": "\(model)", "version": "\(version)", "was": "\(previous ?? "-")"])
        case .unchanged(let model, _):
            metrics.counter(.modelLoads, [model, "unchanged"]).add()
            metrics.gauge(.modelRefused, [model]).set(0)
        case .rolledBack(let model, let version, let from):
            live(model, "rolled_back")
            logger.notice(
                "a model is rolled back",
                metadata: ["model": "\(model)", "version": "\(version)", "was": "\(from)"])
        case .refused(let model, let version, let error):
            metrics.counter(.modelLoads, [model, "refused"]).add()
            metrics.gauge(.modelRefused, [model]).set(1)
            logger.error(
                "a model is refused; what was live stays live",
                metadata: ["model": "\(model)", "version": "\(version ?? "current")", "error": "\(error)"])
        }
    }

    private func live(_ model: String, _ outcome: String) {
        metrics.counter(.modelLoads, [model, outcome]).add()
        metrics.gauge(.modelRefused, [model]).set(0)
        metrics.gauge(.modelLoaded, [model]).set(1)
        metrics.gauge(.modelLoadedTimestampSeconds, [model]).set(Double(SyncTime.real.wall()) / 1_000_000)
    }
}
