import ArgumentParser
import FeatureModel
import Ranking
import Recall
import Training

struct TrainCommand: ProjectCommand {
    static let configuration = CommandConfiguration(
        commandName: "train",
        abstract: "Train a model that ranks, test it by time, and make it live if it is any good.",
        discussion: """
            Learns with LambdaMART from the events of `models.NAME.training`: for past moments it recalls candidates from lists \
            that are built of earlier events only, joins the features as they were then, and learns what came next. The last \
            events by time test it, with lists built anew of all before them: NDCG@10, MAP, AUC and recall@100 of \
            popularity (what most events of the last 7 days were about), of recall alone (the order in which the pipeline's \
            sources give candidates) and of the ranked candidates. Items that the user met lately count for none of them. \
            The lines "filtered" are the same under the pipeline's filters, with what items were at each moment, as far as their views \
            have a history; filters without one are named. What users meet doesn't know of the rules: an item out of stock that \
            they looked at all the same is one that no way can find then.

            With --dry-run it only measures. For a dump in the RetailRocket schema, examples/shop.yaml has lists, pipeline and model:

            tidemark import retailrocket FOLDER --out examples/shop.db
            tidemark --config examples/shop.yaml train ranker --dry-run

            A model that ranks no better than popularity is written but not made current, and the exit code is 1. The same events, \
            config and seed give the same model.

            tidemark train ranker
            tidemark train ranker --until 2026-01-31T00:00:00Z --seed 7 --json
            """)

    @ParentCommand var root: Tidemark
    @OptionGroup var global: GlobalOptions
    @OptionGroup var output: OutputOptions

    @Argument(help: "The model, by its name in the config.")
    var name: String

    @Option(name: .long, help: "Leave out events from this time on, as in 2026-01-31T00:00:00Z.")
    var until: String?

    @Option(name: .long, help: "The seed of every choice that is drawn.")
    var seed: UInt64 = 1

    @Option(name: .long, help: "The most rounds of boosting; training stops earlier when nothing gets better.")
    var rounds = 300

    @Flag(name: .long, help: "Only print how good the model is: write nothing.")
    var dryRun = false

    @Flag(name: .long, help: "Write the version, and leave the current one current.")
    var keepCurrent = false
}

extension TrainCommand {
    func run(_ workspace: Workspace) async throws {
        guard (1...10_000).contains(rounds) else { throw UsageError("--rounds takes 1 to 10000; not \(rounds)") }
        var home = try TrainingHome(name, workspace)
        home.plan.seed = seed
        home.plan.booster.rounds = rounds
        if let until {
            guard let time = Timestamps.parse(until) else {
                throw UsageError("--until takes a time, as in 2026-01-31T00:00:00Z; not \(until)")
            }
            home.plan.until = time
        }
        let lines = StageLines()
        let training = try home.training(workspace) { lines.line($0).update(0, of: nil) }
        let result = try await Self.reporting { try await Signals.stopping { try await training.run() } }
        lines.finish()
        var version: String?
        if !dryRun { version = try await Self.reporting { try write(result, home, workspace) } }
        try show(result, version)
        guard result.isUseful else {
            Console.error("the model ranks no better than popularity: it is not made current")
            throw Ending.failed
        }
    }

    private func write(_ result: TrainingResult, _ home: TrainingHome, _ workspace: Workspace) throws -> String {
        let folder = try ModelsCommand.folder(name, workspace)
        let version = try result.write(
            to: folder, name: name,
            training: [
                "pipeline": home.plan.config.pipeline, "seed": "\(seed)", "rounds": "\(result.rounds)",
                "events": "\(result.counts.events)", "moments": "\(result.counts.learned)",
                "from": Timestamps.format(result.learnedFrom), "tested_from": Timestamps.format(result.testedFrom),
                "until": Timestamps.format(result.until), "library": "xgboost \(Booster.libraryVersion)",
            ])
        _ = try ModelsCommand.tried(version, of: name, workspace)
        let before = try folder.currentVersion()
        if result.isUseful, !keepCurrent { try folder.setCurrent(version) }
        try folder.prune(keep: home.model.keep, except: Set([version, before].compactMap { $0 }))
        return version
    }

    private func show(_ result: TrainingResult, _ version: String?) throws {
        if output.json { return try Console.json(TrainingLine(name, version, result)) }
        print(QualityTable.text(result))
        if let version {
            print("\(name): version \(version), \(result.rounds) rounds, \(result.columns.count) columns")
        }
    }

    /// Runs work; what goes wrong is one line, and 2 where the config has to be mended.
    static func reporting<Result>(_ body: () async throws -> Result) async throws -> Result {
        do {
            return try await ModelsCommand.reporting { try await RecallCommand.reporting { try await body() } }
        } catch let error as TrainingError {
            Console.error(error.description)
            throw error.code == .misconfigured ? Ending.usage : Ending.failed
        }
    }
}

/// A training as the config describes it.
struct TrainingHome {
    let model: ModelConfig
    var plan: TrainingPlan
    private let lists: [(list: RecallListConfig, source: RecallSourceConfig)]

    init(_ name: String, _ workspace: Workspace) throws {
        let config = workspace.config
        guard let model = config.models.first(where: { $0.name == name }) else {
            throw UsageError("there is no model \(name)\(Nearest.hint(name, among: config.models.map(\.name)))")
        }
        guard let training = model.training else {
            throw UsageError("models.\(name) has no training: the config says nothing to learn from")
        }
        guard let pipeline = config.pipeline(training.pipeline) else {
            let hint = Nearest.hint(training.pipeline, among: config.pipelines.map(\.name))
            throw UsageError("models.\(name).training.pipeline: there is no pipeline \(training.pipeline)\(hint)")
        }
        self.model = model
        let blocked = try RecommendHome.blocked([pipeline], workspace.configPath)
        lists = pipeline.sources.compactMap { source in config.recall?.list(source.list).map { ($0, source) } }
        let catalog = workspace.catalog
        guard let user = catalog.entity(pipeline.user), let item = catalog.entity(pipeline.item) else {
            throw UsageError("no view describes the pipeline's \(pipeline.user) and \(pipeline.item)")
        }
        do {
            plan = try TrainingPlan(
                config: training, user: user, item: item,
                sources: lists.map { _, source in
                    .init(
                        name: source.name, quota: source.quota, weight: source.weight, segment: source.segment)
                },
                candidates: pipeline.candidates,
                columns: Self.columns(model, pipeline, lists.map(\.source.name), catalog),
                recallShare: pipeline.recallShare, k: pipeline.k, filters: pipeline.filters,
                blocked: blocked.values.reduce(into: []) { $0.formUnion($1) }, catalog: catalog)
        } catch let error as TrainingError {
            throw UsageError(error.description)
        } catch let error as RankerError {
            throw UsageError(error.description)
        }
    }

    private static func columns(
        _ model: ModelConfig, _ pipeline: PipelineConfig, _ sources: [String], _ catalog: Catalog
    ) throws(RankerError) -> [RankerColumn] {
        if !model.columns.isEmpty { return try ModelColumns.columns(model.columns, in: catalog) }
        let features = pipeline.features.flatMap { catalog.service($0)?.features } ?? []
        return sources.map { RankerColumn(.recall($0)) } + ModelColumns.standard(features, in: catalog)
    }

    func training(
        _ workspace: Workspace, progress: @escaping @Sendable (String) -> Void
    ) throws -> RankerTraining {
        let builder = try workspace.recallBuilder()
        let lists = lists
        return RankerTraining(
            plan, sources: { try await workspace.querySource($0) },
            recall: { until in
                var made: [any CandidateSource] = []
                for (list, source) in lists {
                    // A builder takes events up to a time; what is recalled must be older than it.
                    let found = try await builder.make(list.name, until: until - 1)
                    made.append(ListSource(list: found, hasSeeds: source.seeds != nil))
                }
                return made
            }, progress: progress)
    }
}

/// A recall list as training asks it.
private struct ListSource: CandidateSource {
    let list: RecallList
    let hasSeeds: Bool

    func candidates(
        seeds: [EntityKeyValue], segments: [String], limit: Int, excluding: Set<EntityKeyValue>
    ) -> [(id: EntityKeyValue, score: Float)] {
        let found =
            hasSeeds
            ? list.neighbours(of: seeds, limit: limit, excluding: excluding)
            : list.top(segments: segments, limit: limit)
        return found.map { ($0.id, $0.score) }
    }
}

/// A training's result for scripts.
struct TrainingLine: Encodable {
    let model: String
    let version: String?
    let seed: UInt64
    let rounds: Int
    let columns: [String]
    let popularity: RankingQuality
    let recall: RankingQuality
    let ranked: RankingQuality
    let counts: TrainingResult.Counts
    let filtered: TrainingResult.Filtered?
    let filtersLeftOut: [String]
    let learnedFrom: String
    let testedFrom: String
    let until: String

    init(_ model: String, _ version: String?, _ result: TrainingResult) {
        self.model = model
        self.version = version
        seed = result.seed
        rounds = result.rounds
        columns = result.columns.map(\.description)
        popularity = result.popularity
        recall = result.recall
        ranked = result.ranked
        counts = result.counts
        filtered = result.filtered
        filtersLeftOut = result.filtersLeftOut
        learnedFrom = Timestamps.format(result.learnedFrom)
        testedFrom = Timestamps.format(result.testedFrom)
        until = Timestamps.format(result.until)
    }

    enum CodingKeys: String, CodingKey {
        case model, version, seed, rounds, columns, popularity, recall, ranked, filtered, counts
        case filtersLeftOut = "filters_left_out"
        case learnedFrom = "learned_from"
        case testedFrom = "tested_from"
        case until
    }
}
