import FeatureModel
import Testing
import TidemarkTesting

/// Real transactions, day by day: sums of a table that grows, without reading it again.
///
/// The data lies beside the repository and isn't part of it.
@Suite(.enabled(if: Stage.isPossible && RetailView.isDataHere), .timeLimit(.minutes(5)))
struct OnlineRetailTests {
    @Test(arguments: SourceKind.available)
    func everyDayWritesExactlyWhatChanged(_ kind: SourceKind) async throws {
        let days = try OnlineRetail.days()
        try #require(days.count >= 10)
        try await Places.shared.with {
            try await Stage.with(kind) { stage in
                let views = RetailView.all(kind)
                try await stage.source.commit([
                    OnlineRetail.createTable, "CREATE INDEX by_customer ON transactions(customer_id)",
                    "CREATE INDEX by_product ON transactions(stock_code, line_id)",
                ])
                try stage.define(RetailView.definitions(views))
                for view in views where view.isTracked {
                    try await stage.succeed("source", "install", view.name, "--apply")
                }
                var replay = Replay(stage: stage, views: views)
                for day in days { try await replay.play(day) }
                #expect(replay.idle > 0 && replay.written > 0)
                print(
                    "online retail over \(kind.rawValue): \(days.count) days, \(replay.lines) lines, "
                        + "\(replay.written) rows written, \(replay.compared) compared, \(replay.idle) left alone")
                let verified = try await stage.run("verify")
                #expect(verified.code == 0, "verify disagrees: \(verified.story)")
            }
        }
    }
}

/// A view over the transactions.
struct RetailView: Sendable {
    enum Entity: String, CaseIterable {
        case customer
        case product
    }

    static let isDataHere: Bool = {
        if !OnlineRetail.isPresent { print("\(OnlineRetail.dataPath()) is missing: its tests are SKIPPED") }
        return OnlineRetail.isPresent
    }()

    let entity: Entity
    let isTracked: Bool
    let kind: SourceKind

    static func all(_ kind: SourceKind) -> [RetailView] {
        Entity.allCases.flatMap { entity in
            [true, false].map { RetailView(entity: entity, isTracked: $0, kind: kind) }
        }
    }

    var name: String { "\(entity.rawValue)_\(isTracked ? "tracked" : "changes")" }
    private var key: String { entity == .customer ? "customer_id" : "stock_code" }

    /// Money in pence: sums of whole numbers are the same in every order of adding.
    private static let pence = "CAST(sum(quantity * CAST(round(unit_price * 100) AS BIGINT)) AS BIGINT)"

    private var features: String {
        switch entity {
        case .customer:
            """
            count(DISTINCT CASE WHEN invoice_no NOT LIKE 'C%' THEN invoice_no END) AS orders,
            \(Self.pence) AS spend, CAST(sum(quantity) AS BIGINT) AS items, max(invoice_date) AS last_purchase,
            count(CASE WHEN invoice_no LIKE 'C%' THEN 1 END) AS returns
            """
        case .product:
            """
            CAST(sum(quantity) AS BIGINT) AS units, \(Self.pence) AS revenue, count(DISTINCT customer_id) AS buyers,
            (SELECT l.unit_price FROM transactions AS l WHERE l.stock_code = t.stock_code ORDER BY l.line_id DESC LIMIT 1)
            AS last_price
            """
        }
    }

    private var types: String {
        switch entity {
        case .customer: "{orders: int64, spend: int64, items: int64, last_purchase: string, returns: int64}"
        case .product: "{units: int64, revenue: int64, buyers: int64, last_price: float64}"
        }
    }

    /// The same rows for all entities, by SQL of the test's own.
    var truth: String {
        "SELECT \(key), \(features) FROM transactions AS t WHERE \(key) IS NOT NULL GROUP BY \(key)"
    }

    private var definition: String {
        let following =
            isTracked
            ? "watermark: {track: transactions, key: [\(key)]}"
            : """
            changes: SELECT \(key), line_id FROM transactions WHERE \(key) IS NOT NULL
                  watermark: {column: line_id, lookback: 0}
            """
        return """
              \(name):
                entity: \(entity.rawValue)
                source:
                  from: bank
                  query: >-
                    SELECT \(key), \(features.split(separator: "\n").joined(separator: " "))
                    FROM transactions AS t WHERE \(key) IN (:keys) GROUP BY \(key)
                  \(following)
                every: 1s
                ttl: 1h
                features: \(types)
            """
    }

    static func definitions(_ views: [RetailView]) -> String {
        """
        entities:
          customer: {keys: {customer_id: int64}}
          product: {keys: {stock_code: string}}
        views:
        \(views.map(\.definition).joined(separator: "\n"))
        """
    }

    func rows(from source: any SourceDatabase, _ view: FeatureView) async throws -> [String: [FeatureValue]] {
        var rows: [String: [FeatureValue]] = [:]
        for row in try await source.rows(truth) {
            guard let text = row[0] else { throw BankError("a key is null") }
            let value = entity == .customer ? EntityKeyValue.integer(Int64(text) ?? 0) : .text(text)
            guard let key = EntityKey([value]) else { throw BankError("no key: \(text)") }
            rows[key.text] = try zip(row[1...], view.features).map { try SourceText.value($0, $1.type) }
        }
        return rows
    }
}

/// Days come in, syncs go over them.
struct Replay {
    let stage: Stage
    let views: [RetailView]
    private var before: [String: [String: [FeatureValue]]] = [:]
    var lines = 0
    var written = 0
    var compared = 0
    /// Rows of entities that a day did not touch.
    var idle = 0

    init(stage: Stage, views: [RetailView]) {
        self.stage = stage
        self.views = views
    }

    mutating func play(_ day: OnlineRetail.Day) async throws {
        lines += day.rows.count
        try await stage.source.commit(Self.statements(day.rows))
        let ending = try await stage.succeed("sync", "--once", "--json")
        let runs = try Runs.decode(ending.output)
        let catalog = try Catalog.compile(
            project: Stage.project, files: [("retail.yaml", Array(RetailView.definitions(views).utf8))])
        for retail in views {
            let view = try #require(catalog.view(retail.name))
            let rows = try await retail.rows(from: stage.source, view)
            let comparison = try await Comparison.make(stage, view, rows)
            #expect(comparison.isInStep, "\(day.date) \(retail.name): \(comparison.text)")
            let known = before[retail.name] ?? [:]
            let changed = rows.count { known[$0.key] != $0.value }
            let run = try #require(runs.first { $0.view == retail.name })
            #expect(Int(run.written) == changed, "\(day.date) \(retail.name): \(run)")
            #expect(run.removed == 0 && run.quarantined == 0, "\(day.date) \(retail.name): \(run)")
            before[retail.name] = rows
            written += changed
            compared += comparison.compared
            idle += rows.count - changed
        }
    }

    static func statements(_ rows: [OnlineRetail.Row]) -> [String] {
        stride(from: 0, to: rows.count, by: 200).map { start in
            let values = rows[start..<min(start + 200, rows.count)].map { row in
                let texts = [row.invoiceNumber, row.stockCode, row.description, row.invoiceDate, row.country].map(
                    quoted)
                let customer = row.customerID.map(String.init) ?? "NULL"
                return "(\(row.lineID), \(texts[0]), \(texts[1]), \(texts[2]), \(row.quantity), \(texts[3]), "
                    + "\(row.unitPrice), \(customer), \(texts[4]))"
            }
            return "INSERT INTO transactions VALUES \(values.joined(separator: ", "))"
        }
    }

    private static func quoted(_ text: String) -> String {
        "'\(text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "''"))'"
    }
}
