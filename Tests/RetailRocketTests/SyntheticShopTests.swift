import LocalDatabase
import RetailRocket
import Testing

private let small = SyntheticShop.Settings(users: 300, items: 200, events: 5_000, seed: 7)

@Suite(.timeLimit(.minutes(2)))
struct SyntheticShopTests {
    @Test func equalSettingsMakeEqualRows() async throws {
        let first = try await withShop(small) { _, shop in try await shop.digest() }
        let second = try await withShop(small) { _, shop in try await shop.digest() }
        #expect(first == second)
        var other = small
        other.seed = 8
        let third = try await withShop(other) { _, shop in try await shop.digest() }
        #expect(first != third)
    }

    /// A changed digest means that everybody's seeds make other shops: a new `ShopSchema.version`, said in the changelog.
    @Test func goldenDigestHolds() async throws {
        let digest = try await withShop(small) { _, shop in try await shop.digest() }
        #expect(ShopSchema.version == "1")
        #expect(digest == "195374fec0d648cc")
    }

    @Test(arguments: [0, 1, 17, 5_000])
    func makesAsManyEventsAsAskedWithinThePeriod(events: Int) async throws {
        var settings = small
        settings.events = events
        try await withShop(settings) { _, shop in
            try await shop.expect("SELECT count(*) FROM events", is: Int64(events))
            let outside = "timestamp <= \(settings.start) OR timestamp > \(settings.end)"
            try await shop.expect("SELECT count(*) FROM events WHERE \(outside)", is: 0)
            let disorder = """
                SELECT count(*) FROM events a JOIN events b ON b.id = a.id + 1 WHERE b.timestamp < a.timestamp
                """
            try await shop.expect(disorder, is: 0)
        }
    }

    @Test func everyReferenceLeadsSomewhere() async throws {
        try await withShop(small) { _, shop in
            for orphan in [
                "SELECT count(*) FROM events WHERE itemid NOT IN (SELECT itemid FROM items)",
                "SELECT count(*) FROM events WHERE visitorid NOT BETWEEN 1 AND 300",
                "SELECT count(*) FROM events WHERE (transactionid IS NOT NULL) <> (event = 'transaction')",
                "SELECT count(*) FROM events WHERE event NOT IN ('view', 'addtocart', 'transaction')",
                "SELECT count(*) FROM item_properties WHERE itemid NOT IN (SELECT itemid FROM items)",
                "SELECT count(*) FROM items WHERE categoryid NOT IN (SELECT categoryid FROM category_tree)",
                "SELECT count(*) FROM category_tree WHERE parentid NOT IN (SELECT categoryid FROM category_tree)",
                "SELECT count(*) FROM items WHERE is_deleted = 0 AND itemid NOT IN (SELECT item_id FROM item_stats)",
                "SELECT count(*) FROM item_stats WHERE item_id IN (SELECT itemid FROM items WHERE is_deleted = 1)",
            ] {
                try await shop.expect(orphan, is: 0)
            }
        }
    }

    @Test func itemsAreWhatTheirNewestPropertiesSay() async throws {
        try await withShop(small) { _, shop in
            try await shop.expect(contradictions, is: 0)
            try await shop.expect("SELECT count(*) > 0 FROM items WHERE is_deleted = 1", is: 1)
            try await shop.expect("SELECT count(*) > 200 FROM items", is: 1)
        }
    }

    @Test func aggregatesEqualANaiveRecomputation() async throws {
        try await withShop(small) { _, shop in try await expectAggregatesAreExact(shop) }
    }
}

/// Counts items whose row is not what their newest properties say.
let contradictions = """
    SELECT count(*) FROM items i WHERE printf('n%d.000', price) IS NOT \(newest("790"))
        OR CAST(available AS TEXT) IS NOT \(newest("available"))
        OR CAST(categoryid AS TEXT) IS NOT \(newest("categoryid"))
    """

private func newest(_ property: String) -> String {
    """
    (SELECT value FROM item_properties p WHERE p.itemid = i.itemid AND property = '\(property)'
     ORDER BY timestamp DESC, id DESC LIMIT 1)
    """
}
