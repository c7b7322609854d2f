import FeatureModel

/// Numbers ids as they come: dense, from 0.
struct IDNumbers {
    private var integers: [Int64: UInt32] = [:]
    private var others: [EntityKeyValue: UInt32] = [:]
    private(set) var ids: [EntityKeyValue] = []
    /// Users need no way back: their ids are counted and not kept.
    private let keepsIDs: Bool
    private(set) var count = 0

    init(keepsIDs: Bool) {
        self.keepsIDs = keepsIDs
    }

    /// The number of an id; `nil` for one that would be beyond `limit`.
    mutating func number(_ id: EntityKeyValue, limit: Int) -> UInt32? {
        if case .integer(let value) = id {
            if let known = integers[value] { return known }
        } else if let known = others[id] {
            return known
        }
        guard count < limit else { return nil }
        let number = UInt32(clamping: count)
        if case .integer(let value) = id { integers[value] = number } else { others[id] = number }
        if keepsIDs { ids.append(id) }
        count += 1
        return number
    }

    /// The numbers in the order of their ids, and where each number stands in it.
    func ascending() -> (order: [UInt32], rank: [UInt32]) {
        let order = ids.indices.sorted { Self.isLess(ids[$0], ids[$1]) }.map { UInt32(clamping: $0) }
        var rank = [UInt32](repeating: 0, count: order.count)
        for (place, number) in order.enumerated() { rank[Int(number)] = UInt32(clamping: place) }
        return (order, rank)
    }

    private static func isLess(_ left: EntityKeyValue, _ right: EntityKeyValue) -> Bool {
        switch (left, right) {
        case (.integer(let a), .integer(let b)): a < b
        case (.text(let a), .text(let b)): a.utf8.lexicographicallyPrecedes(b.utf8)
        case (.bytes(let a), .bytes(let b)): a.lexicographicallyPrecedes(b)
        default: false
        }
    }
}

/// Rows of scored items, by numbers, on their way to an artifact.
struct ScoredRows {
    /// The name of each row behind the first; empty for neighbours.
    var segments: [String] = []
    /// Best first, each.
    var rows: [[(number: UInt32, score: Float)]] = []
}

extension RecallArtifact {
    /// A list of the best: only items that a row has are in it.
    init(best: ScoredRows, kind: RecallKind, _ numbers: IDNumbers, _ type: EntityKeyType) {
        var used = [Bool](repeating: false, count: numbers.count)
        for row in best.rows { for entry in row { used[Int(entry.number)] = true } }
        let (order, _) = numbers.ascending()
        let kept = order.filter { used[Int($0)] }
        var places = [UInt32](repeating: 0, count: numbers.count)
        for (place, number) in kept.enumerated() { places[Int(number)] = UInt32(clamping: place) }
        self.init(kind: kind, ids: ItemIDs(kept.map { numbers.ids[Int($0)] }, type))
        segments = best.segments
        for row in best.rows { append(row, places) }
    }

    /// Neighbours: only items that have some, or are one, are in it. `rows` has a row for each number.
    init(neighbours: ScoredRows, kind: RecallKind, _ numbers: IDNumbers, _ type: EntityKeyType) {
        var used = [Bool](repeating: false, count: numbers.count)
        for (number, row) in neighbours.rows.enumerated() where !row.isEmpty {
            used[number] = true
            for entry in row { used[Int(entry.number)] = true }
        }
        let (order, _) = numbers.ascending()
        let kept = order.filter { used[Int($0)] }
        var places = [UInt32](repeating: 0, count: numbers.count)
        for (place, number) in kept.enumerated() { places[Int(number)] = UInt32(clamping: place) }
        self.init(kind: kind, ids: ItemIDs(kept.map { numbers.ids[Int($0)] }, type))
        for number in kept { append(neighbours.rows[Int(number)], places) }
    }

    private mutating func append(_ row: [(number: UInt32, score: Float)], _ places: [UInt32]) {
        for entry in row {
            items.append(places[Int(entry.number)])
            scores.append(entry.score)
        }
        starts.append(UInt32(clamping: items.count))
    }
}
