/// Keeps the best of what it is offered: higher scores first, among equals the lower item. A heap whose root is the worst.
struct TopScores {
    struct Entry: Equatable {
        let item: UInt32
        let score: Float

        /// Whether it comes before another one.
        func isBetter(than other: Entry) -> Bool {
            score != other.score ? score > other.score : item < other.item
        }
    }

    private let limit: Int
    private var heap: [Entry] = []

    init(limit: Int) {
        self.limit = max(0, limit)
        heap.reserveCapacity(min(self.limit, 1_024))
    }

    /// What the next entry must be better than; `nil` while there is room.
    var threshold: Float? { heap.count < limit ? nil : heap.first?.score }

    mutating func offer(_ item: UInt32, _ score: Float) {
        let entry = Entry(item: item, score: score)
        if heap.count < limit {
            heap.append(entry)
            rise()
        } else if let worst = heap.first, entry.isBetter(than: worst) {
            heap[0] = entry
            sink()
        }
    }

    private mutating func rise() {
        var child = heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard heap[parent].isBetter(than: heap[child]) else { return }
            heap.swapAt(parent, child)
            child = parent
        }
    }

    private mutating func sink() {
        var parent = 0
        while true {
            var worst = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count {
                if heap[worst].isBetter(than: heap[child]) { worst = child }
            }
            guard worst != parent else { return }
            heap.swapAt(parent, worst)
            parent = worst
        }
    }

    /// The entries, best first.
    consuming func sorted() -> [Entry] {
        heap.sort { $0.isBetter(than: $1) }
        return heap
    }
}
