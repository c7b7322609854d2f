import ArgumentParser
import FeatureModel
import OnlineStore
import Sync

struct VerifyCommand: ProjectCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Compare source and store, row by row.",
        discussion: """
            Every row of the source is packed and compared with the stored one; every stored row that the source may lack \
            is looked up there. Nothing is changed without --repair, which runs the sweep now. Rows that are on their way \
            count as newer, not as different.

            Exit code 3 when something differs (with --repair: differed).

            tidemark verify
            tidemark verify --repair user_activity
            """)

    @ParentCommand var root: Tidemark
    @OptionGroup var global: GlobalOptions
    @OptionGroup var output: OutputOptions

    @Argument(help: "Views (default: all that are applied).")
    var views: [String] = []

    @Flag(name: .long, help: "Write what is missing or different, bury what is gone, renew every expiry.")
    var repair = false

    func run(_ workspace: Workspace) async throws {
        if repair { try await workspace.prepareStore() } else { try await workspace.readApplied() }
        try await workspace.checkApplied(views)
        let engine = try await workspace.engine()
        let verifier = Verifier(engine)
        var reports: [VerifyReport] = []
        for name in views.isEmpty ? workspace.appliedViews : views {
            if repair {
                reports += try await verifier.repair(name)
            } else {
                let line = ProgressLine("\(name) verify")
                reports.append(try await verifier.verify(name) { line.update($0, of: $1) })
                line.finish()
            }
        }
        if output.json { try Console.json(reports) } else { reports.forEach(show) }
        if reports.contains(where: { $0.counts.mismatches > 0 }) { throw Ending.differs }
    }

    private func show(_ report: VerifyReport) {
        let counts = report.counts
        let verb = report.repaired ? "repaired" : "found"
        print(
            "\(report.view) v\(report.version): \(Words.count(counts.checked)) rows checked; \(verb) "
                + "\(Words.count(counts.missing)) missing, \(Words.count(counts.different)) different, "
                + "\(Words.count(counts.orphaned)) gone at the source; \(Words.count(counts.newer)) newer in the store, "
                + "\(Words.count(counts.quarantined)) bad at the source")
        for sample in report.samples { print("    \(sample)") }
    }
}
