import FeatureModel

/// The tracked table as it stands in the database.
struct TrackedRelation: Hashable, Sendable {
    let oid: UInt32
    let schema: String
    let name: String
    /// `pg_class.relkind`: `r` is a table, `p` a partitioned one.
    let kind: String
    let columns: PostgresColumns
    /// `pg_trigger.tgenabled` by name.
    let triggers: [String: String]
    /// Whether the table that deletes are logged in is there.
    let hasLog: Bool
}

/// What a view's queries return in this database: names and types.
struct PostgresShape: Sendable {
    let serverVersion: Int
    let query: PostgresColumns
    let changes: PostgresColumns?
    let entities: PostgresColumns?
    let relation: TrackedRelation?
    private(set) var types: [UInt32: PostgresType] = [:]

    init(
        serverVersion: Int = 150_000, query: PostgresColumns, changes: PostgresColumns? = nil,
        entities: PostgresColumns? = nil, relation: TrackedRelation? = nil, types: [PostgresType]
    ) {
        self.serverVersion = serverVersion
        self.query = query
        self.changes = changes
        self.entities = entities
        self.relation = relation
        for type in types { self.types[type.oid] = type }
    }

    /// Asks the database. The queries are parsed and their permissions checked; no row is computed.
    static func describe(
        _ view: FeatureView, _ session: inout PostgresSession, deadline: ContinuousClock.Instant
    ) throws(PostgresFailure) -> PostgresShape {
        let version = try session.connect(deadline: deadline)
        let query = try columns(of: view.source.query, "query", view, &session, deadline)
        var changes: PostgresColumns?
        if case .column = view.source.watermark, let text = view.source.changes {
            changes = try columns(of: text, "changes", view, &session, deadline)
        }
        var entities: PostgresColumns?
        if let text = view.source.entities {
            entities = try columns(of: text, "entities", view, &session, deadline)
        }
        var relation: TrackedRelation?
        if case .tracked(let table) = view.source.watermark {
            relation = try .describe(table, view, &session, deadline)
        }
        let all = [query, changes, entities, relation?.columns].compactMap { $0 }
        let oids = Set(all.flatMap(\.types)).sorted().map(String.init).joined(separator: ",")
        let rows = try session.rows(PostgresType.catalogQuery, ["{\(oids)}"], deadline: deadline)
        return PostgresShape(
            serverVersion: version, query: query, changes: changes, entities: entities, relation: relation,
            types: rows.compactMap { PostgresType(row: $0) })
    }

    private static func columns(
        of query: String, _ name: StaticString, _ view: FeatureView, _ session: inout PostgresSession,
        _ deadline: ContinuousClock.Instant
    ) throws(PostgresFailure) -> PostgresColumns {
        let hasKeys = KeysPlaceholder.count(in: query) > 0
        let list = PostgresStatements.keyList(view.entity.keyTypes, count: 1)
        let text = KeysPlaceholder.expand(KeysPlaceholder.withoutTerminator(query), with: list)
        let parameters = hasKeys ? [String?](repeating: nil, count: view.entity.keys.count) : []
        do {
            return try session.run("SELECT * FROM (\(text)\n) AS _tm LIMIT 0", parameters, deadline: deadline)
        } catch {
            guard !error.state.isEmpty else { throw error }
            throw PostgresFailure(
                ExtractionError(
                    error.error.code, error.error.message,
                    detail: "view \"\(view.name)\", its \(name): \(error.error.detail)"),
                state: error.state, dropsConnection: error.dropsConnection)
        }
    }

    /// Checks that every column is there with a type that can hold what the view says.
    func validate(_ view: FeatureView) throws(PostgresFailure) {
        let check = ShapeCheck(view: view, types: types)
        try check.keys(view.entity.keys.map(\.name), in: query, of: "query")
        for feature in view.features {
            try check.column(feature.name, in: query, of: "query", expected: feature.type.spelling) {
                PostgresConversion($0, elements: types, to: feature.type) != nil
            }
        }
        if let time = view.source.eventTime {
            let expected = time.unit == nil ? "a timestamp" : "an integer"
            try check.column(time.column, in: query, of: "query", expected: expected) {
                PostgresTimeConversion($0, unit: time.unit) != nil
            }
        }
        if let deleted = view.source.deleted {
            try check.column(deleted, in: query, of: "query", expected: "any type") { _ in true }
        }
        if let entities { try check.keys(view.entity.keys.map(\.name), in: entities, of: "entities") }
        switch view.source.watermark {
        case .column(let watermark): try validate(watermark, view, check)
        case .tracked(let table): try relation?.validate(table, view, check)
        }
    }

    private func validate(_ watermark: WatermarkColumn, _ view: FeatureView, _ check: ShapeCheck)
        throws(PostgresFailure)
    {
        if changes == nil, KeysPlaceholder.count(in: view.source.query) > 0 {
            throw PostgresFailure(
                .misconfigured, "a query with :keys and a watermark column needs a changes query",
                detail: "view \"\(view.name)\"")
        }
        let columns = changes ?? query
        let name: StaticString = changes == nil ? "query" : "changes"
        if changes != nil { try check.keys(view.entity.keys.map(\.name), in: columns, of: name) }
        try check.column(watermark.column, in: columns, of: name, expected: "a timestamp, a date or an integer") {
            PostgresWatermark.Kind($0, unit: watermark.unit) != nil
        }
        for tie in watermark.tieBreaker {
            try check.column(tie, in: columns, of: name, expected: "a type with an order") { _ in true }
        }
    }
}

/// Says what is wrong with a column, in one sentence for people.
struct ShapeCheck {
    let view: FeatureView
    let types: [UInt32: PostgresType]

    func column(
        _ name: String, in columns: PostgresColumns, of part: StaticString, expected: String,
        accepts: (PostgresType) -> Bool
    ) throws(PostgresFailure) {
        let place = "view \"\(view.name)\", column \"\(name)\" of its \(part): expected \(expected)"
        guard let oid = columns.type(of: name) else {
            if columns.names.contains(name) {
                throw mismatch("a column appears twice", "\(place), found two of that name")
            }
            let nearest = PostgresIdentifier.nearest(to: name, among: columns.names)
            let hint = nearest.isEmpty ? "" : "; near to it: \(nearest.joined(separator: ", "))"
            throw mismatch("a column is missing", "\(place), found none\(hint)")
        }
        guard let type = types[oid], accepts(type) else {
            throw mismatch(
                "a column has another type", "\(place), found \(types[oid]?.label ?? "a type of oid \(oid)")")
        }
    }

    func keys(_ names: [String], in columns: PostgresColumns, of part: StaticString) throws(PostgresFailure) {
        for (name, key) in zip(names, view.entity.keys) {
            try column(name, in: columns, of: part, expected: "the key \(key.type.rawValue)") {
                PostgresKeyConversion($0, to: key.type) != nil
            }
        }
    }

    private func mismatch(_ message: StaticString, _ detail: String) -> PostgresFailure {
        PostgresFailure(.schemaMismatch, message, detail: detail)
    }
}
