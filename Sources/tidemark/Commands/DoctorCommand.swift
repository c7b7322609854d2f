import ArgumentParser
import Extraction
import FeatureModel
import Glibc
import LocalDatabase
import OnlineStore
import Sync

struct DoctorCommand: ProjectCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Check config, store, sources and definitions together, and say what to do.",
        discussion: "Exit code 1 when something is bad, 3 when something deserves a look.")

    @ParentCommand var root: Tidemark
    @OptionGroup var global: GlobalOptions
    @OptionGroup var output: OutputOptions

    struct Finding: Encodable {
        let place: String
        let check: String
        let grade: String
        let text: String
    }

    func run(_ workspace: Workspace) async throws {
        let definitions =
            workspace.config.servesFeastAlone && workspace.definitionFiles.isEmpty
            ? "those of Feast's registry"
            : "\(workspace.catalog.views.count) views in \(workspace.definitionFiles.count) files"
        var findings = [
            Finding(place: "config", check: "definitions", grade: "good", text: definitions),
            Finding(
                place: "build", check: "libraries", grade: "good",
                text: "tidemark \(Tidemark.version), SQLite \(LocalDatabase.libraryVersion)"),
        ]
        findings += await DoctorAccess.findings(workspace.config, workspace.configPath)
        findings += await store(workspace)
        findings += await sources(workspace)
        if output.json {
            try Console.json(findings)
        } else {
            for finding in findings {
                let mark = finding.grade == "good" ? "ok  " : finding.grade == "warning" ? "look" : "BAD "
                print("\(mark)  \(finding.place)  \(finding.check): \(finding.text)")
            }
        }
        if findings.contains(where: { $0.grade == "bad" }) { throw Ending.failed }
        if findings.contains(where: { $0.grade == "warning" }) { throw Ending.differs }
    }

    private func store(_ workspace: Workspace) async -> [Finding] {
        let isFeast = workspace.config.servesFeastAlone
        let place = isFeast ? "serve.feast" : "online_store"
        do {
            var findings = try await workspace.store().diagnose().map {
                Finding(place: place, check: $0.check, grade: $0.grade.rawValue, text: $0.text)
            }
            // Nothing of ours is applied there.
            guard !isFeast else { return findings }
            let record = try await CatalogStore(workspace.store()).catalog()?.record
            let (grade, text) =
                switch record {
                case nil: ("warning", "nothing is applied yet; run `tidemark apply`")
                case let record? where record.hash == workspace.hash:
                    ("good", "applied \(record.hash), as in the files")
                case let record?:
                    ("warning", "applied \(record.hash), the files are \(workspace.hash); see `tidemark plan`")
                }
            findings.append(Finding(place: place, check: "catalog", grade: grade, text: text))
            return findings
        } catch {
            return [Finding(place: place, check: "connection", grade: "bad", text: "\(error)")]
        }
    }

    private func sources(_ workspace: Workspace) async -> [Finding] {
        var findings: [Finding] = []
        for source in workspace.config.sources {
            let place = "sources.\(source.name)"
            do {
                let connector = try await SourceOpener.open(source, configPath: workspace.configPath)
                let views = workspace.catalog.views.filter { $0.source.from == source.name }
                findings += await connector.diagnose(views).map {
                    Finding(place: place, check: $0.check, grade: $0.grade.rawValue, text: $0.text)
                }
                await connector.close()
            } catch {
                findings.append(Finding(place: place, check: "connection", grade: "bad", text: "\(error)"))
            }
        }
        return findings
    }
}
