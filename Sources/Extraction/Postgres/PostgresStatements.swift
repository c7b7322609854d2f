import FeatureModel

/// A statement and its parameters, as texts.
struct PostgresQuery: Hashable, Sendable {
    var sql: String
    var parameters: [String?] = []
}

/// The columns that name entities in one place: a query, or the tracked table.
struct KeyColumns: Hashable, Sendable {
    /// What stands behind `FROM`, named `_tm`.
    let from: String
    /// Quoted and qualified.
    let columns: [String]
    /// For casts of parameters.
    let casts: [String]

    var list: String { columns.joined(separator: ", ") }
    var areComplete: String { columns.map { "\($0) IS NOT NULL" }.joined(separator: " AND ") }

    /// Behind a key, in the columns' own order, so that an index of theirs serves it.
    func behind(firstParameter: Int) -> String {
        PostgresStatements.compare(columns, ">", casts, firstParameter: firstParameter)
    }
}

/// Writes the SQL of a view. Pure: no connection, no clock.
struct PostgresStatements: Sendable {
    let view: FeatureView
    let shape: PostgresShape
    let isKeyed: Bool
    let tracking: PostgresTracking?
    let watermark: PostgresWatermark?
    private let query: String

    /// For a shape that was validated.
    init(_ view: FeatureView, _ shape: PostgresShape) {
        self.view = view
        self.shape = shape
        query = KeysPlaceholder.withoutTerminator(view.source.query)
        isKeyed = KeysPlaceholder.count(in: query) > 0
        switch view.source.watermark {
        case .tracked(let table):
            tracking = shape.relation.map {
                PostgresTracking(relation: $0, keyColumns: table.keyColumns, keyTypes: view.entity.keyTypes)
            }
            watermark = nil
        case .column(let column):
            tracking = nil
            let type = (shape.changes ?? shape.query).type(of: column.column).flatMap { shape.types[$0] }
            watermark = type.flatMap { PostgresWatermark(column, type: $0) }
        }
    }

    // MARK: Parts

    /// `(a, b) > ($1::x, $2::y)`.
    static func compare(_ columns: [String], _ sign: String, _ casts: [String], firstParameter: Int) -> String {
        let values = casts.enumerated().map { "$\(firstParameter + $0.offset)::\($0.element)" }
        return columns.count == 1
            ? "\(columns[0]) \(sign) \(values[0])"
            : "(\(columns.joined(separator: ", "))) \(sign) (\(values.joined(separator: ", ")))"
    }

    /// What stands for `:keys`: parameters for one key column, rows of parameters for more.
    ///
    /// A lone string parameter has no cast: it takes the type of what it is compared with, so that a `uuid` column works.
    static func keyList(_ types: [EntityKeyType], count: Int) -> String {
        guard types.count > 1 else {
            let cast = types[0] == .string ? "" : "::\(plainCast(types[0]))"
            return (1...count).map { "$\($0)\(cast)" }.joined(separator: ", ")
        }
        return valueList(types.map(plainCast), count: count)
    }

    private static func valueList(_ casts: [String], count: Int) -> String {
        let rows = (0..<count).map { row in
            let values = casts.enumerated().map { "$\(row * casts.count + $0.offset + 1)::\($0.element)" }
            return "(\(values.joined(separator: ", ")))"
        }
        return "VALUES \(rows.joined(separator: ", "))"
    }

    private static func plainCast(_ type: EntityKeyType) -> String {
        switch type {
        case .int32, .int64: "bigint"
        case .string: "text"
        case .bytes: "bytea"
        }
    }

    /// The columns every row is read from, in the order `PostgresRowReader` expects them.
    var rowColumns: [String] {
        view.entity.keys.map(\.name) + view.features.map(\.name)
            + [view.source.eventTime?.column, view.source.deleted].compactMap { $0 }
    }

    private var rowList: String { rowColumns.map(Self.column).joined(separator: ", ") }

    static func column(_ name: String) -> String { "_tm.\(PostgresIdentifier.quote(name))" }

    private func keyColumns(_ names: [String], of columns: PostgresColumns, from: String) -> KeyColumns {
        var expressions: [String] = []
        var casts: [String] = []
        for (name, type) in zip(names, view.entity.keyTypes) {
            let known = columns.type(of: name).flatMap { shape.types[$0] }
            // Types such as citext hold different texts to be equal; a walk in their order would step over some.
            let isLoose = type == .string && known.map { $0.kind == .text && !$0.isBuiltIn } ?? false
            expressions.append(isLoose ? "\(Self.column(name))::text" : Self.column(name))
            casts.append(type == .string && !isLoose ? known?.name ?? "text" : Self.plainCast(type))
        }
        return KeyColumns(from: from, columns: expressions, casts: casts)
    }

    /// The entity keys in the query's own rows.
    var queryKeys: KeyColumns {
        keyColumns(view.entity.keys.map(\.name), of: shape.query, from: "(\(query)\n) AS _tm")
    }

    /// Where a walk over all entities finds them, when the query itself can't be walked.
    var walkKeys: KeyColumns {
        let names = view.entity.keys.map(\.name)
        if let text = view.source.entities, let columns = shape.entities {
            return keyColumns(names, of: columns, from: "(\(KeysPlaceholder.withoutTerminator(text))\n) AS _tm")
        }
        return trackedKeys ?? changeKeys ?? queryKeys
    }

    var trackedKeys: KeyColumns? {
        tracking.map { keyColumns($0.keyColumns, of: $0.relation.columns, from: "\($0.table) AS _tm") }
    }

    var changeKeys: KeyColumns? {
        guard let text = view.source.changes, let columns = shape.changes else { return nil }
        return keyColumns(
            view.entity.keys.map(\.name), of: columns, from: "(\(KeysPlaceholder.withoutTerminator(text))\n) AS _tm")
    }

    // MARK: Rows of entities

    /// The rows of `count` entities; parameters are their keys, one after the other.
    func features(of count: Int) -> String {
        let types = view.entity.keyTypes
        guard !isKeyed else {
            let text = KeysPlaceholder.expand(query, with: Self.keyList(types, count: count))
            return "SELECT \(rowList) FROM (\(text)\n) AS _tm"
        }
        let keys = queryKeys
        let start = "SELECT \(rowList) FROM \(keys.from) WHERE"
        guard types.count == 1 else {
            return "\(start) (\(keys.list)) IN (\(Self.valueList(keys.casts, count: count)))"
        }
        let kind = shape.query.type(of: view.entity.keys[0].name).flatMap { shape.types[$0]?.kind }
        // A label that an enum doesn't know would fail the whole page.
        let (column, cast) =
            kind == .enumeration ? ("\(keys.columns[0])::text", "text") : (keys.columns[0], keys.casts[0])
        return "\(start) \(column) IN (\((1...count).map { "$\($0)::\(cast)" }.joined(separator: ", ")))"
    }

    /// Rows in the order of their keys, behind a key.
    func rangeRows(after key: [String]?, limit: Int) -> PostgresQuery {
        let keys = queryKeys
        let bound = key == nil ? "" : " AND \(keys.behind(firstParameter: 1))"
        return PostgresQuery(
            sql:
                "SELECT \(rowList) FROM \(keys.from) WHERE \(keys.areComplete)\(bound) ORDER BY \(keys.list) LIMIT \(limit)",
            parameters: key ?? [])
    }

    /// All rows of one entity, the newest by event time first.
    func newestRow(of key: [String]) -> PostgresQuery {
        let keys = queryKeys
        let time = view.source.eventTime.map { " ORDER BY \(Self.column($0.column)) DESC NULLS LAST" } ?? ""
        return PostgresQuery(
            sql: "SELECT \(rowList) FROM \(keys.from) WHERE "
                + "\(Self.compare(keys.columns, "=", keys.casts, firstParameter: 1))\(time) LIMIT 1",
            parameters: key)
    }

    /// Rows that no walk reaches, since a part of their key is null.
    func rowsWithoutKey(limit: Int) -> PostgresQuery {
        let keys = queryKeys
        return PostgresQuery(
            sql: "SELECT \(keys.list) FROM \(keys.from) WHERE NOT (\(keys.areComplete)) LIMIT \(limit)")
    }

    /// Keys of entities in their order, behind a key.
    func rangeKeys(after key: [String]?, limit: Int) -> PostgresQuery {
        let keys = walkKeys
        let bound = key == nil ? "" : " AND \(keys.behind(firstParameter: 1))"
        return PostgresQuery(
            sql: "SELECT DISTINCT \(keys.list) FROM \(keys.from) WHERE \(keys.areComplete)\(bound) "
                + "ORDER BY \(keys.list) LIMIT \(limit)",
            parameters: key ?? [])
    }
}
