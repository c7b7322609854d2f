import Glibc
import LocalDatabase
import RetailRocket
import Testing

/// A dump in a folder, by file name.
private struct Dump {
    var tree = "categoryid,parentid\n1,\n2,1\n3,1\n"
    var events = """
        timestamp,visitorid,event,itemid,transactionid
        1433221332117,257597,view,355908,
        1433224214164,992329,view,248676,
        1433222276276,599528,transaction,356475,4000
        1433221999827,111016,view,318965,
        1433221955914,257597,addtocart,355908,

        """
    var first = """
        timestamp,itemid,property,value
        1433041200000,355908,categoryid,2
        1433041200000,355908,790,n12.000
        1433646000000,355908,790,n15.500
        1433041200000,355908,available,1
        1433041200000,248676,888,1116713 960601 n277.200

        """
    var second = """
        timestamp,itemid,property,value
        1432436400000,355908,790,n99.000
        1433041200000,7,available,0
        1433041200000,7,790,n-infinity

        """

    func write(to folder: String) throws {
        try RetailRocketTests.write(tree, to: folder + "/category_tree.csv")
        try RetailRocketTests.write(events, to: folder + "/events.csv")
        try RetailRocketTests.write(first, to: folder + "/item_properties_part1.csv")
        try RetailRocketTests.write(second, to: folder + "/item_properties_part2.csv")
    }
}

private func withImport(
    _ dump: Dump, _ body: (RetailRocketImport.Report, Shop) async throws -> Void
) async throws {
    try await withFolder { folder in
        try dump.write(to: folder)
        let report = try await RetailRocketImport.run(folder: folder, out: folder + "/shop.db")
        let shop = try await Shop(folder + "/shop.db")
        try await body(report, shop)
        await shop.close()
    }
}

/// Expects that a dump is refused, and that nothing is left but its files.
private func expectRefusal(
    _ dump: Dump, _ code: RetailError.Code, saying words: [String], sourceLocation: SourceLocation = #_sourceLocation
) async throws {
    try await withFolder { folder in
        try dump.write(to: folder)
        let error = await #expect(throws: RetailError.self, sourceLocation: sourceLocation) {
            _ = try await RetailRocketImport.run(folder: folder, out: folder + "/shop.db")
        }
        #expect(error?.code == code, sourceLocation: sourceLocation)
        for word in words {
            #expect(
                error?.description.contains(word) == true, "\(word) in \(error?.description ?? "")",
                sourceLocation: sourceLocation)
        }
        #expect(files(in: folder).allSatisfy { $0.hasSuffix(".csv") }, sourceLocation: sourceLocation)
    }
}

@Suite(.timeLimit(.minutes(2)))
struct ImportTests {
    @Test func rowsArriveAndItemsAreDerived() async throws {
        try await withImport(Dump()) { report, shop in
            #expect(report.events == 5)
            #expect(report.itemProperties == 8)
            #expect(report.items == 5)
            #expect(report.users == 4)
            #expect(report.unreadableProperties == 1)
            #expect(report.now == 1_433_224_214_164)
            #expect(report.problems == [])
            #expect(report.files.map(\.rows) == [3, 5, 5, 3])
            // Events are in order of time.
            let events = try await shop.rows("SELECT timestamp, event, transactionid FROM events ORDER BY id")
            #expect(
                events == [
                    [.integer(1_433_221_332_117), .text("view"), .null],
                    [.integer(1_433_221_955_914), .text("addtocart"), .null],
                    [.integer(1_433_221_999_827), .text("view"), .null],
                    [.integer(1_433_222_276_276), .text("transaction"), .integer(4_000)],
                    [.integer(1_433_224_214_164), .text("view"), .null],
                ])
            let items = try await shop.rows(
                "SELECT itemid, categoryid, price, available, updated_at, is_deleted FROM items ORDER BY itemid")
            let times = ["2015-05-31T03:00:00.000Z", "2015-06-07T03:00:00.000Z"]
            #expect(
                items.filter { $0[0] != .integer(318_965) && $0[0] != .integer(356_475) } == [
                    [.integer(7), .null, .null, .integer(0), .text(times[0]), .integer(0)],
                    [.integer(248_676), .null, .null, .null, .text(times[0]), .integer(0)],
                    [.integer(355_908), .integer(2), .real(15.5), .integer(1), .text(times[1]), .integer(0)],
                ])
            try await expectAggregatesAreExact(shop)
            try await shop.expect("SELECT count(*) FROM category_tree WHERE parentid IS NULL", is: 1)
        }
    }

    @Test func quotesLineEndsMarksAndColumnOrderDoNotMatter() async throws {
        var dump = Dump()
        dump.tree = "\u{FEFF}parentid,categoryid\r\n,1\r\n1,2\r\n\r\n\"1\",\"3\"\r\n"
        dump.second = "property,value,timestamp,itemid\n283,\"a \"\"b\"\",\r\nc\",1433041200000,7\n"
        try await withImport(dump) { report, shop in
            #expect(report.files.map(\.badRows) == [0, 0, 0, 0])
            try await shop.expect("SELECT count(*) FROM category_tree WHERE parentid = 1", is: 2)
            let value = try await shop.text("SELECT value FROM item_properties WHERE itemid = 7")
            #expect(value == "a \"b\",\r\nc")
        }
    }

    @Test func equalTimesGoByTheLaterRow() async throws {
        var dump = Dump()
        dump.second = "timestamp,itemid,property,value\n" + "1433646000000,355908,790,n16.000\n"
        try await withImport(dump) { _, shop in
            try await shop.expect("SELECT price = 16.0 FROM items WHERE itemid = 355908", is: 1)
        }
    }

    @Test func emptyTablesMakeAnEmptyShop() async throws {
        let dump = Dump(
            tree: "categoryid,parentid", events: "timestamp,visitorid,event,itemid,transactionid\n",
            first: "timestamp,itemid,property,value", second: "timestamp,itemid,property,value\r\n")
        try await withImport(dump) { report, shop in
            #expect(report.events == 0)
            #expect(report.items == 0)
            #expect(report.now == 0)
            try await shop.expect("SELECT count(*) FROM user_activity", is: 0)
        }
    }

    @Test func fewBadRowsAreToldAndLeftOut() async throws {
        var dump = Dump()
        let good = (0..<5_000).map { "\(1_433_041_200_000 + $0),\($0 % 50),888,x\($0)\n" }.joined()
        let bad = [
            "x,1,888,y", "1433041200000,1,888", "1433041200000,1,888,y,z", "1433041200000,-1,888,y",
            "1433041200000,1,,y",
            "99999999999999999999,1,888,y", "253402300800000,1,888,y", "1433041200000,1 ,888,y",
            "1433041200000,1,8\u{0}8,y", "1433041200000,1,888,\"y\"z",
        ]
        dump.second = "timestamp,itemid,property,value\n" + good + bad.joined(separator: "\n") + "\n"
        try await withImport(dump) { report, shop in
            #expect(report.files[3].rows == 5_000)
            #expect(report.files[3].badRows == bad.count)
            #expect(report.problems.count == bad.count)
            #expect(report.problems.first == "item_properties_part2.csv:5002: timestamp is not a number: 'x'")
            #expect(report.problems[1] == "item_properties_part2.csv:5003: expected 4 fields, found 3")
            #expect(report.problems[9] == "item_properties_part2.csv:5011: text behind a closing quote")
            try await shop.expect("SELECT count(*) FROM item_properties WHERE value LIKE 'x%'", is: 5_000)
            try await shop.expect("SELECT count(*) FROM item_properties WHERE value LIKE 'y%'", is: 0)
        }
    }

    @Test func onlyTheFirstProblemsAreTold() async throws {
        var dump = Dump()
        let rows = (0..<10_000).map { $0 % 200 == 0 ? "bad\n" : "1433041200000,\($0),888,x\n" }.joined()
        dump.second = "timestamp,itemid,property,value\n" + rows
        try await withImport(dump) { report, _ in
            #expect(report.files[3].badRows == 50)
            #expect(report.problems.count == RetailRocketImport.problemLimit)
        }
    }

    @Test(arguments: [(1, 99, true), (1, 98, false), (2, 198, true), (2, 197, false)])
    func oneBadRowInAHundredIsTheLimit(bad: Int, good: Int, isTaken: Bool) async throws {
        var dump = Dump()
        let rows =
            Array(repeating: "oops,3,view,4,", count: bad) + Array(repeating: "1433221332117,2,view,3,", count: good)
        dump.events = "timestamp,visitorid,event,itemid,transactionid\n" + rows.joined(separator: "\n")
        if isTaken {
            try await withImport(dump) { report, _ in #expect(report.events == good) }
        } else {
            try await expectRefusal(dump, .badData, saying: ["events.csv: \(bad) bad of", "events.csv:2: timestamp"])
        }
    }

    @Test(arguments: [
        ("1433221332117,2,purchase,3,", "event is none of"), ("1433221332117,2,view,3,x", "transactionid is not"),
        ("1433221332117,2,view,3", "expected 5 fields, found 4"), ("1433221332117,\"2,view,3,", "never closed"),
        ("1433221332117,2,vi\u{0}ew,3,", "event is not UTF-8 text"),
    ])
    func eventsThatAreNoneAreRefused(row: String, reason: String) async throws {
        var dump = Dump()
        dump.events += row
        try await expectRefusal(dump, .badData, saying: ["events.csv:7: ", reason])
    }

    /// One forgotten quote must not swallow a part of the file as if it were one row.
    @Test func linesBehindAnOpenQuoteAllCount() async throws {
        var dump = Dump()
        let row = "1433041200000,1,888,some words\n"
        let rows = String(repeating: row, count: 60_000)
        dump.second = "timestamp,itemid,property,value\n" + rows + "1433041200000,1,888,\"oops\n" + rows
        try await expectRefusal(dump, .badData, saying: ["item_properties_part2.csv:60002: more than 1048576 bytes"])
    }

    @Test func categoriesAreTakenOnce() async throws {
        var dump = Dump()
        dump.tree += "2,3\n"
        try await expectRefusal(dump, .badData, saying: ["category_tree.csv:5: categoryid 2 comes a second time"])
    }

    @Test(arguments: ["", "timestamp,visitorid,event,itemid\n", "timestamp,event,event,itemid,transactionid\n", "\"x"])
    func headersMustBeTheDumps(header: String) async throws {
        var dump = Dump()
        dump.events = header
        try await expectRefusal(dump, .badData, saying: ["events.csv:1"])
    }

    @Test func allMissingFilesAreNamedAtOnce() async throws {
        try await withFolder { folder in
            try Dump().write(to: folder)
            unsafe unlink(folder + "/events.csv")
            unsafe unlink(folder + "/item_properties_part2.csv")
            let error = await #expect(throws: RetailError.self) {
                _ = try await RetailRocketImport.run(folder: folder, out: folder + "/shop.db")
            }
            #expect(error?.code == .notFound)
            #expect(error?.detail.hasPrefix("events.csv, item_properties_part2.csv in ") == true)
        }
    }

    @Test func existingOutputIsKeptUnlessToldOtherwise() async throws {
        try await withFolder { folder in
            try Dump().write(to: folder)
            let out = folder + "/shop.db"
            try write("mine", to: out)
            let error = await #expect(throws: RetailError.self) {
                _ = try await RetailRocketImport.run(folder: folder, out: out)
            }
            #expect(error?.code == .exists)
            let report = try await RetailRocketImport.run(folder: folder, out: out, overwrite: true)
            #expect(report.events == 5)
        }
    }

    @Test func importedShopsCannotBeContinued() async throws {
        try await withFolder { folder in
            try Dump().write(to: folder)
            _ = try await RetailRocketImport.run(folder: folder, out: folder + "/shop.db")
            let error = await #expect(throws: RetailError.self) {
                _ = try await SyntheticShop.advance(path: folder + "/shop.db", events: 1)
            }
            #expect(error?.code == .notSynthetic)
        }
    }

    /// A synthetic shop written as the dump and read back is the same shop.
    @Test func aShopSurvivesTheWayThroughTheDump() async throws {
        try await withShop(.init(users: 200, items: 100, events: 4_000, seed: 5)) { path, shop in
            try await withFolder { folder in
                var dump = Dump()
                dump.tree = try await csv(shop, "category_tree", "categoryid, parentid", order: "categoryid")
                dump.events = try await csv(
                    shop, "events", "timestamp, visitorid, event, itemid, transactionid",
                    order: "itemid * 7919 % 101, id")
                dump.first = try await csv(
                    shop, "item_properties", "timestamp, itemid, property, value", order: "-id", where: "id % 2 = 0")
                dump.second = try await csv(
                    shop, "item_properties", "timestamp, itemid, property, value", order: "-id", where: "id % 2 = 1")
                try dump.write(to: folder)
                _ = try await RetailRocketImport.run(folder: folder, out: folder + "/shop.db")
                let copy = try await Shop(folder + "/shop.db")
                for query in [
                    "SELECT categoryid, parentid FROM category_tree ORDER BY 1",
                    "SELECT timestamp, visitorid, event, itemid, transactionid FROM events ORDER BY 1, 2, 3, 4, 5",
                    "SELECT itemid, price, available, categoryid FROM items ORDER BY 1",
                    "SELECT timestamp, itemid, property, value FROM item_properties ORDER BY 1, 2, 3, 4",
                ] {
                    let wanted = try await shop.rows(query)
                    let found = try await copy.rows(query)
                    #expect(found == wanted, "\(query)")
                }
                await copy.close()
            }
        }
    }
}

private func csv(
    _ shop: Shop, _ table: String, _ columns: String, order: String, where condition: String = "true"
) async throws -> String {
    var text = columns.filter { $0 != " " } + "\n"
    for row in try await shop.rows("SELECT \(columns) FROM \(table) WHERE \(condition) ORDER BY \(order)") {
        let fields = row.map { value in
            switch value {
            case .null: ""
            case .integer(let number): String(number)
            case .text(let text): text
            case .real(let number): String(number)
            case .blob: "?"
            }
        }
        text += fields.joined(separator: ",") + "\n"
    }
    return text
}
