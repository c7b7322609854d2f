/// Which features of a view a lookup wants, and in what order. Made once a feature list, used for every row.
package struct FeaturePick: Sendable {
    /// How many values are asked for.
    package let count: Int
    /// For each feature of the view where its value goes first, -1 for nowhere.
    private let slots: [Int]
    /// Places that repeat another one: a feature asked for twice.
    let copies: [(copy: Int, original: Int)]

    /// Picks features by their index in a view of `width` features; one may be asked for more than once.
    ///
    /// - Returns: `nil` when an index is outside of the view.
    package init?(_ features: [Int], width: Int) {
        var slots = [Int](repeating: -1, count: width)
        var copies: [(copy: Int, original: Int)] = []
        for (place, feature) in features.enumerated() {
            guard slots.indices.contains(feature) else { return nil }
            if slots[feature] == -1 {
                slots[feature] = place
            } else {
                copies.append((place, slots[feature]))
            }
        }
        count = features.count
        self.slots = slots
        self.copies = copies
    }

    /// Where the value of a feature goes, if it is wanted.
    func slot(of feature: Int) -> Int? {
        guard feature < slots.count, slots[feature] >= 0 else { return nil }
        return slots[feature]
    }
}
