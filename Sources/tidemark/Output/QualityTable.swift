import FeatureModel
import Training

/// How good rankings are, for people.
enum QualityTable {
    static func text(_ result: TrainingResult) -> String {
        var table = Table(
            ["", "NDCG@10", "MAP", "AUC", "RECALL@100", "× NDCG@10", "× RECALL@100"], numbers: [1, 2, 3, 4, 5, 6])
        add(result.popularity, result.recall, result.ranked, "", to: &table)
        if let filtered = result.filtered {
            add(filtered.popularity, filtered.recall, filtered.ranked, ", filtered", to: &table)
        }
        let counts = """
            \(Words.count(Int64(result.counts.events))) events of \(Words.count(Int64(result.counts.users))) users about \
            \(Words.count(Int64(result.counts.items))) items, until \(Timestamps.format(result.until))
            """
        return """
            \(table.text)
            \(counts)
            learned from \(Words.count(Int64(result.counts.learned))) moments from \(Timestamps.format(result.learnedFrom)) on, \
            with recall of the events before it
            tested with \(Words.count(Int64(result.counts.tested))) moments from \(Timestamps.format(result.testedFrom)) on, \
            with recall of the events before it
            \(filters(result))
            """
    }

    private static func add(
        _ base: RankingQuality, _ recall: RankingQuality, _ ranked: RankingQuality, _ suffix: String,
        to table: inout Table
    ) {
        for (name, quality) in [("popularity", base), ("recall", recall), ("ranked", ranked)] {
            table.add([
                name + suffix, number(quality.ndcg), number(quality.map), number(quality.auc), number(quality.recall),
                ratio(quality.ndcg, base.ndcg), ratio(quality.recall, base.recall),
            ])
        }
    }

    private static func filters(_ result: TrainingResult) -> String {
        let held = result.filtered.map { "filtered by \(names($0.filters)), as items were at each moment" }
        let left = result.filtersLeftOut
        let lost = left.isEmpty ? nil : "no filtering by \(names(left)): no history says what items were"
        return [held ?? "no filters", lost].compactMap { $0 }.joined(separator: "; ")
    }

    private static func names(_ names: [String]) -> String {
        names.joined(separator: ", ")
    }

    /// Four digits behind the point.
    static func number(_ number: Double?) -> String {
        guard let number, number.isFinite else { return "-" }
        let digits = String(Int((abs(number) * 10_000).rounded()) + 1_000_000_000)
        let whole = (Int(digits.dropLast(4)) ?? 0) - 100_000
        return "\(number < 0 ? "-" : "")\(whole).\(digits.suffix(4))"
    }

    private static func ratio(_ number: Double, _ base: Double) -> String {
        base > 0 ? String(Self.number(number / base).dropLast(2)) : "-"
    }
}
