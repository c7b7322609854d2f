import LocalDatabase

/// Makes a shop in the schema of the RetailRocket dump out of nothing but numbers.
///
/// The same settings give the same rows, bit by bit, on every machine. Memory does not grow with events.
package enum SyntheticShop {
    /// What a shop is made from.
    package struct Settings: Hashable, Sendable {
        /// Users that may come; quiet ones may never do.
        package var users: Int
        /// Items at the opening; more arrive with time.
        package var items: Int
        /// Events of the first period, exactly.
        package var events: Int
        /// Another seed, another shop.
        package var seed: UInt64
        /// When the shop opens, in milliseconds since 1970.
        package var start: Int64
        /// How many days the events are spread over. The simulated now is their end.
        package var days: Int

        /// A small shop unless told otherwise.
        package init(
            users: Int = 1_000, items: Int = 500, events: Int = 20_000, seed: UInt64 = 1,
            start: Int64 = Settings.defaultStart, days: Int = 30
        ) {
            self.users = users
            self.items = items
            self.events = events
            self.seed = seed
            self.start = start
            self.days = days
        }

        /// 2015-05-03T00:00:00Z, when the real dump begins.
        package static let defaultStart: Int64 = 1_430_611_200_000
        /// What `users` may be.
        package static let userLimits = 1...50_000_000
        /// What `items` may be: each takes some 40 bytes while a shop is made.
        package static let itemLimits = 1...2_000_000
        /// What `events` may be: a disk's worth, some 55 bytes each.
        package static let eventLimits = 0...200_000_000
        /// What `days` may be.
        package static let dayLimits = 1...1_000

        /// The simulated now of the new shop, in milliseconds since 1970.
        package var end: Int64 { start + Int64(days) * ShopClock.day }

        /// Checks the limits, and that the shop's present is not in the real future.
        func check(realNow: Int64) throws(RetailError) {
            try check("users", users, Self.userLimits)
            try check("items", items, Self.itemLimits)
            try check("events", events, Self.eventLimits)
            try check("days", days, Self.dayLimits)
            guard start >= ShopClock.day else {
                throw RetailError(.invalidSettings, "start must be 1970-01-02 or later", detail: "\(start) ms")
            }
            // Compared without adding: a start near the largest integer would overflow.
            guard start <= realNow, end <= realNow else {
                throw RetailError(.future, "the shop's period must be over in real time", detail: "start \(start) ms")
            }
        }

        private func check(_ name: String, _ value: Int, _ limits: ClosedRange<Int>) throws(RetailError) {
            if limits.contains(value) { return }
            throw RetailError(
                .invalidSettings, "a setting is outside its limits",
                detail: "\(name) is \(value), not within \(limits.lowerBound) to \(limits.upperBound)")
        }
    }

    /// What was made.
    package struct Report: Hashable, Sendable {
        /// Rows in `events`.
        package let events: Int
        /// Rows in `item_properties`.
        package let itemProperties: Int
        /// Rows in `items`, cancelled ones included.
        package let items: Int
        /// The simulated now, in milliseconds since 1970.
        package let now: Int64
    }

    /// Rows that go into one transaction.
    static let batch = 20_000

    /// Makes a new shop. The file appears when it is complete; a failed or cancelled attempt leaves nothing.
    ///
    /// - Throws: `RetailError` of settings, an existing output and files; `SQLiteError`; `CancellationError`.
    package static func create(
        path: String, settings: Settings, overwrite: Bool = false, progress: @escaping ShopProgress.Handler = { _ in }
    ) async throws -> Report {
        try settings.check(realNow: ShopClock.realNow())
        return try await ShopFile(path: path).build(overwrite: overwrite) { connection in
            try build(connection, settings, progress)
        }
    }

    private static func build(
        _ database: SQLiteConnection, _ settings: Settings, _ progress: ShopProgress.Handler
    ) throws -> Report {
        let writer = try ShopWriter(database)
        var simulation = makeSimulation(settings)
        try database.transaction { _ in try write(simulation.catalog.tree, database) }
        try stock(&simulation, settings, writer, database, progress)
        while !simulation.isFinished {
            try Task.checkCancellation()
            try database.transaction { _ in try simulation.run(rows: batch, writer) }
            progress(ShopProgress(stage: .events, done: writer.eventCount, total: settings.events))
        }
        try database.transaction { _ in
            for index in simulation.catalog.takeChanged() {
                _ = try writer.item(index, of: simulation.catalog, mayExist: false, in: database)
            }
            try meta(simulation, settings).write(database)
        }
        try ShopFile.finish(database, now: settings.end, progress)
        return Report(
            events: writer.eventCount, itemProperties: writer.propertyCount, items: simulation.catalog.items.count,
            now: settings.end)
    }

    private static func makeSimulation(_ settings: Settings) -> Simulation {
        let catalog = Catalog(firstItems: settings.items, seed: settings.seed)
        let visitors = Visitors(
            count: settings.users, seed: settings.seed, leafPopularity: catalog.leafPopularity())
        let weight = Rhythm.weight(from: settings.start, to: settings.end)
        let quota = Quota(
            start: settings.start, end: settings.end, events: settings.events, rate: (settings.events, weight))
        return Simulation(
            catalog: catalog, visitors: visitors, random: Xoshiro(seed: settings.seed), nextTransaction: 1,
            changeRemainder: 0, quota: quota)
    }

    private static func stock(
        _ simulation: inout Simulation, _ settings: Settings, _ writer: ShopWriter, _ database: SQLiteConnection,
        _ progress: ShopProgress.Handler
    ) throws {
        var done = 0
        while done < settings.items {
            try Task.checkCancellation()
            let end = min(settings.items, done + batch / 4)
            try database.transaction { _ in
                for index in done..<end {
                    try simulation.stock(index, of: settings.items, opening: settings.start, writer)
                }
            }
            done = end
            progress(ShopProgress(stage: .items, done: done, total: settings.items))
        }
    }

    private static func write(_ tree: CategoryTree, _ database: SQLiteConnection) throws(SQLiteError) {
        let insert = try database.prepare("INSERT INTO category_tree (categoryid, parentid) VALUES (?, ?)")
        for (index, id) in tree.ids.enumerated() {
            try insert.run([.integer(id), tree.parents[index].map { .integer(tree.ids[$0]) } ?? .null])
        }
    }

    private static func meta(_ simulation: Simulation, _ settings: Settings) -> ShopMeta {
        var meta = ShopMeta()
        meta[.origin] = "synthetic"
        meta[.version] = ShopSchema.version
        meta[.seed] = String(settings.seed)
        meta[.users] = String(settings.users)
        meta[.items] = String(settings.items)
        meta[.events] = String(settings.events)
        meta[.startMilliseconds] = String(settings.start)
        meta[.periodMilliseconds] = String(settings.end - settings.start)
        meta[.advances] = "0"
        meta[.forgotten] = ""
        meta.setClock(settings.end)
        save(simulation, &meta)
        return meta
    }

    /// The generator's own state.
    static func save(_ simulation: Simulation, _ meta: inout ShopMeta) {
        meta[.random] = simulation.random.text
        meta[.nextTransaction] = String(simulation.nextTransaction)
        meta[.changeRemainder] = String(simulation.changeRemainder)
    }
}
