import FeatureModel
import Logging
import NIOPosix
import OnlineStore
import Ranking
import Recall
import Recommend
import Resilience
import ServiceLifecycle
import Telemetry

/// What recommends, as a config describes it: lists, models, pipelines and what they share.
struct RecommendHome: Sendable {
    let recommender: Recommender
    let runner: CallRunner
    let gates: GateBook
    private let library: RecallLibrary
    private let configPath: String

    /// Throws `UsageError` for a file of blocked items that can't be read.
    init(
        _ config: Config, configPath: String, catalogs: any PipelineCatalogs, rows: any RowSource,
        ranker: @escaping @Sendable (String) -> (any Ranker)? = { _ in nil }, registry: MetricRegistry, logger: Logger,
        expose: (@Sendable (Exposure) -> Void)? = nil
    ) throws {
        self.configPath = configPath
        runner = CallRunner()
        gates = GateBook(Self.rules(config))
        let (recall, directory) = Self.recall(config, configPath)
        let library = RecallLibrary(recall, directory: directory, logger: logger)
        self.library = library
        RecallMetrics.install(library, in: registry)
        var environment = Recommender.Environment(
            runner: runner, catalogs: catalogs, rows: rows, list: { library.list($0) }, ranker: ranker,
            gates: gates, registry: registry, logger: logger)
        environment.expose = expose
        recommender = Recommender(environment)
        recommender.apply(config.pipelines, blocked: try Self.blocked(config.pipelines, configPath))
    }

    private static func rules(_ config: Config) -> Breaker.Configuration {
        var rules = Breaker.Configuration(
            config.serve.breaker, longestCall: config.pipelines.map(\.timeout).max() ?? .zero)
        // Whatever lookups bear: an answer goes on without the dependency.
        rules.consecutiveFailures = min(rules.consecutiveFailures, 5)
        return rules
    }

    /// Reads what another config's pipelines name, on a thread that may block.
    ///
    /// - Returns: What puts them in force.
    /// - Throws: `UsageError` for a file of blocked items that can't be read.
    func prepare(_ config: Config) async throws -> @Sendable () -> Void {
        let blocked = try await NIOThreadPool.singleton.runIfActive { [configPath] in
            try Self.blocked(config.pipelines, configPath)
        }
        return { [gates, recommender, library, configPath] in
            gates.configure(Self.rules(config))
            let (recall, directory) = Self.recall(config, configPath)
            library.apply(recall, directory: directory)
            recommender.apply(config.pipelines, blocked: blocked)
        }
    }

    /// The lists of a config, which may have none, and their folder.
    private static func recall(_ config: Config, _ configPath: String) -> (RecallConfig, directory: String) {
        let recall = config.recall ?? RecallConfig(lists: [])
        return (recall, ConfigFiles.resolve(recall.directory, from: configPath))
    }

    /// The items of each filter's file.
    static func blocked(_ pipelines: [PipelineConfig], _ configPath: String) throws -> [String: Set<EntityKeyValue>] {
        var blocked: [String: Set<EntityKeyValue>] = [:]
        for case .file(let path) in pipelines.flatMap(\.filters).map(\.rule) where blocked[path] == nil {
            let text = try ConfigFiles.read(
                ConfigFiles.resolve(path, from: configPath), what: "the file of blocked items",
                limit: BlockList.maximumBytes)
            blocked[path] = BlockList.parse(text)
        }
        return blocked
    }

    /// Reads the lists once, so that the first request finds them.
    func load() async { await library.load() }

    /// What must run before requests come, in the order of dependency.
    var services: [any Service] { [library, runner] }

    /// What runs while requests come, and ends before what it reads with.
    var followers: [any Service] { [PolicyRefresher(recommender)] }
}
