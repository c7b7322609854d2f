import FeatureModel
import Foundation
import LocalDatabase
import Testing
import TidemarkTesting

/// `tidemark recall` as an operator runs it: what it prints, and how it ends.
@Suite(
    .enabled(if: DaemonProcess.tidemark != nil, "the tidemark binary is not built"), .timeLimit(.minutes(5)))
struct RecallCommandTests {
    private static let definitions = """
        entities:
          user: {keys: {user_id: int64}}
          item: {keys: {item_id: int64}}
        views:
          user:
            entity: user
            source: {from: shop, query: SELECT user_id FROM events, watermark: {column: ts, tie_breaker: [user_id], lookback: 0}}
            every: 1m
            ttl: 1d
            sweep: 1h
            features: {user_id2: int64}
          item:
            entity: item
            source: {from: shop, query: SELECT item_id FROM events, watermark: {column: ts, tie_breaker: [item_id], lookback: 0}}
            every: 1m
            ttl: 1d
            sweep: 1h
            features: {item_id2: int64}
        """

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
            try workdir.write(Self.definitions, to: "definitions/lab.yaml")
            try workdir.write(Self.config, to: "tidemark.yaml")
            let database = try await LocalDatabase(.init(path: workdir.file("shop.db")))
            try await database.run { connection in
                try connection.execute(
                    """
                    CREATE TABLE events (user_id INTEGER, item_id INTEGER, ts INTEGER);
                    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < \(events))
                    INSERT INTO events SELECT i * 7919 % 997, i * 104729 % 211, 1700000000000 + i * 1000 FROM n;
                    """)
            }
            await database.close()
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
