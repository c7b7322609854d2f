import ArgumentParser
import FeatureModel
import Sync

struct Validate: ProjectCommand {
    static let configuration = CommandConfiguration(
        abstract: "Check the config and all definitions.",
        discussion: "Reads files only: no source and no store is asked. `doctor` asks them.")

    @ParentCommand var root: Tidemark
    @OptionGroup var global: GlobalOptions
    @OptionGroup var output: OutputOptions

    private struct Report: Encodable {
        let project: String
        let hash: String
        let views: [String]
        let services: [String]
    }

    func run(_ workspace: Workspace) async throws {
        let catalog = workspace.catalog
        if output.json {
            try Console.json(
                Report(
                    project: catalog.project, hash: workspace.hash, views: catalog.views.map(\.name),
                    services: catalog.services.map(\.name)))
            return
        }
        if workspace.config.servesFeastAlone, workspace.definitionFiles.isEmpty {
            print("\(workspace.configPath) is right; the views are those of Feast's registry")
            return
        }
        let features = catalog.views.map(\.features.count).reduce(0, +)
        print(
            "\(workspace.configPath) and \(Words.count(workspace.definitionFiles.count, "definition file")) are right: "
                + "\(Words.count(catalog.views.count, "view")), \(Words.count(features, "feature")), "
                + Words.count(catalog.services.count, "service"))
    }
}

struct Plan: ProjectCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show what apply would change.",
        discussion: """
            New views, new versions and why, how many rows a load would read, and what they would take in the store, \
            from a sample of packed rows.
            """)

    @ParentCommand var root: Tidemark
    @OptionGroup var global: GlobalOptions
    @OptionGroup var output: OutputOptions

    func run(_ workspace: Workspace) async throws {
        let engine = try await workspace.engine()
        let plans = try await Planner(engine).plan(workspace.catalog)
        if output.json { return try Console.json(plans) }
        for plan in plans { print(PlanText.describe(plan)) }
        let changes = plans.filter { $0.action != .none }.count
        print(
            changes == 0
                ? "Nothing to apply."
                : "\(changes) of \(Words.count(plans.count, "view")) to change; `tidemark apply` does it.")
    }
}

struct Apply: ProjectCommand {
    static let configuration = CommandConfiguration(
        abstract: "Publish the definitions to the online store.",
        discussion: """
            New views and versions are begun; the next sync fills them. The version that is read stays the one that is \
            read until the new one is filled, so applying never takes values away.
            """)

    @ParentCommand var root: Tidemark
    @OptionGroup var global: GlobalOptions
    @OptionGroup var output: OutputOptions

    func run(_ workspace: Workspace) async throws {
        let engine = try await workspace.engine()
        let plans = try await Planner(engine).apply(workspace.catalog, hash: workspace.hash)
        if output.json { return try Console.json(plans) }
        for plan in plans where plan.action != .none { print(PlanText.describe(plan)) }
        print("Applied \(workspace.catalog.project) (\(workspace.hash)).")
    }
}

struct SchemaCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "schema", abstract: "Print the JSON Schema of the config or of definition files.")

    enum Document: String, ExpressibleByArgument, CaseIterable {
        case config
        case definitions
    }

    @Argument(help: "config or definitions")
    var document: Document

    func run() {
        switch document {
        case .config: print(ConfigSchema.json(), terminator: "")
        case .definitions: print(DefinitionsSchema.json(), terminator: "")
        }
    }
}

struct VersionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "version", abstract: "Print the version.")

    private struct Report: Encodable {
        let version: String
    }

    @OptionGroup var output: OutputOptions

    func run() throws {
        try output.show(Report(version: Tidemark.version), words: Tidemark.version)
    }
}

/// A plan in words.
enum PlanText {
    static func describe(_ plan: ViewPlan) -> String {
        let why = plan.reasons.joined(separator: "; ")
        var text =
            switch plan.action {
            case .create: "+ \(plan.view)  version 1: \(why)"
            case .newVersion: "+ \(plan.view)  version \(plan.version ?? 0): \(why)"
            case .update: "~ \(plan.view)  version \(plan.version ?? 0): \(why)"
            case .none: "  \(plan.view)  version \(plan.version ?? 0): unchanged"
            case .drop: "- \(plan.view)  \(why): synced no more, rows leave by their ttl"
            }
        if let rows = plan.backfillRows { text += "\n    loads about \(Words.count(rows)) rows" }
        if let memory = plan.memory {
            text += ", about \(Words.bytes(memory.totalBytes)) in Redis: "
            text += "\(Int(memory.bytesPerRow)) bytes a row (key \(Int(memory.keyBytes)), "
            text += "value \(Int(memory.valueBytes)), the rest is Redis' own) from \(memory.sampledRows) sampled rows"
        }
        if let note = plan.note { text += "\n    the source can't be asked: \(note)" }
        return text
    }
}
