import ArgumentParser
import FeatureModel
import Ranking

struct ModelsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "models",
        abstract: "List the versions of models, make one live, or go back.",
        discussion: """
            A model (`models` in the config) is a folder with a folder for each version, and `current`, which names the live one. \
            A daemon follows `current` within seconds, holds the version against its catalog, tries it, and swaps it in whole; \
            one that it refuses leaves the live one alone (GET /admin/v1/models says why).

            tidemark models list
            tidemark models reload ranker --version 3
            tidemark models rollback ranker
            """,
        subcommands: [List.self, Reload.self, Rollback.self], defaultSubcommand: List.self)

    @ParentCommand var root: Tidemark

    /// Which version was current, and which is.
    struct Report: Encodable {
        let model: String
        let before: String?
        let current: String
    }

    /// The folder of a model.
    static func folder(_ name: String, _ workspace: Workspace) throws -> ModelFolder {
        let folders = ModelHome.folders(workspace.config, workspace.configPath)
        if let folder = folders[name] { return folder }
        throw UsageError("there is no model \(name) with a folder\(Nearest.hint(name, among: folders.keys.sorted()))")
    }

    /// Runs work on models; what goes wrong is one line.
    static func reporting<Result>(_ body: () async throws -> Result) async throws -> Result {
        do {
            return try await body()
        } catch let error as RankerError {
            Console.error(error.description)
            throw Ending.failed
        }
    }

    /// Loads a version as a daemon would, and holds it against the definitions.
    static func tried(_ version: String, of name: String, _ workspace: Workspace) throws -> ModelManifest {
        let ranker = try XGBoostRanker(folder(name, workspace).read(version), boosters: 1)
        guard ranker.name == name else {
            throw RankerError(.mismatch, "model.json is of another model", detail: ranker.name)
        }
        let catalog = workspace.catalog
        for pipeline in workspace.config.pipelines where pipeline.model == name {
            let service = pipeline.features.flatMap { catalog.service($0)?.features }
            let problem = ModelColumns.problem(ranker.columns, service: service) { reference in
                catalog.view(reference.view)?.features.first { $0.name == reference.feature }?.type
            }
            guard let problem else { continue }
            throw RankerError(.mismatch, "the model's features are not the pipeline's", detail: problem)
        }
        return ranker.manifest
    }
}

/// A version of a model for people and scripts.
struct ModelVersionLine: Encodable {
    let model: String
    /// `nil` where there is no version at all.
    let version: String?
    let current: Bool
    let columns: Int
    let bytes: Int
    let metrics: [String: Double]
    let problem: String?
}

extension ModelsCommand {
    struct List: ProjectCommand {
        static let configuration = CommandConfiguration(abstract: "List the versions of models and how good they are.")

        @ParentCommand var modelsCommand: ModelsCommand
        var root: Tidemark { modelsCommand.root }
        @OptionGroup var global: GlobalOptions
        @OptionGroup var output: OutputOptions

        func run(_ workspace: Workspace) async throws {
            var lines: [ModelVersionLine] = []
            for (name, folder) in ModelHome.folders(workspace.config, workspace.configPath).sorted(by: {
                $0.key < $1.key
            }) {
                let found = try await ModelsCommand.reporting { try Self.lines(name, folder) }
                lines += found.isEmpty ? [Self.untrained(name, workspace.config)] : found
            }
            if output.json { try Console.json(lines) } else { show(lines) }
            if lines.contains(where: { ($0.current || $0.version == nil) && $0.problem != nil }) {
                throw Ending.differs
            }
        }

        /// What stands in the place of a version where there is none.
        private static func untrained(_ name: String, _ config: Config) -> ModelVersionLine {
            let isTrained = config.models.contains { $0.name == name && $0.training != nil }
            return ModelVersionLine(
                model: name, version: nil, current: false, columns: 0, bytes: 0, metrics: [:],
                problem: isTrained ? "never trained: tidemark train \(name)" : "its folder has no version")
        }

        private func show(_ lines: [ModelVersionLine]) {
            var table = Table(
                ["MODEL", "VERSION", "LIVE", "COLUMNS", "BYTES", "NDCG@10", "POPULARITY", "PROBLEM"],
                numbers: [3, 4, 5, 6])
            for line in lines {
                table.add([
                    line.model, line.version ?? "-", line.current ? "yes" : "", "\(line.columns)", "\(line.bytes)",
                    QualityTable.number(line.metrics["ndcg_at_10"]),
                    QualityTable.number(line.metrics["popularity_ndcg_at_10"]), line.problem ?? "",
                ])
            }
            print(table.text)
        }

        private static func lines(_ name: String, _ folder: ModelFolder) throws(RankerError) -> [ModelVersionLine] {
            guard folder.isThere else { return [] }
            let current = try folder.currentVersion()
            var lines: [ModelVersionLine] = []
            for version in try folder.versions() {
                let read = Result { () throws(RankerError) in try folder.read(version).manifest }
                switch read {
                case .success(let manifest):
                    lines.append(
                        ModelVersionLine(
                            model: name, version: version, current: version == current,
                            columns: manifest.columns.count, bytes: manifest.bytes, metrics: manifest.metrics,
                            problem: nil))
                case .failure(let error):
                    lines.append(
                        ModelVersionLine(
                            model: name, version: version, current: version == current, columns: 0, bytes: 0,
                            metrics: [:], problem: error.description))
                }
            }
            return lines
        }
    }

    struct Reload: ProjectCommand {
        static let configuration = CommandConfiguration(
            abstract: "Try a version, and make it the current one, which daemons follow.")

        @ParentCommand var modelsCommand: ModelsCommand
        var root: Tidemark { modelsCommand.root }
        @OptionGroup var global: GlobalOptions
        @OptionGroup var output: OutputOptions

        @Argument(help: "The model.")
        var name: String

        @Option(name: .long, help: "The version (default: the current one, which is only tried).")
        var version: String?

        func run(_ workspace: Workspace) async throws {
            let folder = try ModelsCommand.folder(name, workspace)
            try await ModelsCommand.reporting {
                let current = try folder.currentVersion()
                guard let wanted = version ?? current else {
                    throw RankerError(.notFound, "there is no current version", detail: folder.path)
                }
                _ = try ModelsCommand.tried(wanted, of: name, workspace)
                if wanted != current { try folder.setCurrent(wanted) }
                try output.show(
                    Report(model: name, before: current, current: wanted),
                    words: "\(name): version \(wanted) is sound and current")
            }
        }
    }

    struct Rollback: ProjectCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make the version before the current one current, once it has been tried.")

        @ParentCommand var modelsCommand: ModelsCommand
        var root: Tidemark { modelsCommand.root }
        @OptionGroup var global: GlobalOptions
        @OptionGroup var output: OutputOptions

        @Argument(help: "The model.")
        var name: String

        func run(_ workspace: Workspace) async throws {
            let folder = try ModelsCommand.folder(name, workspace)
            try await ModelsCommand.reporting {
                let current = try folder.currentVersion()
                guard let before = try folder.versions().prefix(while: { $0 != current }).last, current != nil else {
                    throw RankerError(.notFound, "there is no version before the current one", detail: name)
                }
                _ = try ModelsCommand.tried(before, of: name, workspace)
                try folder.setCurrent(before)
                try output.show(
                    Report(model: name, before: current, current: before),
                    words: "\(name): version \(before) is current")
            }
        }
    }
}
