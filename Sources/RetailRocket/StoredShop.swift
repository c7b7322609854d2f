import LocalDatabase

/// A synthetic shop as its file describes it: what it takes to go on where the last period ended.
struct StoredShop {
    private(set) var meta: ShopMeta
    private let seed: UInt64
    private let users: Int
    private let items: Int
    private let rate: (events: Int, weight: UInt64)
    private let now: Int64
    private let random: Xoshiro
    private let nextTransaction: Int64
    private let changeRemainder: Int64
    private let forgotten: Set<Int>

    init(_ database: SQLiteConnection) throws {
        meta = try Self.readMeta(database)
        guard meta[.origin] == "synthetic", meta[.version] == ShopSchema.version else {
            throw RetailError(
                .notSynthetic, "only a synthetic shop of this version can be continued",
                detail: "origin \(meta[.origin] ?? "unknown"), version \(meta[.version] ?? "unknown")")
        }
        seed = try Self.number(meta, .seed, UInt64.min ... .max)
        users = try Self.number(meta, .users, SyntheticShop.Settings.userLimits)
        items = try Self.number(meta, .items, SyntheticShop.Settings.itemLimits)
        let events = try Self.number(meta, .events, SyntheticShop.Settings.eventLimits)
        // Times up to the year 9999, so that sums cannot overflow.
        let start = try Self.number(meta, .startMilliseconds, 0...253_402_300_799_999 as ClosedRange<Int64>)
        let period = try Self.number(meta, .periodMilliseconds, 1...1_000 * ShopClock.day)
        rate = (max(1, events), Rhythm.weight(from: start, to: start + period))
        now = try Self.number(meta, .nowMilliseconds, start...253_402_300_799_999)
        nextTransaction = try Self.number(meta, .nextTransaction, 1 ... .max / 2)
        changeRemainder = try Self.number(meta, .changeRemainder, 0...1_000 * ShopClock.day)
        guard let random = Xoshiro(text: meta[.random] ?? "") else { throw Self.broken(.random, meta) }
        self.random = random
        let ids = (meta[.forgotten] ?? "").split(separator: ",").map { Int($0) }
        guard ids.count <= Visitors.forgottenLimit, !ids.contains(nil) else { throw Self.broken(.forgotten, meta) }
        forgotten = Set(ids.compactMap { $0 })
    }

    private static func readMeta(_ database: SQLiteConnection) throws -> ShopMeta {
        do {
            return try ShopMeta(database)
        } catch {
            guard error.code == .statement else { throw error }
            throw RetailError(.notSynthetic, "the database is not a shop", detail: error.message)
        }
    }

    private static func number<Number: FixedWidthInteger>(
        _ meta: ShopMeta, _ key: ShopMeta.Key, _ range: ClosedRange<Number>
    ) throws(RetailError) -> Number {
        guard let number = meta[key].flatMap({ Number($0) }), range.contains(number) else { throw broken(key, meta) }
        return number
    }

    private static func broken(_ key: ShopMeta.Key, _ meta: ShopMeta) -> RetailError {
        RetailError(
            .notSynthetic, "shop_meta does not describe a shop",
            detail: "\(key.rawValue) is \(meta[key].map { "'\($0.prefix(80))'" } ?? "missing")")
    }

    /// When the period ends that an amount stands for, and how many events it has.
    func quota(_ amount: Advance.Amount, realNow: Int64) throws(RetailError) -> Quota {
        let wanted: (events: Int, slots: Int64)
        switch amount {
        case .events(let count):
            guard (0...Advance.eventLimit).contains(count) else { throw Self.outside("events", "\(count)") }
            wanted = (count, 0)
        case .duration(let duration):
            let slots = duration.components.seconds / (Rhythm.slot / 1_000)
            guard slots >= 1 else { throw Self.outside("duration", "\(duration)") }
            wanted = (0, slots)
        }
        var end = now
        var weight: UInt64 = 0
        var events = 0
        var slots: Int64 = 0
        repeat {
            weight += Rhythm.weight(at: end)
            events = Int(Quota.events(weight: weight, (UInt64(rate.events), rate.weight)))
            end += Rhythm.slot
            slots += 1
            guard end <= realNow else {
                throw RetailError(
                    .future, "the shop's time may not pass the real time", detail: "it is \(ShopClock.text(now)) there")
            }
        } while events < wanted.events || slots < wanted.slots
        guard events <= Advance.eventLimit || wanted.slots == 0 else {
            throw Self.outside("duration", "it would bring \(events) events")
        }
        return Quota(
            start: now, end: end, events: wanted.slots == 0 ? wanted.events : events, rate: rate)
    }

    private static func outside(_ name: String, _ value: String) -> RetailError {
        RetailError(
            .invalidSettings, "the amount is outside its limits",
            detail: "\(name): \(value); at most \(Advance.eventLimit) events, at least ten minutes")
    }

    /// The simulation as it was, with the items as they are in the database now.
    func makeSimulation(_ database: SQLiteConnection, _ quota: Quota) throws -> Simulation {
        var catalog = Catalog(firstItems: items, seed: seed)
        let leaves = catalog.tree.leavesByID()
        let rows = try database.prepare(
            "SELECT itemid, categoryid, price, available, is_deleted FROM items ORDER BY itemid")
        while try rows.step() {
            let id = rows.integer(0)
            guard id >= 1, id <= Catalog.itemLimit else {
                rows.reset()
                throw RetailError(.notSynthetic, "an item has an id that the generator never gives", detail: "\(id)")
            }
            // An item whose row somebody removed counts as cancelled.
            while catalog.items.count < id - 1 {
                var gone = catalog.newItem(index: catalog.items.count, at: now)
                gone.isDeleted = true
                catalog.append(gone)
            }
            catalog.append(
                Catalog.Item(
                    price: Int32(clamping: max(1, rows.integer(2))),
                    leaf: leaves[rows.integer(1)].map { Int32($0) } ?? -1,
                    isAvailable: rows.integer(3) != 0, isDeleted: rows.integer(4) != 0, changedAt: now))
        }
        let visitors = Visitors(
            count: users, seed: seed, leafPopularity: catalog.leafPopularity(), forgotten: forgotten)
        return Simulation(
            catalog: catalog, visitors: visitors, random: random, nextTransaction: nextTransaction,
            changeRemainder: changeRemainder, quota: quota)
    }

    /// Remembers where the simulation ended.
    mutating func save(_ simulation: Simulation, now: Int64) {
        SyntheticShop.save(simulation, &meta)
        meta.setClock(now)
        meta[.advances] = String((meta.integer(.advances) ?? 0) + 1)
        meta[.forgotten] = simulation.visitors.forgotten.sorted().map { String($0) }.joined(separator: ",")
    }
}
