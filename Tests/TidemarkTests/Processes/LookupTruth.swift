import FeatureModel
import Testing
import TidemarkTesting

/// What a source says every lookup must answer.
struct LookupTruth: Sendable {
    /// One value of an answer.
    struct Expected: Sendable {
        let value: FeatureValue
        let status: FeatureStatus
    }

    /// One request: features of views with the same key, and entities.
    struct Question: Sendable {
        let features: [FeatureReference]
        let key: Entity.Key
        let entities: [EntityKeyValue]
    }

    let views: [FeatureView]
    /// View → entity key → values in the view's order.
    private let rows: [String: [String: [FeatureValue]]]
    /// The keys that are there, by the key's name.
    private let entities: [String: [EntityKeyValue]]

    init(views: [FeatureView], rows: [String: [String: [FeatureValue]]]) throws {
        self.views = views
        self.rows = rows
        var entities: [String: Set<String>] = [:]
        for view in views {
            let key = try #require(view.entity.keys.first)
            entities[key.name, default: []].formUnion((rows[view.name] ?? [:]).keys)
        }
        self.entities = try entities.mapValues { texts in
            try texts.sorted().compactMap { text in
                let key = try #require(views.compactMap { $0.entity.keys.first }.first { entities[$0.name] == texts })
                return EntityKey(canonical: text).values(of: [key.type])?.first
            }
        }
    }

    /// How many rows there are.
    var rowCount: Int { rows.values.reduce(0) { $0 + $1.count } }

    /// A question by chance: one in ten entities is nobody's.
    func question(entities count: Int, _ random: inout SeededGenerator) -> Question {
        let key = random.pick(views).entity.keys[0]
        let fitting = views.filter { $0.entity.keys[0] == key }
        let all = fitting.flatMap { view in view.features.map { FeatureReference(view: view.name, feature: $0.name) } }
        let features = (0..<1 + random.below(6)).map { _ in random.pick(all) }
        var seen: Set<FeatureReference> = []
        let known = entities[key.name] ?? []
        return Question(
            features: features.filter { seen.insert($0).inserted }, key: key,
            entities: (0..<count).map { _ in
                guard !known.isEmpty, random.below(10) != 0 else {
                    return key.type == .string
                        ? .text("nobody\(random.below(100))") : .integer(-1 - Int64(random.below(100)))
                }
                return random.pick(known)
            })
    }

    /// What must be answered for one feature of one entity.
    func expected(_ reference: FeatureReference, _ entity: EntityKeyValue) throws -> Expected {
        let view = try #require(views.first { $0.name == reference.view })
        let place = try #require(view.features.firstIndex { $0.name == reference.feature })
        let standIn = view.features[place].defaultValue
        let row = EntityKey([entity]).flatMap { rows[view.name]?[$0.text] }
        if let value = row?[place], !value.isNull { return Expected(value: value, status: .present) }
        if let standIn, !standIn.isNull { return Expected(value: standIn, status: .defaulted) }
        return Expected(value: .null, status: row == nil ? .notFound : .nullValue)
    }

    // MARK: Out of a source

    /// Runs each view's own query for all entities.
    init(_ catalog: Catalog, from source: any SourceDatabase) async throws {
        var rows: [String: [String: [FeatureValue]]] = [:]
        for view in catalog.views {
            let key = try #require(view.entity.keys.first)
            let all = view.source.changes.map { "(SELECT \(key.name) FROM (\($0)))" } ?? "()"
            let query = view.source.query.split(separator: "(:keys)", omittingEmptySubsequences: false).joined(
                separator: all)
            let columns = [key.name] + view.features.map(\.name) + [view.source.deleted ?? "0"]
            let found = try await source.rows("SELECT \(columns.joined(separator: ", ")) FROM (\(query))")
            rows[view.name] = try Self.values(found, view, key)
        }
        try self.init(views: catalog.views, rows: rows)
    }

    private static func values(
        _ found: [[String?]], _ view: FeatureView, _ key: Entity.Key
    ) throws -> [String: [FeatureValue]] {
        var rows: [String: [FeatureValue]] = [:]
        for row in found where row.last != "1" {
            let text = try #require(row[0])
            let entity = key.type == .string ? EntityKeyValue.text(text) : .integer(try #require(Int64(text)))
            let name = try #require(EntityKey([entity])).text
            rows[name] = try zip(row[1...], view.features).map { text, feature in
                if feature.type == .scalar(.bool), let text { return .bool(text != "0") }
                return try SourceText.value(text, feature.type)
            }
        }
        return rows
    }
}
