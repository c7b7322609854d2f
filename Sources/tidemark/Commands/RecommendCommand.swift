import ArgumentParser
import FeatureModel
import Foundation
import Logging
import OnlineStore
import Ranking
import Recommend
import Serving
import Sync
import Telemetry

struct RecommendCommand: ProjectCommand {
    static let configuration = CommandConfiguration(
        commandName: "recommend",
        abstract: "Recommend items to a user by a pipeline of the config.",
        discussion: """
            Goes the same way as POST /v1/recommend, with lists and models as they lie on the disk and rows out of the store. \
            --explain shows every candidate with its sources, its features, its scores and why it left; --json prints the \
            body that the daemon would answer.

            tidemark recommend --pipeline home --entity user_id=42
            tidemark recommend --pipeline home --entity user_id=42 --k 5 --explain
            """)

    @ParentCommand var root: Tidemark
    @OptionGroup var global: GlobalOptions
    @OptionGroup var output: OutputOptions

    @Option(name: .long, help: "The pipeline.")
    var pipeline: String

    @Option(name: .long, parsing: .singleValue, help: "KEY=VALUE, once for each key column of the user.")
    var entity: [String]

    @Option(name: .long, help: "How many items (default: the pipeline's k).")
    var k: Int?

    @Option(name: .long, help: "How long it may take, in milliseconds (default: one second).")
    var timeoutMs = 1_000

    @Flag(name: .long, help: "Show every candidate.")
    var explain = false

    func validate() throws {
        guard (1...600_000).contains(timeoutMs) else { throw ValidationError("--timeout-ms is 1 to 600000") }
    }

    func run(_ workspace: Workspace) async throws {
        guard let pipelineConfig = workspace.config.pipeline(pipeline) else {
            let known = workspace.config.pipelines.map(\.name)
            throw UsageError("there is no pipeline \(pipeline)\(Nearest.hint(pipeline, among: known))")
        }
        let store = try await workspace.store()
        guard let catalog = try await ServingCatalog.read(from: store, project: workspace.project) else {
            throw SyncError.notApplied("project \(workspace.project)")
        }
        let request = try request(pipelineConfig, workspace.catalog)
        var logger = workspace.logger
        // That a list was loaded is no news here.
        logger.logLevel = max(.warning, logger.logLevel)
        let (config, catalogs) = (workspace.config, FixedCatalog(catalog))
        let models = ModelHome(
            config, configPath: workspace.configPath, catalogs: catalogs, registry: workspace.registry, logger: logger)
        let home = try RecommendHome(
            config, configPath: workspace.configPath, catalogs: catalogs, rows: StoreRows(store),
            ranker: { models.registry.ranker($0) }, registry: workspace.registry, logger: logger)
        await home.load()
        await models.registry.load()
        show(try await answer(request, home))
    }

    private func request(_ config: PipelineConfig, _ catalog: Catalog) throws -> RecommendRequest {
        guard let user = catalog.views.first(where: { $0.entity.name == config.user })?.entity else {
            throw UsageError("no view describes \(config.user)")
        }
        let entities = try LookupRequest.entities(entity, user.keys)
        guard entities.count == 1, let one = entities.first else {
            throw UsageError("recommend takes one user at a time; give one value for each key")
        }
        return RecommendRequest(pipeline: pipeline, entity: one, k: k, explain: explain, requestID: "cli")
    }

    private func answer(_ request: RecommendRequest, _ home: RecommendHome) async throws -> RecommendAnswer {
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await home.runner.run() }
            defer { tasks.cancelAll() }
            await home.runner.untilRunning()
            // The last rung goes by what was seen before; here there is no before.
            _ = await PolicyRefresher(home.recommender).refresh()
            let start = ContinuousClock.now
            do throws(RecommendError) {
                return try await home.recommender.recommend(
                    request, start: start, deadline: start + .milliseconds(timeoutMs))
            } catch {
                throw error.code == .unavailable
                    ? UsageError("\(error.description); `tidemark recall build` builds it")
                    : UsageError(error.description)
            }
        }
    }

    // MARK: Showing

    private func show(_ answer: RecommendAnswer) {
        if output.json {
            var body = JSONBytes()
            answer.write(requestID: "cli", into: &body)
            return print(String(decoding: body.bytes, as: UTF8.self))
        }
        var table = Table(["", "ITEM", "SCORE", "SOURCE"], numbers: [0, 2])
        for (place, item) in answer.items.enumerated() {
            table.add(["\(place + 1)", item.id.words, Self.number(item.score), item.source])
        }
        print(table.text)
        var line = "rung \(answer.rung.rawValue)"
        if let model = answer.model, let version = answer.version { line += ", model \(model) \(version)" }
        print(line)
        for part in answer.degraded { print("\(part.part): \(part.reason)") }
        if let explanation = answer.explain { show(explanation) }
    }

    private func show(_ explanation: Explanation) {
        var stages = Table(["STAGE", "OUTCOME", "MS", "OF"], numbers: [2, 3])
        for stage in explanation.stages {
            stages.add([
                stage.name, stage.outcome, Self.number(stage.taken.milliseconds),
                stage.allotted.map { Self.number($0.milliseconds) } ?? "-",
            ])
        }
        print("\n\(stages.text)\n")
        print("user: \(Self.words(explanation.user))\n")
        var table = Table(
            ["", "ITEM", "SOURCES", "RECALL", "RANK", "SCORE", "LEFT", "FEATURES"], numbers: [0, 3, 4, 5])
        for candidate in explanation.candidates {
            table.add([
                candidate.position.map { "\($0)" } ?? "", candidate.id.words,
                candidate.sources.map { "\($0.name)#\($0.place)" }.joined(separator: " "),
                Self.number(candidate.recall), candidate.rank.map { Self.number(Double($0)) } ?? "-",
                candidate.score.map(Self.number) ?? "-", candidate.left ?? "", Self.words(candidate.features),
            ])
        }
        print(table.text)
    }

    private static func number(_ value: Double) -> String { String(format: "%.4f", value) }

    private static func words(_ features: [(FeatureReference, FeatureValue)]) -> String {
        features.map { reference, value in
            var json = JSONBytes()
            json.value(value)
            return "\(reference.view):\(reference.feature)=\(String(decoding: json.bytes, as: UTF8.self))"
        }.joined(separator: " ")
    }
}
