import LocalDatabase

/// Lets the shop's time pass: visits and changes of items, slot by slot, into a writer.
///
/// Memory is the catalog and one slot's running visits, however many events are made.
struct Simulation {
    var catalog: Catalog
    var visitors: Visitors
    var random: Xoshiro
    var nextTransaction: Int64
    /// Thousandths of a change and millisecond that earlier periods left over.
    var changeRemainder: Int64
    private(set) var counts = Counts()

    /// What happened since the simulation began.
    struct Counts: Equatable {
        var views = 0
        var carts = 0
        var orders = 0
        var arrived: [Int] = []
        var cancelled: [Int] = []
        var restored: [Int] = []
    }

    private var quota: Quota
    private var slot: Int64
    private var generated = 0
    private var shelvedDay: Int64 = -1
    private var sessions = SessionModel()
    private var queue = PendingQueue()

    init(
        catalog: Catalog, visitors: Visitors, random: Xoshiro, nextTransaction: Int64, changeRemainder: Int64,
        quota: Quota
    ) {
        self.catalog = catalog
        self.visitors = visitors
        self.random = random
        self.nextTransaction = nextTransaction
        self.changeRemainder = changeRemainder
        self.quota = quota
        slot = quota.start
    }

    var isFinished: Bool { slot >= quota.end && queue.count == 0 }

    /// Items that were cancelled since the simulation began and still are.
    var goneItems: [Int] { counts.cancelled.filter { catalog.items[$0].isDeleted } }

    /// Items that were restored since the simulation began and still are there.
    var returnedItems: [Int] { counts.restored.filter { !catalog.items[$0].isDeleted } }

    /// Schedules changes that happen whatever chance says, spread over the period.
    mutating func schedule(_ changes: [ItemChange]) {
        for change in changes {
            let time = quota.start + 1 + random.below(quota.end - quota.start)
            queue.schedule(PendingEvent(time: time, kind: .change, user: 0, item: change.rawValue, transaction: 0))
        }
    }

    /// Runs the next slots until `rows` or more rows are written, or the period is over.
    mutating func run(rows: Int, _ writer: ShopWriter) throws(SQLiteError) {
        let target = writer.eventCount + writer.propertyCount + rows
        while !isFinished, writer.eventCount + writer.propertyCount < target { try runSlot(writer) }
    }

    private mutating func runSlot(_ writer: ShopWriter) throws(SQLiteError) {
        if slot / ShopClock.day != shelvedDay {
            catalog.rebuildShelves()
            shelvedDay = slot / ShopClock.day
        }
        let length = min(Rhythm.slot, quota.end - slot)
        let due = quota.due(slotAt: slot)
        var failures = 0
        // A visit may find nothing on the shelves; a shop where that goes on has nothing to look at.
        while generated < due, failures < 1_000 {
            let start = slot + 1 + random.below(length)
            let count = sessions.schedule(
                from: start, through: quota.end, limit: quota.events - generated, catalog: catalog, visitors: visitors,
                nextTransaction: &nextTransaction, random: &random, into: &queue)
            generated += count
            failures = count == 0 ? failures + 1 : 0
        }
        scheduleChanges(length)
        slot += length
        while let event = queue.next(through: slot) { try happen(event, writer) }
    }

    private mutating func scheduleChanges(_ length: Int64) {
        let unit = 1_000 * ShopClock.day
        changeRemainder += Int64(catalog.items.count) * ItemChange.perThousandItemsAndDay * length
        for _ in 0..<changeRemainder / unit {
            let time = slot + 1 + random.below(length)
            queue.schedule(PendingEvent(time: time, kind: .change, user: 0, item: -1, transaction: 0))
        }
        changeRemainder %= unit
    }

    private mutating func happen(_ event: PendingEvent, _ writer: ShopWriter) throws(SQLiteError) {
        switch event.kind {
        case .view: counts.views += 1
        case .addtocart: counts.carts += 1
        case .transaction: counts.orders += 1
        case .change:
            try change(ItemChange(rawValue: event.item) ?? ItemChange.roll(&random), at: event.time, writer)
            return
        }
        try writer.event(
            at: event.time, visitor: Int64(event.user), name: event.kind.name, item: Int64(event.item + 1),
            transaction: event.kind == .transaction ? event.transaction : nil)
    }

    // MARK: Items

    /// Puts the first items into the shop, in the hour before it opens.
    mutating func stock(_ index: Int, of count: Int, opening: Int64, _ writer: ShopWriter) throws(SQLiteError) {
        let time = opening - ShopClock.hour + Int64(index) * ShopClock.hour / Int64(count)
        try arrive(at: time, writer)
    }

    private mutating func arrive(at time: Int64, _ writer: ShopWriter) throws(SQLiteError) {
        let index = catalog.items.count
        let item = catalog.newItem(index: index, at: time)
        catalog.append(item)
        catalog.update(index, at: time) { _ in }
        let id = Int64(index + 1)
        let category = String(catalog.tree.leafID(Int(item.leaf)))
        try writer.property(at: time, item: id, name: ItemProperty.category, value: category)
        try writer.property(at: time, item: id, name: ItemProperty.available, value: item.isAvailable ? "1" : "0")
        try writer.property(at: time, item: id, name: ItemProperty.price, value: ItemProperty.text(price: item.price))
        for (place, name) in ItemProperty.words.enumerated() {
            let bits = SplitMix.trait(.word, of: index &* 3 &+ place, seed: catalog.seed)
            try writer.property(at: time, item: id, name: name, value: ItemProperty.words(of: place, bits: bits))
        }
    }

    private mutating func change(_ change: ItemChange, at time: Int64, _ writer: ShopWriter) throws(SQLiteError) {
        switch change {
        case .arrival:
            guard catalog.items.count < Catalog.itemLimit else { return }
            counts.arrived.append(catalog.items.count)
            try arrive(at: time, writer)
        case .restoration: try restore(at: time, writer)
        case .price, .availability, .words, .category, .cancellation:
            let index = random.below(catalog.items.count)
            guard !catalog.items[index].isDeleted else { return }
            try changeItem(change, index, at: time, writer)
        }
    }

    private mutating func changeItem(
        _ change: ItemChange, _ index: Int, at time: Int64, _ writer: ShopWriter
    ) throws(SQLiteError) {
        switch change {
        case .price: try reprice(index, at: time, writer)
        case .availability: try setAvailable(index, !catalog.items[index].isAvailable, at: time, writer)
        case .words:
            let place = random.below(ItemProperty.words.count)
            let value = ItemProperty.words(of: place, bits: random.next())
            try writer.property(at: time, item: Int64(index + 1), name: ItemProperty.words[place], value: value)
        case .category:
            let leaf = random.below(catalog.tree.leafCount)
            catalog.update(index, at: time) { $0.leaf = Int32(leaf) }
            let value = String(catalog.tree.leafID(leaf))
            try writer.property(at: time, item: Int64(index + 1), name: ItemProperty.category, value: value)
        case .cancellation: try cancel(index, at: time, writer)
        case .arrival, .restoration: return
        }
    }

    /// Prices move between -25 % and +20 % around what the item costs in the long run.
    private mutating func reprice(_ index: Int, at time: Int64, _ writer: ShopWriter) throws(SQLiteError) {
        let percent = 75 + random.below(Int64(46))
        var price = Int32(max(1, Int64(catalog.basePrice(index)) * percent / 100))
        if price == catalog.items[index].price { price += 1 }
        catalog.update(index, at: time) { $0.price = price }
        let value = ItemProperty.text(price: price)
        try writer.property(at: time, item: Int64(index + 1), name: ItemProperty.price, value: value)
    }

    private mutating func setAvailable(
        _ index: Int, _ isAvailable: Bool, at time: Int64, _ writer: ShopWriter
    ) throws(SQLiteError) {
        catalog.update(index, at: time) { $0.isAvailable = isAvailable }
        let value = isAvailable ? "1" : "0"
        try writer.property(at: time, item: Int64(index + 1), name: ItemProperty.available, value: value)
    }

    /// At most a fifth of the items is cancelled at any time: the shop stays one.
    private mutating func cancel(_ index: Int, at time: Int64, _ writer: ShopWriter) throws(SQLiteError) {
        guard (catalog.deleted.count + 1) * 5 <= catalog.items.count else { return }
        counts.cancelled.append(index)
        catalog.markDeleted(index)
        catalog.update(index, at: time) { $0.isDeleted = true }
        try setAvailable(index, false, at: time, writer)
    }

    private mutating func restore(at time: Int64, _ writer: ShopWriter) throws(SQLiteError) {
        guard let index = catalog.takeDeleted(&random) else { return }
        counts.restored.append(index)
        catalog.update(index, at: time) { $0.isDeleted = false }
        try setAvailable(index, true, at: time, writer)
    }
}
