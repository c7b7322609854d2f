import ArgumentParser
import Extraction
import FeatureModel
import OnlineStore
import Sync

struct StatusCommand: ProjectCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Views, versions, watermarks, lag and last runs.",
        discussion: "Exit code 3 when a view holds quarantined rows or its last run failed.")

    @ParentCommand var root: Tidemark
    @OptionGroup var global: GlobalOptions
    @OptionGroup var output: OutputOptions

    @Option(name: .long, help: "How many of the last runs to show.")
    var runs = 5

    struct Report: Encodable {
        struct View: Encodable {
            let view: String
            let version: Int?
            let state: String
            let versions: [Int]
            let paused: Bool
            let exact: Bool?
            let watermark: String?
            let lagRows: Int64?
            let lagSeconds: Double?
            let newestEvent: String?
            let lastSuccess: String?
            let lastSweep: String?
            let quarantined: Int
            let leaseHolder: String?
            let problem: String?
        }

        let project: String
        let hash: String?
        let definitionsMatch: Bool
        let storeBytes: Int64?
        let views: [View]
        let runs: [LedgerEntry]
    }

    func run(_ workspace: Workspace) async throws {
        let engine = try await workspace.engine()
        let published = try await engine.context.catalog.catalog()?.record
        var views: [Report.View] = []
        for name in published?.views ?? [] { views.append(try await view(name, engine)) }
        let ledger = try await engine.context.ledger.entries(limit: max(0, min(runs, Ledger.limit)))
        let report = Report(
            project: workspace.project, hash: published?.hash,
            definitionsMatch: published?.hash == workspace.hash,
            storeBytes: try await engine.context.store.usedBytes(), views: views, runs: ledger)
        if output.json { try Console.json(report) } else { show(report) }
        let troubled = views.contains { $0.quarantined > 0 || $0.problem != nil }
        if troubled { throw Ending.differs }
    }

    private func view(_ name: String, _ engine: SyncEngine) async throws -> Report.View {
        let versions = try await engine.context.catalog.versions(of: name) ?? ViewVersions(view: name)
        let newest = versions.current ?? versions.next
        var state: MarkerState?
        var lag: SourceLag?
        var exact: Bool?
        var problem: String?
        if let newest {
            let view = try engine.definition(of: newest)
            state = try await engine.markerState(of: view, version: newest.number)
            do {
                let reader = try await engine.connector(of: view).open(view)
                exact = reader.isExact
                if let state { lag = try await reader.lag(behind: ChangeCursor(text: state.cursor)) }
                await reader.close()
            } catch {
                problem = "\(SyncError(error))"
            }
        }
        return Report.View(
            view: name, version: newest?.number, state: newest?.state.rawValue ?? "not applied",
            versions: versions.versions.map(\.number), paused: versions.isPaused, exact: exact,
            watermark: state?.cursor, lagRows: lag?.rows, lagSeconds: lag?.age?.inSeconds,
            newestEvent: state?.newestEventTime.map { Timestamps.format($0) },
            lastSuccess: state?.lastSuccessAt.map { Timestamps.format($0) },
            lastSweep: state?.lastSweepAt.map { Timestamps.format($0) },
            quarantined: try await engine.context.quarantine.count(of: name),
            leaseHolder: try await engine.context.store.leaseHolder(name)?.owner, problem: problem)
    }

    private static func toTheSecond(_ time: String?) -> String {
        Words.time(time.flatMap { Timestamps.parse($0) })
    }

    private func show(_ report: Report) {
        guard let hash = report.hash else {
            print("Nothing is applied to this store yet; `tidemark apply` publishes the definitions.")
            return
        }
        let match = report.definitionsMatch ? "as in the files" : "the files differ: see `tidemark plan`"
        let size = report.storeBytes.map { ", store uses \(Words.bytes($0))" } ?? ""
        print("\(report.project)  applied \(hash), \(match)\(size)\n")
        var table = Table(
            ["VIEW", "VERSION", "STATE", "TRACKING", "WATERMARK", "LAG", "LAST SUCCESS", "LAST SWEEP", "QUARANTINED"],
            numbers: [1, 8])
        for view in report.views {
            let rows = view.lagRows.map { Words.count(Int($0), "row") } ?? "-"
            let age = view.lagSeconds.map { ", \(Words.seconds($0))" } ?? ""
            table.add([
                view.view, view.version.map(String.init) ?? "-", view.paused ? "paused" : view.state,
                view.exact.map { $0 ? "exact" : "best effort" } ?? "-", view.watermark ?? "-", rows + age,
                Self.toTheSecond(view.lastSuccess), Self.toTheSecond(view.lastSweep), "\(view.quarantined)",
            ])
        }
        print(table.text)
        for view in report.views { if let problem = view.problem { print("\n\(view.view): \(problem)") } }
        if !report.runs.isEmpty { print("\nLast runs") }
        for run in report.runs {
            print("  \(Words.time(run.startedAt))  \(LedgerText.describe(run))")
            if let error = run.error { print("    \(error)") }
        }
    }
}
