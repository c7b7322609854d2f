import Extraction
import FeatureModel
import Foundation
import LocalDatabase
import Ranking
import TidemarkTesting
import Training

/// A database with events, the config and definitions to train from it, and recall made from its events.
struct TrainingFixture: Sendable {
    let path: String
    let config: TrainingConfig
    let catalog: Catalog

    static func entities(_ views: String) throws -> Catalog {
        try Catalog.compile(
            project: "shop",
            files: [
                (
                    name: "shop.yaml",
                    text: Array(
                        """
                        entities:
                          user: {keys: {user_id: int64}}
                          item: {keys: {item_id: int64}}
                        views:
                        \(views)
                        """.utf8)
                )
            ])
    }

    static func training(_ text: String) throws -> TrainingConfig {
        let config = try Config.parse(
            file: "tidemark.yaml",
            text: Array(
                """
                project: shop
                online_store: {url: "memory:"}
                sources: {shop: {url: "sqlite:shop.db"}}
                models:
                  ranker:
                    path: models/ranker
                    training:
                \(text)
                """.utf8))
        guard let training = config.models.first?.training else { throw TrainingError(.misconfigured, "no training") }
        return training
    }

    var source: SQLiteConnector { SQLiteConnector(path: path) }

    /// Events of 100 users that pick one of 60 items at random, one a minute: nothing to learn, but for who sees the future.
    static func makeRandomEvents(_ path: String) async throws {
        let database = try await LocalDatabase(.init(path: path, setup: "PRAGMA synchronous=OFF"))
        var random = SeededGenerator(seed: 7)
        var statements = ["CREATE TABLE events (user_id INTEGER, item_id INTEGER, ts INTEGER)"]
        for event in 0..<6_000 {
            statements.append(
                "INSERT INTO events VALUES (\(random.below(100)), \(random.below(60)), \(1_000_000_000_000 + event * 60_000))"
            )
        }
        try await database.run { [statements] connection in
            try connection.transaction { connection in
                for statement in statements { try connection.execute(statement) }
            }
        }
        await database.close()
    }

    func plan(
        _ columns: [RankerColumn],
        sources: [TrainingPlan.Source] = [
            .init(name: "similar", quota: 100), .init(name: "popular", quota: 100, weight: 0.2),
        ],
        k: Int = 20, filters: [FilterConfig] = [], blocked: Set<EntityKeyValue> = []
    ) throws -> TrainingPlan {
        try TrainingPlan(
            config: config, user: Entity(name: "user", keys: [.init(name: "user_id", type: .int64)]),
            item: Entity(name: "item", keys: [.init(name: "item_id", type: .int64)]),
            sources: sources, candidates: 200, columns: columns, k: k, filters: filters,
            blocked: blocked, catalog: catalog)
    }

    func training(_ plan: TrainingPlan) -> RankerTraining {
        let source = source
        return RankerTraining(
            plan, sources: { _ in source },
            recall: { until in
                let pairs = try await Self.events(source, config.query, until)
                return [Neighbours(pairs), Popular(pairs)]
            })
    }

    struct Event {
        let user: Int64
        let item: Int64
        let time: Int64
    }

    static func events(_ source: SQLiteConnector, _ query: String, _ until: Int64) async throws -> [Event] {
        let reader = try await source.open(
            SourceQuery(
                owner: "test", sql: "SELECT * FROM (\(query)) WHERE ts * 1000 < \(until) ORDER BY ts",
                columns: [
                    QueryColumn("user_id", .value(.scalar(.int64))), QueryColumn("item_id", .value(.scalar(.int64))),
                    QueryColumn("ts", .value(.scalar(.int64))),
                ]))
        var events: [Event] = []
        while true {
            let page = try await reader.next(limit: 10_000)
            for index in 0..<page.rowCount {
                let row = Array(page.row(index))
                if case .int64(let user) = row[0], case .int64(let item) = row[1], case .int64(let time) = row[2] {
                    events.append(Event(user: user, item: item, time: time))
                }
            }
            if page.isLast { return events }
        }
    }
}

/// Co-occurrence within an hour, by cosine.
struct Neighbours: CandidateSource {
    private var neighbours: [Int64: [(item: Int64, score: Float)]] = [:]

    init(_ events: [TrainingFixture.Event]) {
        var lately: [Int64: [TrainingFixture.Event]] = [:]
        var pairs: [Int64: [Int64: Float]] = [:]
        var counts: [Int64: Float] = [:]
        for event in events {
            counts[event.item, default: 0] += 1
            for other in (lately[event.user] ?? []).suffix(10)
            where other.item != event.item && event.time - other.time < 3_600_000 {
                pairs[event.item, default: [:]][other.item, default: 0] += 1
                pairs[other.item, default: [:]][event.item, default: 0] += 1
            }
            lately[event.user, default: []].append(event)
        }
        for (item, found) in pairs {
            let scored = found.map {
                (item: $0.key, score: $0.value / ((counts[item] ?? 1) * (counts[$0.key] ?? 1)).squareRoot())
            }
            neighbours[item] = Array(scored.sorted { ($0.score, $0.item) > ($1.score, $1.item) }.prefix(50))
        }
    }

    func candidates(
        seeds: [EntityKeyValue], segments: [String], limit: Int, excluding: Set<EntityKeyValue>
    ) -> [(id: EntityKeyValue, score: Float)] {
        var scores: [Int64: Float] = [:]
        for (place, seed) in seeds.enumerated() {
            guard case .integer(let item) = seed else { continue }
            for (other, score) in neighbours[item] ?? [] { scores[other, default: 0] += score / Float(place + 1) }
        }
        return scores.sorted { ($0.value, $0.key) > ($1.value, $1.key) }.prefix(limit).map {
            (.integer($0.key), $0.value)
        }
    }
}

/// What most events of the last week were about.
struct Popular: CandidateSource {
    private let items: [(id: EntityKeyValue, score: Float)]

    init(_ events: [TrainingFixture.Event]) {
        var counts: [Int64: Float] = [:]
        let open = (events.last?.time ?? 0) - 7 * 86_400_000
        for event in events where event.time > open { counts[event.item, default: 0] += 1 }
        items = counts.sorted { ($0.value, $0.key) > ($1.value, $1.key) }.map { (.integer($0.key), $0.value) }
    }

    func candidates(
        seeds: [EntityKeyValue], segments: [String], limit: Int, excluding: Set<EntityKeyValue>
    ) -> [(id: EntityKeyValue, score: Float)] {
        Array(items.prefix(limit))
    }
}
