/// All items of the shop as they are now, and the shelves visitors pick them from. Some 40 bytes an item.
struct Catalog {
    /// What an item is at the moment. Item ids are 1, 2, 3 …; index 0 is item 1.
    struct Item {
        var price: Int32
        /// -1 for an item whose category is none of the shop's.
        var leaf: Int32
        var isAvailable: Bool
        var isDeleted: Bool
        /// Changed since the last `takeChanged`.
        var isChanged = false
        /// Simulated time of the last change.
        var changedAt: Int64
    }

    let seed: UInt64
    let tree: CategoryTree
    private(set) var items: [Item] = []
    /// Items that were cancelled and could come back.
    private(set) var deleted: [Int] = []
    private var weights: [UInt64] = []

    /// Popularity by rank: Zipf with exponent 1.05, as integers so that sums are exact.
    private let zipf: [UInt64]
    private let ranks: Permutation

    /// Indexes of live items by leaf, and running sums of their weights within each leaf.
    private var shelves: [Int32] = []
    private var shelfStarts: [Int] = []
    private var shelfWeights: [UInt64] = []
    private var leafWeights: [UInt64] = []

    static let exponent = 1.05
    /// Items a shop can grow to.
    static let itemLimit = 4_000_000

    /// A shop of `count` items has this catalog's tree and popularities for good, however many items come later.
    init(firstItems count: Int, seed: UInt64) {
        self.seed = seed
        tree = CategoryTree(items: count, seed: seed)
        zipf = (1...max(1, count)).map { UInt64(ExactMath.power(Double($0), -Self.exponent) * 0x1p40) }
        ranks = Permutation(count: count, seed: SplitMix.trait(.itemOrder, of: 0, seed: seed))
    }

    /// The item as it was when it entered the shop.
    func newItem(index: Int, at time: Int64) -> Item {
        Item(
            price: basePrice(index), leaf: Int32(home(index)),
            isAvailable: SplitMix.trait(.available, of: index, seed: seed) % 100 < 88, isDeleted: false,
            changedAt: time)
    }

    mutating func append(_ item: Item) {
        if item.isDeleted { deleted.append(items.count) }
        weights.append(weight(items.count))
        items.append(item)
    }

    /// Changes an item and remembers that it did.
    mutating func update(_ index: Int, at time: Int64, _ change: (inout Item) -> Void) {
        change(&items[index])
        items[index].isChanged = true
        items[index].changedAt = time
    }

    mutating func markDeleted(_ index: Int) { deleted.append(index) }

    /// One of the cancelled items, by chance; it is no longer among them.
    mutating func takeDeleted(_ random: inout Xoshiro) -> Int? {
        guard !deleted.isEmpty else { return nil }
        deleted.swapAt(random.below(deleted.count), deleted.count - 1)
        return deleted.removeLast()
    }

    /// The changed items in ascending order, each once.
    mutating func takeChanged() -> [Int] {
        var changed: [Int] = []
        for index in items.indices where items[index].isChanged {
            changed.append(index)
            items[index].isChanged = false
        }
        return changed
    }

    // MARK: Traits

    /// What an item costs in the long run; its price moves around it.
    func basePrice(_ index: Int) -> Int32 {
        let level = SplitMix.trait(.level, of: home(index), seed: seed)
        let step = Int64(10) << Int64(level % 7)
        let around = Int64(40 + SplitMix.trait(.price, of: index, seed: seed) % 200)
        return Int32(max(1, step * around / 100))
    }

    /// The leaf in which an item starts.
    func home(_ index: Int) -> Int {
        Int(SplitMix.trait(.home, of: index, seed: seed) % UInt64(tree.leafCount))
    }

    private func weight(_ index: Int) -> UInt64 {
        if index < zipf.count { return zipf[ranks[index]] }
        return zipf[Int(SplitMix.trait(.rank, of: index, seed: seed) % UInt64(zipf.count))]
    }

    /// Running sums of what the leaves' first items weigh: how popular the categories are, for good.
    func leafPopularity() -> [UInt64] {
        var sums: [UInt64] = Array(repeating: 1, count: tree.leafCount)
        for index in zipf.indices { sums[home(index)] += zipf[ranks[index]] }
        for leaf in sums.indices.dropFirst() { sums[leaf] += sums[leaf - 1] }
        return sums
    }

    // MARK: Shelves

    /// Puts the live items on their shelves anew: once a simulated day.
    mutating func rebuildShelves() {
        var starts = Array(repeating: 0, count: tree.leafCount + 1)
        for item in items where !item.isDeleted && item.leaf >= 0 { starts[Int(item.leaf) + 1] += 1 }
        for leaf in 0..<tree.leafCount { starts[leaf + 1] += starts[leaf] }
        let count = starts[tree.leafCount]
        shelves = Array(repeating: 0, count: count)
        shelfWeights = Array(repeating: 0, count: count)
        var free = starts
        for (index, item) in items.enumerated() where !item.isDeleted && item.leaf >= 0 {
            shelves[free[Int(item.leaf)]] = Int32(index)
            free[Int(item.leaf)] += 1
        }
        leafWeights = Array(repeating: 0, count: tree.leafCount)
        var total: UInt64 = 0
        for leaf in 0..<tree.leafCount {
            var sum: UInt64 = 0
            for place in starts[leaf]..<starts[leaf + 1] {
                sum += weights[Int(shelves[place])]
                shelfWeights[place] = sum
            }
            total += sum
            leafWeights[leaf] = total
        }
        shelfStarts = starts
    }

    /// An item of a leaf by popularity, or `nil` where the shelf is empty or the item has just gone.
    func pick(leaf: Int, _ random: inout Xoshiro) -> Int? {
        let range = shelfStarts[leaf]..<shelfStarts[leaf + 1]
        guard let last = range.last else { return nil }
        let place = Self.search(shelfWeights, range, random.below(shelfWeights[last]))
        let index = Int(shelves[place])
        return items[index].isDeleted ? nil : index
    }

    /// An item of the whole shop by popularity, or `nil` where it has just gone.
    func pick(_ random: inout Xoshiro) -> Int? {
        guard let total = leafWeights.last, total > 0 else { return nil }
        return pick(leaf: Self.search(leafWeights, leafWeights.indices, random.below(total)), &random)
    }

    /// The first place whose running sum exceeds `value`.
    static func search(_ sums: [UInt64], _ range: Range<Int>, _ value: UInt64) -> Int {
        var low = range.lowerBound
        var high = range.upperBound - 1
        while low < high {
            let middle = (low + high) / 2
            if sums[middle] > value { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
