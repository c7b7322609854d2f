import Glibc
import LocalDatabase

extension SyntheticShop {
    /// Lets as many events happen in a shop that `create` made. See `advance(path:by:progress:)`.
    package static func advance(
        path: String, events: Int, progress: @escaping ShopProgress.Handler = { _ in }
    ) async throws -> Advance {
        try await advance(path: path, by: .events(events), progress: progress)
    }

    /// Lets time pass in a shop that `create` made: visits, changed items, cancelled, restored and new ones, users that
    /// ask to be forgotten; then the aggregates of those concerned, and only those.
    ///
    /// The same shop and amounts give the same rows. Everything happens in one transaction: readers see all or nothing.
    ///
    /// - Throws: `RetailError` for a missing or foreign file, an amount outside its limits, and for a simulated
    ///   time behind the real one; `SQLiteError`; `CancellationError`.
    package static func advance(
        path: String, by amount: Advance.Amount, progress: @escaping ShopProgress.Handler = { _ in }
    ) async throws -> Advance {
        guard unsafe access(path, F_OK) == 0 else {
            throw RetailError(.notFound, "there is no such shop", detail: path)
        }
        let database = try await LocalDatabase(.init(path: path, access: .readWrite, setup: advanceSettings))
        let advance = try await database.run { connection in
            try connection.transaction { _ in try letPass(amount, connection, progress) }
        }
        await database.close()
        return advance
    }

    private static let advanceSettings = "PRAGMA cache_size = -32768; PRAGMA temp_store = FILE;"

    private static func letPass(
        _ amount: Advance.Amount, _ database: SQLiteConnection, _ progress: ShopProgress.Handler
    ) throws -> Advance {
        var state = try StoredShop(database)
        let quota = try state.quota(amount, realNow: ShopClock.realNow())
        var simulation = try state.makeSimulation(database, quota)
        simulation.schedule([.price, .price, .price, .availability, .arrival, .cancellation, .restoration])
        let writer = try ShopWriter(database)
        while !simulation.isFinished {
            try Task.checkCancellation()
            try simulation.run(rows: batch, writer)
            progress(ShopProgress(stage: .events, done: writer.eventCount, total: quota.events))
        }
        let changed = simulation.catalog.takeChanged()
        for index in changed {
            _ = try writer.item(index, of: simulation.catalog, mayExist: true, in: database)
        }
        progress(ShopProgress(stage: .aggregates, done: 0, total: 0))
        let advance = try aggregate(&simulation, writer, changed, quota, database)
        state.save(simulation, now: quota.end)
        try state.meta.write(database)
        return advance
    }

    private static func aggregate(
        _ simulation: inout Simulation, _ writer: ShopWriter, _ changed: [Int], _ quota: Quota,
        _ database: SQLiteConnection
    ) throws -> Advance {
        let step = try ShopAggregates.Step(database, from: quota.start, now: quota.end)
        try database.execute(ShopAggregates.createDeltas)
        let (forgotten, forgottenEvents) = try forget(&simulation, step, events: quota.events, database)
        try ShopAggregates.collectDeltas(step, database)
        let users = try ShopAggregates.updateUsers(database)
        let stats = try ShopAggregates.updateItems(step, database)
        let counts = simulation.counts
        let advance = Advance(
            from: quota.start, now: quota.end, events: writer.eventCount, views: counts.views, carts: counts.carts,
            orders: counts.orders, itemProperties: writer.propertyCount,
            users: .init(count: users, ids: try ids("SELECT id FROM temp.user_delta", database)),
            forgotten: .init(forgotten), forgottenEvents: forgottenEvents,
            items: .init(changed.map { Int64($0 + 1) }),
            arrived: .init(counts.arrived.map { Int64($0 + 1) }),
            cancelled: .init(simulation.goneItems.map { Int64($0 + 1) }),
            restored: .init(simulation.returnedItems.map { Int64($0 + 1) }),
            itemStats: .init(
                count: stats.written,
                ids: try ids(
                    "SELECT id FROM temp.item_delta WHERE id IN (SELECT item_id FROM item_stats)", database)),
            itemStatsRemoved: stats.removed)
        try database.execute(ShopAggregates.dropDeltas)
        return advance
    }

    private static func ids(_ query: String, _ database: SQLiteConnection) throws(SQLiteError) -> [Int64] {
        let rows = try database.rows("\(query) ORDER BY id LIMIT \(Advance.idLimit)")
        return rows.compactMap { row in
            if case .integer(let id) = row[0] { id } else { nil }
        }
    }

    /// A few users ask to be forgotten: one, and one more for every 100,000 events.
    private static func forget(
        _ simulation: inout Simulation, _ step: ShopAggregates.Step, events: Int, _ database: SQLiteConnection
    ) throws -> (users: [Int64], events: Int) {
        let wanted = min(5, 1 + events / 100_000)
        var users: [Int64] = []
        var removed = 0
        for _ in 0..<wanted {
            // Half of the possible users at most: the shop stays one.
            let known = simulation.visitors.forgotten.count
            guard known < Visitors.forgottenLimit, (known + 1) * 2 <= simulation.visitors.count else { break }
            let first = 1 + simulation.random.below(Int64(simulation.visitors.count))
            let found = try database.rows(
                "SELECT user_id FROM user_activity WHERE user_id >= ? ORDER BY user_id LIMIT 1", [.integer(first)])
            guard case .integer(let user) = found.first?.first else { continue }
            removed += try ShopAggregates.forget(user, step, database)
            simulation.visitors.forget(Int(user))
            users.append(user)
        }
        return (users, removed)
    }
}
