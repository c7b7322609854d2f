import LocalDatabase
import Testing
import TidemarkTesting

@Suite
struct OnlineRetailTests {
    private static let header = OnlineRetail.columns.joined(separator: ",") + "\n"

    @Test func rowsAreReadAndSplitIntoDays() throws {
        let text =
            Self.header + """
                1,536365,85123A,WHITE HANGING HEART,6,2010-12-01T08:26:00Z,2.55,17850,United Kingdom
                2,C536379,D,"Discount, ""big"" one",-1,2010-12-02T09:41:00Z,27.5,,France\r
                3,536365,71053,tab\there,6,2010-12-01T08:27:00Z,3.39,17850,United Kingdom

                """
        let days = try OnlineRetail.days(csv: Array(text.utf8))
        #expect(days.map(\.date) == ["2010-12-01", "2010-12-02"])
        #expect(days[0].rows.map(\.lineID) == [1, 3])
        let cancelled = days[1].rows[0]
        #expect(cancelled.description == "Discount, \"big\" one")
        #expect(cancelled.customerID == nil)
        #expect(cancelled.country == "France")
        #expect(
            cancelled.copyLine == "2\tC536379\tD\tDiscount, \"big\" one\t-1\t2010-12-02T09:41:00Z\t27.5\t\\N\tFrance\n")
        #expect(days[0].rows[1].copyLine.contains("tab\\there"))
    }

    @Test(arguments: ["", "a,b\n", header + "1,2\n", header + "x,1,1,1,1,2010-12-01,1,1,UK\n", header + "1,\"2"])
    func malformedDataIsRefused(text: String) {
        #expect(throws: OnlineRetail.Malformed.self) { try OnlineRetail.days(csv: Array(text.utf8)) }
    }

    /// Skipped where the data does not lie beside the repository.
    @Test(.enabled(if: OnlineRetail.isPresent, "the Online Retail data is not beside the repository"))
    func theRealDaysReplayIntoATable() async throws {
        let days = try OnlineRetail.days()
        #expect(days.first?.date == "2010-12-01")
        #expect(days.last?.date == "2010-12-13")
        #expect(days.map(\.date) == days.map(\.date).sorted())
        #expect(days.map(\.rows.count).reduce(0, +) == 28_492)
        let database = try await LocalDatabase(.init(path: ":memory:", setup: OnlineRetail.createTable))
        for day in days { try await database.run { try OnlineRetail.insert(day.rows, into: $0) } }
        let counts = try await database.run {
            try $0.rows(
                "SELECT count(*), sum(invoice_no LIKE 'C%' AND quantity < 0) > 100, sum(customer_id IS NULL) > 1000 FROM transactions"
            )
        }
        #expect(counts == [[.integer(28_492), .integer(1), .integer(1)]])
        await database.close()
    }
}
