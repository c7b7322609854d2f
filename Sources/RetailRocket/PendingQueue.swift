/// Something that will happen in the shop.
struct PendingEvent {
    enum Kind: UInt8 {
        case view, addtocart, transaction
        /// An item changes; `item` holds the kind of change, or -1 when chance decides.
        case change

        /// As in the dump's column `event`.
        var name: String {
            switch self {
            case .view: "view"
            case .addtocart: "addtocart"
            case .transaction: "transaction"
            case .change: "change"
            }
        }
    }

    var time: Int64
    var kind: Kind
    var user: Int
    var item: Int
    /// 0 where there is none.
    var transaction: Int64
}

/// What is scheduled but has not happened, earliest first, in order of scheduling where times are equal.
///
/// Holds the running sessions of about one slot: its size follows the rate of events, not their number.
struct PendingQueue {
    private struct Entry {
        let event: PendingEvent
        let order: UInt64

        func precedes(_ other: Entry) -> Bool {
            event.time != other.event.time ? event.time < other.event.time : order < other.order
        }
    }

    private var heap: [Entry] = []
    private var scheduled: UInt64 = 0

    var count: Int { heap.count }

    mutating func schedule(_ event: PendingEvent) {
        scheduled += 1
        heap.append(Entry(event: event, order: scheduled))
        var child = heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard heap[child].precedes(heap[parent]) else { return }
            heap.swapAt(child, parent)
            child = parent
        }
    }

    /// The earliest event, if it lies before or at a time.
    mutating func next(through time: Int64) -> PendingEvent? {
        guard let first = heap.first, first.event.time <= time else { return nil }
        let last = heap.removeLast()
        if !heap.isEmpty {
            heap[0] = last
            siftDown()
        }
        return first.event
    }

    private mutating func siftDown() {
        var parent = 0
        while true {
            var child = 2 * parent + 1
            guard child < heap.count else { return }
            if child + 1 < heap.count, heap[child + 1].precedes(heap[child]) { child += 1 }
            guard heap[child].precedes(heap[parent]) else { return }
            heap.swapAt(child, parent)
            parent = child
        }
    }
}
