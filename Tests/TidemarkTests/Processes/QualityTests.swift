import Foundation
import Testing
import TidemarkTesting

/// How good the recommendations of `examples/shop.yaml` are, held out by time, on the demo's shop. The command is the one that
/// `ops/bench quality` runs on several.
@Suite(
    .serialized, .enabled(if: DaemonProcess.tidemark != nil, "the tidemark binary is not built"),
    .timeLimit(.minutes(10)))
struct QualityTests {
    /// The top of the repository: four names above this file.
    private static let root = #filePath.split(separator: "/").dropLast(4).map { "/" + $0 }.joined()
    private static let bound = 1.5

    private struct Report: Decodable {
        struct Quality: Decodable {
            let ndcg: Double
            let recall: Double

            enum CodingKeys: String, CodingKey {
                case ndcg = "ndcg_at_10"
                case recall = "recall_at_100"
            }
        }

        let popularity: Quality
        let recall: Quality
        let ranked: Quality

        /// The pipeline against popularity.
        var ndcgRatio: Double { ranked.ndcg / popularity.ndcg }
        var recallRatio: Double { ranked.recall / popularity.recall }
    }

    /// A way to do harm to the example: lines of it that are replaced.
    private static func replacing(_ lines: [String], by replacement: String, in config: String) throws -> String {
        var text = config
        for (index, line) in lines.enumerated() {
            let found = text.ranges(of: line)
            try #require(found.count == 1, "the example has \(found.count) times: \(line)")
            text.replaceSubrange(found[0], with: index == 0 ? replacement : "")
        }
        return text
    }

    private func withShop(_ body: (Workdir, _ config: String) async throws -> Void) async throws {
        let tidemark = try #require(DaemonProcess.tidemark)
        try await Workdir.with { workdir in
            let seeding = try DaemonProcess(
                tidemark,
                [
                    "seed", "--out", workdir.file("shop.db"), "--users", "2000", "--items", "3000", "--events",
                    "200000", "--seed", "42",
                ])
            let ending = await seeding.ending(within: .seconds(120))
            try #require(ending.code == 0, "\(ending.story)")
            let config = try String(contentsOfFile: "\(Self.root)/examples/shop.yaml", encoding: .utf8)
            try await body(
                workdir,
                config.replacingOccurrences(of: "schemas: ../schemas/shop", with: "schemas: \(Self.root)/schemas/shop"))
        }
    }

    private func measure(_ config: String, _ workdir: Workdir) async throws -> Report {
        let tidemark = try #require(DaemonProcess.tidemark)
        try workdir.write(config, to: "tidemark.yaml")
        let training = try DaemonProcess(
            tidemark, ["--config", workdir.file("tidemark.yaml"), "train", "ranker", "--dry-run", "--json"])
        let ending = await training.ending(within: .seconds(240))
        // 1: no better than popularity, which is printed too.
        try #require(ending.code == 0 || ending.code == 1, "\(ending.story)")
        let report = try JSONDecoder().decode(Report.self, from: Data(ending.output.utf8))
        print(
            "NDCG@10 \(report.popularity.ndcg) → \(report.recall.ndcg) → \(report.ranked.ndcg), recall@100",
            "\(report.popularity.recall) → \(report.recall.recall) → \(report.ranked.recall)")
        return report
    }

    @Test func pipelineIsHalfAsGoodAgainAsPopularityAndNotWhenItIsHarmed() async throws {
        try await withShop { workdir, config async throws in
            let whole = try await measure(config, workdir)
            #expect(whole.ndcgRatio >= Self.bound)
            #expect(whole.recallRatio >= Self.bound)
            #expect(whole.ranked.ndcg > whole.recall.ndcg)

            // Recall that knows nothing of the user.
            let similar =
                #"      similar: {list: similar, seeds: "user_recent:items", quota: 200, timeout: 15ms}"# + "\n"
            let taste =
                #"      taste: {list: popular, segment: "user_taste:categories", quota: 200}"# + "\n"
            let aisle =
                #"      aisle: {list: aisles, segment: "user_taste:parents", quota: 200, weight: 0.5}"# + "\n"
            let columns = ["      - {recall: similar}\n", "      - {recall: taste}\n", "      - {recall: aisle}\n"]
            let blind = try await measure(
                Self.replacing([similar, taste, aisle] + columns, by: "", in: config), workdir)
            #expect(blind.recallRatio < Self.bound)
            // The ranker still knows the user, and makes much of what is popular.
            #expect(blind.ranked.ndcg < 0.9 * whole.ranked.ndcg)

            // A ranker that knows nothing but the price.
            let start = try #require(config.range(of: "    columns:\n"))
            let end = try #require(config.range(of: "    training:\n"))
            let priced =
                config[..<start.upperBound] + "      - item:price\n" + config[end.lowerBound...]
            let dull = try await measure(String(priced), workdir)
            #expect(dull.ndcgRatio < Self.bound)
            #expect(dull.ranked.ndcg < dull.recall.ndcg)
        }
    }
}
