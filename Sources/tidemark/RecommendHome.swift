import FeatureModel
import Logging
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
    private let logger: Logger

    /// Throws `UsageError` for a file of blocked items that can't be read.
    init(
        _ config: Config, configPath: String, catalogs: any PipelineCatalogs, rows: any RowSource,
        ranker: @escaping @Sendable (String) -> (any Ranker)? = { _ in nil }, registry: MetricRegistry, logger: Logger
    ) throws {
        self.configPath = configPath
        self.logger = logger
        runner = CallRunner()
        gates = GateBook(Self.rules(config))
        let (recall, directory) = Self.recall(config, configPath)
        let library = RecallLibrary(recall, directory: directory, logger: logger)
        self.library = library
        RecallMetrics.install(library, in: registry)
        recommender = Recommender(
            Recommender.Environment(
                runner: runner, catalogs: catalogs, rows: rows, list: { library.list($0) }, ranker: ranker,
                gates: gates, registry: registry, logger: logger))
        recommender.apply(config.pipelines, blocked: try Self.blocked(config, configPath))
    }

    private static func rules(_ config: Config) -> Breaker.Configuration {
        var rules = Breaker.Configuration(
            config.serve.breaker, longestCall: config.pipelines.map(\.timeout).max() ?? .zero)
        // Whatever lookups bear: an answer goes on without the dependency.
        rules.consecutiveFailures = min(rules.consecutiveFailures, 5)
        return rules
    }

    /// Goes by another config's pipelines. A file that can't be read leaves the old ones in force.
    func apply(_ config: Config) {
        gates.configure(Self.rules(config))
        let (recall, directory) = Self.recall(config, configPath)
        library.apply(recall, directory: directory)
        do {
            recommender.apply(config.pipelines, blocked: try Self.blocked(config, configPath))
        } catch {
            logger.error("the pipelines are not taken; the old ones stay", metadata: ["error": "\(error)"])
        }
    }

    /// The lists of a config, which may have none, and their folder.
    private static func recall(_ config: Config, _ configPath: String) -> (RecallConfig, directory: String) {
        let recall = config.recall ?? RecallConfig(lists: [])
        return (recall, ConfigFiles.resolve(recall.directory, from: configPath))
    }

    /// The items of each filter's file.
    private static func blocked(_ config: Config, _ configPath: String) throws -> [String: Set<EntityKeyValue>] {
        var blocked: [String: Set<EntityKeyValue>] = [:]
        for case .file(let path) in config.pipelines.flatMap(\.filters).map(\.rule) where blocked[path] == nil {
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
