import LocalDatabase
import RetailRocket
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(2)))
struct CreateTests {
    @Test(arguments: [
        SyntheticShop.Settings(users: 0), .init(users: 50_000_001), .init(items: 0), .init(items: 2_000_001),
        .init(events: -1), .init(events: 200_000_001), .init(days: 0), .init(days: 1_001),
    ])
    func settingsOutsideTheirLimitsAreRefused(settings: SyntheticShop.Settings) async throws {
        try await expectRefusal(settings, .invalidSettings)
    }

    @Test(arguments: [
        (Int64.min, RetailError.Code.invalidSettings), (0, .invalidSettings), (.max, .future),
        (4_000_000_000_000, .future),
    ])
    func periodsOutsideTheRealPastAreRefused(start: Int64, code: RetailError.Code) async throws {
        var settings = SyntheticShop.Settings()
        settings.start = start
        try await expectRefusal(settings, code)
    }

    private func expectRefusal(_ settings: SyntheticShop.Settings, _ code: RetailError.Code) async throws {
        try await withFolder { folder in
            let error = await #expect(throws: RetailError.self) {
                _ = try await SyntheticShop.create(path: folder + "/shop.db", settings: settings)
            }
            #expect(error?.code == code)
            #expect(files(in: folder) == [])
        }
    }

    /// One user, one item: every division and shuffle at its edge.
    @Test func theSmallestShopIsAShop() async throws {
        var settings = SyntheticShop.Settings(users: 1, items: 1, events: 50, seed: 0)
        settings.days = 1
        try await withShop(settings) { path, shop in
            try await shop.expect("SELECT count(*) FROM events", is: 50)
            try await shop.expect("SELECT count(*) FROM user_activity", is: 1)
            _ = try await SyntheticShop.advance(path: path, events: 20)
            try await shop.expect("SELECT count(*) FROM events", is: 70)
            try await expectAggregatesAreExact(shop)
        }
    }

    @Test func existingOutputIsKeptUnlessToldOtherwise() async throws {
        try await withShop(.init(users: 10, items: 10, events: 10)) { path, shop in
            let before = try await shop.digest()
            let other = SyntheticShop.Settings(users: 10, items: 10, events: 11)
            let error = await #expect(throws: RetailError.self) {
                _ = try await SyntheticShop.create(path: path, settings: other)
            }
            #expect(error?.code == .exists)
            let after = try await shop.digest()
            #expect(before == after)
            await shop.close()
            let report = try await SyntheticShop.create(path: path, settings: other, overwrite: true)
            #expect(report.events == 11)
            let replaced = try await Shop(path)
            try await replaced.expect("SELECT count(*) FROM events", is: 11)
            await replaced.close()
        }
    }

    @Test func cancelledAttemptsLeaveNothing() async throws {
        try await withFolder { folder in
            let task = Task {
                try await SyntheticShop.create(
                    path: folder + "/shop.db", settings: .init(users: 1_000, items: 1_000, events: 1_000_000)
                ) { progress in
                    if progress.stage == .events { unsafe withUnsafeCurrentTask { unsafe $0?.cancel() } }
                }
            }
            await #expect(throws: CancellationError.self) { _ = try await task.value }
            #expect(files(in: folder) == [])
        }
    }

    @Test func leftoversOfAKilledAttemptAreReplaced() async throws {
        try await withFolder { folder in
            try write("not a database", to: folder + "/shop.db.partial")
            try write("junk", to: folder + "/shop.db.partial-journal")
            _ = try await SyntheticShop.create(
                path: folder + "/shop.db", settings: .init(users: 10, items: 10, events: 10))
            #expect(files(in: folder) == ["shop.db"])
        }
    }

    @Test func missingFoldersAreSaid() async throws {
        let error = await #expect(throws: SQLiteError.self) {
            _ = try await SyntheticShop.create(path: "/tmp/tidemark-no-such-folder/shop.db", settings: .init())
        }
        #expect(error?.code == .cannotOpen)
    }

    @Test func progressGrowsToTheTotal() async throws {
        try await withFolder { folder in
            let seen = Mutex<[ShopProgress]>([])
            _ = try await SyntheticShop.create(
                path: folder + "/shop.db", settings: .init(users: 100, items: 50, events: 50_000)
            ) { progress in seen.withLock { $0.append(progress) } }
            let events = seen.withLock { $0 }.filter { $0.stage == .events }
            #expect(events.count >= 2)
            #expect(events.map(\.done) == events.map(\.done).sorted())
            #expect(events.last?.done == 50_000)
            #expect(events.allSatisfy { $0.total == 50_000 })
        }
    }

    @Test func finishedShopsAreInWALModeWithTheirIndexes() async throws {
        try await withShop(.init(users: 10, items: 10, events: 10)) { _, shop in
            let mode = try await shop.text("PRAGMA journal_mode")
            #expect(mode == "wal")
            let check = try await shop.text("PRAGMA integrity_check")
            #expect(check == "ok")
            for index in ["events_visitorid", "items_updated_at", "user_activity_updated_at", "item_stats_updated_at"] {
                try await shop.expect("SELECT count(*) FROM sqlite_schema WHERE name = '\(index)'", is: 1)
            }
        }
    }
}
