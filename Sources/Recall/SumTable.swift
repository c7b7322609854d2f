/// Adds up the scores of items: a table with open addressing, which takes a fraction of a dictionary's time. Items are indexes into a
/// list's own ids, so that nobody else chooses what collides.
struct SumTable {
    private static let empty = UInt32.max
    private var items: [UInt32]
    private var sums: [Float]
    private let mask: Int

    /// Has room for so many items.
    init(capacity: Int) {
        var slots = 16
        while slots < capacity * 2 { slots *= 2 }
        items = Array(repeating: Self.empty, count: slots)
        sums = Array(repeating: 0, count: slots)
        mask = slots - 1
    }

    /// Where an item is or would be.
    private func slot(_ item: UInt32) -> Int {
        // Fibonacci hashing (Knuth, The Art of Computer Programming 3, 6.4).
        var slot = Int(truncatingIfNeeded: (UInt64(item) &* 0x9e37_79b9_7f4a_7c15) >> 32) & mask
        while items[slot] != item, items[slot] != Self.empty { slot = (slot + 1) & mask }
        return slot
    }

    mutating func add(_ item: UInt32, _ score: Float) {
        let slot = slot(item)
        items[slot] = item
        sums[slot] += score
    }

    /// Leaves an item out, whatever was added.
    mutating func drop(_ item: UInt32) {
        let slot = slot(item)
        guard items[slot] == item else { return }
        sums[slot] = .nan
    }

    /// Each item with its sum, in no order that means something.
    func forEach(_ body: (UInt32, Float) -> Void) {
        for (slot, item) in items.enumerated() where item != Self.empty && !sums[slot].isNaN { body(item, sums[slot]) }
    }
}
