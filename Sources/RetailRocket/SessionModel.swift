/// One visit: a user looks at several related items within minutes, puts some into the cart, and may buy them.
struct SessionModel {
    private struct Step {
        var offset: Int64
        var kind: PendingEvent.Kind
        var item: Int
    }

    /// Events of one visit, at most.
    static let viewLimit = 25

    private var steps: [Step] = []
    private var cart: [Int] = []

    /// Schedules a visit that begins at `start` and ends by `end`, cut after `limit` events.
    ///
    /// - Returns: How many events it has; 0 when there was nothing to look at.
    mutating func schedule(
        from start: Int64, through end: Int64, limit: Int, catalog: borrowing Catalog, visitors: borrowing Visitors,
        nextTransaction: inout Int64, random: inout Xoshiro, into queue: inout PendingQueue
    ) -> Int {
        let user = visitors.pick(&random)
        walk(user: user, catalog: catalog, visitors: visitors, &random)
        if steps.count > limit { steps.removeLast(steps.count - limit) }
        guard let last = steps.last else { return 0 }
        let transaction = last.kind == .transaction ? nextTransaction : 0
        if last.kind == .transaction { nextTransaction += 1 }
        // The visit must be over when the period is: it is told faster then.
        let room = end - start
        for step in steps {
            let offset = last.offset > room ? step.offset * room / last.offset : step.offset
            queue.schedule(
                PendingEvent(
                    time: start + offset, kind: step.kind, user: user, item: step.item,
                    transaction: step.kind == .transaction ? transaction : 0))
        }
        return steps.count
    }

    private mutating func walk(
        user: Int, catalog: borrowing Catalog, visitors: borrowing Visitors, _ random: inout Xoshiro
    ) {
        steps.removeAll(keepingCapacity: true)
        cart.removeAll(keepingCapacity: true)
        let interest = visitors.interest(of: user, &random)
        let budget = visitors.budget(of: user)
        var views = 1
        while views < Self.viewLimit, random.chance(ppm: 700_000) { views += 1 }
        var offset: Int64 = 0
        var previous: Int?
        for _ in 0..<views {
            guard let item = look(leaf: interest.leaf, after: previous, catalog, &random) else { continue }
            steps.append(Step(offset: offset, kind: .view, item: item))
            previous = item
            if !cart.contains(item),
                random.chance(ppm: cartChance(catalog.items[item], interest.isFavourite, budget))
            {
                offset += 8_000 + random.below(Int64(90_000))
                steps.append(Step(offset: offset, kind: .addtocart, item: item))
                cart.append(item)
            }
            offset += 3_000 + random.below(Int64(45_000))
            if random.chance(ppm: 250_000) { offset += random.below(Int64(240_000)) }
        }
        checkOut(offset, &random)
    }

    private mutating func checkOut(_ offset: Int64, _ random: inout Xoshiro) {
        guard !cart.isEmpty, random.chance(ppm: 360_000) else { return }
        let paid = offset + 40_000 + random.below(Int64(400_000))
        for (place, item) in cart.enumerated() where place == 0 || random.chance(ppm: 850_000) {
            steps.append(Step(offset: paid, kind: .transaction, item: item))
        }
    }

    private func look(leaf: Int, after previous: Int?, _ catalog: borrowing Catalog, _ random: inout Xoshiro) -> Int? {
        let roll = random.below(100)
        if let previous, roll < 12, !catalog.items[previous].isDeleted { return previous }
        if roll < 72, let item = catalog.pick(leaf: leaf, &random) { return item }
        if roll < 88, let item = catalog.pick(leaf: catalog.tree.sibling(of: leaf, &random), &random) { return item }
        return catalog.pick(&random)
    }

    /// In millionths.
    private func cartChance(_ item: Catalog.Item, _ isFavourite: Bool, _ budget: Int) -> Int {
        guard item.isAvailable else { return 0 }
        let price = Int(item.price)
        let appeal = price * 4 <= budget ? 130 : price <= budget ? 100 : price <= budget * 3 ? 60 : 25
        return (isFavourite ? 600 : 280) * appeal
    }
}
