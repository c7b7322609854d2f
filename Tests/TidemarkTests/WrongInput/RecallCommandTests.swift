import FeatureModel
import Foundation
import Testing
import TidemarkTesting

/// `tidemark recall` as an operator runs it: what it prints, and how it ends.
@Suite(
    .enabled(if: DaemonProcess.tidemark != nil, "the tidemark binary is not built"), .timeLimit(.minutes(5)))
struct RecallCommandTests {
    private static let config = """
        project: lab
        schemas: definitions
        online_store: {url: "memory:"}
        sources: {shop: {url: "sqlite:shop.db"}}
        recall:
          lists:
            popular: {kind: popularity, from: shop, query: SELECT * FROM events, item: item, time: {column: ts, unit: ms}}
            similar: {kind: co_occurrence, from: shop, query: SELECT * FROM events, user: user, item: item, time: {column: ts, unit: ms}}
        """

    private func withShop(events: Int, _ body: (Workdir) async throws -> Void) async throws {
        try await Workdir.with { workdir in
            try await EventLab.write(to: workdir, config: Self.config, events: events)
            try await body(workdir)
        }
    }

    private func start(_ arguments: String..., in workdir: Workdir) throws -> DaemonProcess {
        try DaemonProcess(
            try #require(DaemonProcess.tidemark), ["recall"] + arguments + ["--config", workdir.file("tidemark.yaml")])
    }

    private struct Line: Decodable {
        let list: String
        let version: UInt64?
        let live: Bool
        let fault: String?
    }

    private func lines(_ workdir: Workdir) async throws -> [Line] {
        let ending = try await start("list", "--json", in: workdir).ending()
        return try JSONDecoder().decode([Line].self, from: Data(ending.output.utf8))
    }

    @Test func listsAreBuiltListedAndRolledBack() async throws {
        try await withShop(events: 2_000) { workdir in
            let before = try await start("list", in: workdir).ending()
            #expect(before.code == 3 && before.output.contains("never built"))
            for _ in 0..<2 { #expect(try await start("build", in: workdir).ending().code == 0) }
            let lines = try await lines(workdir)
            #expect(lines.map(\.version) == [2, 1, 2, 1])
            #expect(lines.map(\.live) == [true, false, true, false])
            #expect(try await start("rollback", "popular", in: workdir).ending().code == 0)
            #expect(try await self.lines(workdir).map(\.live) == [false, true, true, false])
            #expect(try await start("rollback", "popular", in: workdir).ending().code == 1)
            let unknown = try await start("build", "populr", in: workdir).ending()
            #expect(unknown.code == 2 && unknown.errors.contains("popular"))
            // A damaged live version is told, and exit code 3 says that something differs.
            try workdir.write("nothing", to: "recall/similar/2/data.bin")
            let damaged = try await start("list", "similar", in: workdir).ending()
            #expect(damaged.code == 3 && damaged.output.contains("another length"))
        }
    }
}
