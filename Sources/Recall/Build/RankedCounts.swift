import FeatureModel
import Glibc

/// What events say of items, as a whole and by segment. Memory grows with items and segments, not with events.
struct RankedCounts {
    /// How an item's values become one.
    enum Combine {
        case sum
        /// The lesser of each; for times.
        case least
    }

    /// A value of an item: what it means is its maker's affair.
    typealias Value = SIMD2<Double>

    private let combine: Combine
    private let limits: RecallLimits
    private var whole: [Value] = []
    private var total = Value()
    /// By segment (high half) and item (low half).
    private var cells: [UInt64: Value] = [:]
    private var segments: [String: UInt32] = [:]
    private var segmentNames: [String] = []
    private var segmentTotals: [Value] = []
    private var segmentEvents: [Int64] = []

    /// The most distinct segments of a source, whatever number is kept in the end.
    static let maximumSegments = 1_000_000

    init(_ combine: Combine, limits: RecallLimits) {
        self.combine = combine
        self.limits = limits
    }

    private var nothing: Value { combine == .sum ? Value() : Value(repeating: .infinity) }

    private func combined(_ left: Value, _ right: Value) -> Value {
        combine == .sum
            ? left + right
            : Value(Swift.min(left.x, right.x), Swift.min(left.y, right.y))
    }

    /// Counts an event. Items are numbered from 0.
    mutating func add(_ item: UInt32, segment: String?, _ value: Value) throws(RecallError) {
        while whole.count <= Int(item) { whole.append(nothing) }
        whole[Int(item)] = combined(whole[Int(item)], value)
        total += value
        guard let segment else { return }
        let number = try number(of: segment)
        segmentTotals[Int(number)] += value
        segmentEvents[Int(number)] += 1
        let cell = UInt64(number) << 32 | UInt64(item)
        cells[cell] = combined(cells[cell] ?? nothing, value)
        guard cells.count <= 2 * limits.items else {
            throw RecallError(
                .tooLarge, "there are too many items in too many segments",
                detail: "limits.items = \(limits.items): at most twice as many pairs of segment and item")
        }
    }

    private mutating func number(of segment: String) throws(RecallError) -> UInt32 {
        if let known = segments[segment] { return known }
        guard segmentNames.count < Self.maximumSegments else {
            throw RecallError(
                .tooLarge, "there are too many segments", detail: "more than \(Self.maximumSegments) distinct values")
        }
        let number = UInt32(clamping: segmentNames.count)
        segments[segment] = number
        segmentNames.append(segment)
        segmentTotals.append(Value())
        segmentEvents.append(0)
        return number
    }

    /// The best items of the whole and of the segments with the most events.
    ///
    /// `score` makes a score of an item's value and its row's total, `nil` for an item that has none. Scores are divided by
    /// the row's best. Among equal scores the item of lower `rank` comes first.
    func rows(
        size: Int, rank: [UInt32], score: (_ value: Value, _ total: Value) -> Double?
    ) -> (rows: ScoredRows, segmentsLeftOut: Int) {
        var number = [UInt32](repeating: 0, count: rank.count)
        for (item, place) in rank.enumerated() { number[Int(place)] = UInt32(clamping: item) }
        var best = TopScores(limit: size)
        for (item, value) in whole.enumerated() {
            if let score = score(value, total) { best.offer(rank[item], Float(score)) }
        }
        let kept = keptSegments()
        var places: [UInt32: Int] = [:]
        for (place, segment) in kept.enumerated() { places[segment] = place }
        var bests = [TopScores](repeating: TopScores(limit: size), count: kept.count)
        for (cell, value) in cells {
            let segment = UInt32(truncatingIfNeeded: cell >> 32)
            guard let place = places[segment], let score = score(value, segmentTotals[Int(segment)]) else { continue }
            bests[place].offer(rank[Int(UInt32(truncatingIfNeeded: cell))], Float(score))
        }
        var result = ScoredRows()
        result.segments = kept.map { segmentNames[Int($0)] }
        result.rows = ([best] + bests).map { Self.relative($0.sorted(), number) }
        return (result, segmentNames.count - kept.count)
    }

    /// Those with the most events, in the order of their names.
    private func keptSegments() -> [UInt32] {
        let order = segmentNames.indices.sorted { left, right in
            segmentEvents[left] != segmentEvents[right]
                ? segmentEvents[left] > segmentEvents[right]
                : segmentNames[left].utf8.lexicographicallyPrecedes(segmentNames[right].utf8)
        }
        return order.prefix(limits.segments)
            .sorted { segmentNames[$0].utf8.lexicographicallyPrecedes(segmentNames[$1].utf8) }
            .map { UInt32(clamping: $0) }
    }

    private static func relative(
        _ entries: [TopScores.Entry], _ number: [UInt32]
    ) -> [(number: UInt32, score: Float)] {
        let best = entries.first?.score ?? 1
        return entries.map { (number[Int($0.item)], best > 0 ? $0.score / best : $0.score) }
    }
}

/// The formulas of ranked lists.
enum RankedScores {
    /// What an event counts that happened `age` microseconds before the newest one.
    static func decay(age: Int64, halfLife: Duration?) -> Double {
        guard let halfLife else { return 1 }
        return exp2(-Double(age) / Double(max(1, halfLife.wholeMicroseconds)))
    }

    /// How many standard deviations an item's count lately lies above what its share before lets expect: the z-score of a
    /// Poisson count, `(x − e) / √(e + 1)` with `e = before × total lately / total before`, after the point-by-point Poisson
    /// model of Hendrickson, Kolb, Lehman and Montague, "Trend Detection in Social Data" (2015). Holding shares against each
    /// other keeps a busy hour from making everything a trend; the 1 keeps a single event from being one.
    ///
    /// - Returns: `nil` for what is no trend.
    static func trend(lately: Double, before: Double, totalLately: Double, totalBefore: Double) -> Double? {
        let expected = totalBefore > 0 ? before * totalLately / totalBefore : 0
        let score = (lately - expected) / (expected + 1).squareRoot()
        return score > 0 ? score : nil
    }
}
