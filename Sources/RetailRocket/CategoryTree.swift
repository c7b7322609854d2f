/// The shop's categories: roots, shelves under them, and leaves that hold items; two or three levels deep.
struct CategoryTree {
    /// By index: roots first, then middles, then leaves.
    let ids: [Int64]
    let parents: [Int?]
    /// Index of the first leaf.
    let firstLeaf: Int
    /// For each leaf its parent's leaves: a run in `leavesByParent`.
    private let siblings: [Range<Int>]
    private let leavesByParent: [Int]

    var leafCount: Int { ids.count - firstLeaf }

    init(items: Int, seed: UInt64) {
        let leaves = min(1_200, max(6, items / 40))
        let middles = max(2, leaves / 6)
        let roots = max(2, middles / 6)
        let count = roots + middles + leaves
        let order = Permutation(count: count, seed: SplitMix.trait(.categoryOrder, of: 0, seed: seed))
        ids = (0..<count).map { Int64(order[$0]) + 1 }
        let firstLeaf = roots + middles
        var parents: [Int?] = Array(repeating: nil, count: roots)
        for index in roots..<count {
            let trait = SplitMix.trait(.parent, of: index, seed: seed)
            let isDeep = index >= firstLeaf && trait % 5 != 0
            parents.append(isDeep ? roots + Int(trait >> 8) % middles : Int(trait >> 8) % roots)
        }
        self.firstLeaf = firstLeaf
        self.parents = parents
        var grouped: [[Int]] = Array(repeating: [], count: firstLeaf)
        for leaf in 0..<leaves { grouped[parents[firstLeaf + leaf] ?? 0].append(leaf) }
        var run: [Int] = []
        var ranges = Array(repeating: 0..<0, count: leaves)
        for group in grouped {
            let range = run.count..<run.count + group.count
            run += group
            for leaf in group { ranges[leaf] = range }
        }
        siblings = ranges
        leavesByParent = run
    }

    /// The id of a leaf, counted from 0.
    func leafID(_ leaf: Int) -> Int64 { ids[firstLeaf + leaf] }

    /// A leaf below the same parent; possibly the same.
    func sibling(of leaf: Int, _ random: inout Xoshiro) -> Int {
        let range = siblings[leaf]
        return leavesByParent[range.lowerBound + random.below(range.count)]
    }

    /// From category ids to leaves.
    func leavesByID() -> [Int64: Int] {
        Dictionary(uniqueKeysWithValues: (0..<leafCount).map { (leafID($0), $0) })
    }
}
