import Glibc

/// How good a ranking is, for one moment.
struct MomentScore: Sendable {
    var ndcg = 0.0
    var averagePrecision = 0.0
    var recall = 0.0
    /// `nil` where nothing can be told apart.
    var auc: Double?

    static let top = 10
    static let deep = 100

    /// - Parameters:
    ///   - ranking: The items, best first.
    ///   - relevant: What should have come, with its grade.
    init(ranking: [UInt32], relevant: [UInt32: Float]) {
        guard !relevant.isEmpty else { return }
        let ideal = Self.gain(relevant.values.sorted(by: >))
        ndcg = ideal > 0 ? Self.gain(ranking.prefix(Self.top).map { relevant[$0] ?? 0 }) / ideal : 0
        var hits = 0
        for (place, item) in ranking.enumerated() where relevant[item] != nil {
            hits += 1
            averagePrecision += Double(hits) / Double(place + 1)
            if place < Self.deep { recall += 1 }
        }
        averagePrecision /= Double(relevant.count)
        recall /= Double(relevant.count)
    }

    private static func gain(_ grades: [Float]) -> Double {
        var sum = 0.0
        for (place, grade) in grades.prefix(top).enumerated() {
            sum += (exp2(Double(grade)) - 1) / log2(Double(place + 2))
        }
        return sum
    }

    /// The probability that a relevant candidate has the higher score than another; ties count half.
    static func auc(_ scores: [Float], _ labels: [Float]) -> Double? {
        let positives = labels.count { $0 > 0 }
        let negatives = labels.count - positives
        guard positives > 0, negatives > 0 else { return nil }
        let order = scores.indices.sorted { scores[$0] < scores[$1] }
        var ranks = 0.0
        var start = 0
        while start < order.count {
            var end = start
            while end < order.count, scores[order[end]] == scores[order[start]] { end += 1 }
            let rank = Double(start + end + 1) / 2
            ranks += rank * Double(order[start..<end].count { labels[$0] > 0 })
            start = end
        }
        let lowest = Double(positives) * Double(positives + 1) / 2
        return (ranks - lowest) / (Double(positives) * Double(negatives))
    }

    /// The NDCG of each group of rows together; for stopping early.
    static func ndcg(_ scores: [Float], _ set: (labels: [Float], groups: [Int])) -> Double {
        var start = 0
        var sum = 0.0
        for count in set.groups {
            let rows = start..<start + count
            let order = rows.sorted { (scores[$0], $1) > (scores[$1], $0) }
            let ideal = gain(rows.map { set.labels[$0] }.sorted(by: >))
            if ideal > 0 { sum += gain(order.prefix(top).map { set.labels[$0] }) / ideal }
            start += count
        }
        return set.groups.isEmpty ? 0 : sum / Double(set.groups.count)
    }
}

/// How good rankings are on average.
package struct RankingQuality: Sendable, Hashable, Codable {
    package let ndcg: Double
    package let map: Double
    package let auc: Double
    package let recall: Double

    init(_ scores: [MomentScore]) {
        let count = Double(max(1, scores.count))
        let areas = scores.compactMap(\.auc)
        ndcg = scores.reduce(0) { $0 + $1.ndcg } / count
        map = scores.reduce(0) { $0 + $1.averagePrecision } / count
        recall = scores.reduce(0) { $0 + $1.recall } / count
        auc = areas.isEmpty ? 0.5 : areas.reduce(0, +) / Double(areas.count)
    }

    enum CodingKeys: String, CodingKey {
        case ndcg = "ndcg_at_10"
        case map
        case auc
        case recall = "recall_at_100"
    }
}
