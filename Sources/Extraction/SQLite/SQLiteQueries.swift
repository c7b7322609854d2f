import FeatureModel
import LocalDatabase

/// The statements of one view, as texts. Results are named column by column, so that a column that is gone is an error
/// and never another column or a string.
struct SQLiteQueries: Sendable {
    /// How changes are found.
    enum Mode: Sendable {
        case tracked(SQLiteTracking)
        /// The query's own rows, by watermark.
        case rows(WatermarkColumn)
        /// Keys of `changes` by watermark, then the query for them.
        case changes(WatermarkColumn, query: String)
    }

    let view: FeatureView
    let mode: Mode
    let layout: SQLiteRowLayout
    /// The source's clock: microseconds since 1970.
    let now: @Sendable () -> Int64
    /// The view's query without the semicolon that people put at its end.
    let query: String
    /// Whether the query has `:keys`.
    let isKeyed: Bool

    init(_ view: FeatureView, now: @escaping @Sendable () -> Int64) throws(ExtractionError) {
        self.view = view
        self.now = now
        query = KeysPlaceholder.withoutTerminator(view.source.query)
        let isKeyed = KeysPlaceholder.count(in: query) > 0
        switch view.source.watermark {
        case .tracked(let table):
            guard table.keyColumns.count == view.entity.keys.count else {
                throw ExtractionError(
                    .misconfigured, "the tracked table's key columns don't match the entity",
                    detail: "view \(view.name): one key column for each key of entity \(view.entity.name)")
            }
            mode = .tracked(try SQLiteTracking(table, view: view.name))
        case .column(let column):
            if let changes = view.source.changes {
                mode = .changes(column, query: KeysPlaceholder.withoutTerminator(changes))
            } else if isKeyed {
                throw ExtractionError(
                    .misconfigured, "a query with :keys needs `changes` or a tracked table",
                    detail: "view \(view.name)")
            } else {
                mode = .rows(column)
            }
        }
        if case .rows(let column) = mode {
            layout = SQLiteRowLayout(view, watermark: column)
        } else {
            layout = SQLiteRowLayout(view, watermark: nil)
        }
        self.isKeyed = isKeyed
    }

    /// A name of the subquery `_r`. Qualified, because SQLite takes a lone unknown `"name"` for a string.
    static func column(_ name: String) -> String { "_r.\(name.sqlIdentifier)" }

    /// A column in byte order, whatever collation it was declared with.
    static func ordered(_ name: String) -> String { column(name) + " COLLATE BINARY" }

    /// The names of the entity's key columns.
    var keyNames: [String] { view.entity.keys.map(\.name) }

    // MARK: Rows of given entities

    /// How many entities one statement asks for: a page takes as many full statements as it needs and one short one.
    func keyCount(forRemaining remaining: Int) -> Int {
        if remaining <= 8 { return 8 }
        return keyNames.count == 1 ? 512 : 128
    }

    /// A statement for exactly `count` entities; parameters are the keys, entity by entity.
    func rowsByKey(_ count: Int) -> String {
        let selected = layout.columns.map(Self.column).joined(separator: ", ")
        let width = keyNames.count
        if isKeyed {
            let expanded = KeysPlaceholder.expand(query, with: placeholders(count))
            return "SELECT \(selected) FROM (\n\(expanded)\n) AS _r"
        }
        if width == 1 {
            let list = (1...count).map { "?\($0)" }.joined(separator: ",")
            return "SELECT \(selected) FROM (\n\(query)\n) AS _r WHERE \(Self.column(keyNames[0])) IN (\(list))"
        }
        // A chain of alternatives uses the index of the key columns; `IN (VALUES …)` would scan the table.
        let alternatives = (0..<count).map { entity in
            "("
                + keyNames.enumerated().map { "\(Self.column($0.element)) = ?\(entity * width + $0.offset + 1)" }
                .joined(separator: " AND ") + ")"
        }
        return "SELECT \(selected) FROM (\n\(query)\n) AS _r WHERE \(alternatives.joined(separator: " OR "))"
    }

    /// What replaces `:keys`: `?1,?2,…`, or for several key columns a subquery whose columns have the keys' types, which
    /// lets SQLite use an index for `(a, b) IN (:keys)`.
    private func placeholders(_ count: Int) -> String {
        let width = keyNames.count
        if width == 1 { return (1...count).map { "?\($0)" }.joined(separator: ",") }
        let rows = (0..<count).map { entity in
            "(" + (1...width).map { "?\(entity * width + $0)" }.joined(separator: ",") + ")"
        }
        let casts = view.entity.keyTypes.enumerated().map { index, type in
            "CAST(column\(index + 1) AS \(Self.affinity(type)))"
        }
        return "SELECT \(casts.joined(separator: ",")) FROM (VALUES \(rows.joined(separator: ",")))"
    }

    private static func affinity(_ type: EntityKeyType) -> String {
        switch type {
        case .int32, .int64: "INTEGER"
        case .string: "TEXT"
        case .bytes: "BLOB"
        }
    }

    // MARK: Walks

    /// A subquery to walk and the columns it is ordered by.
    struct Walk: Sendable {
        let subquery: String
        let selected: [String]
        /// Makes equal rows one.
        let isDistinct: Bool
        let order: [String]
        /// Rows at or behind this value of the first ordering column are left out.
        var below: SQLiteValue?
        /// Where the walk begins, included, when there is no position.
        var from: SQLiteValue?
        /// Leaves out rows without a value in the first ordering column.
        var skipsNull = false
    }

    /// A part of a walk: one statement whose last parameter is its LIMIT.
    struct Stage: Sendable {
        let sql: String
        let bindings: [SQLiteValue]
    }

    /// The statements that yield what lies behind `position` in order, one after the other: first rows that share all but the
    /// last value of the position, then all but the last two, and so on. Each can use an index.
    static func stages(_ walk: Walk, after position: [SQLiteValue]?) -> [Stage] {
        guard let position else {
            var conditions: [String] = []
            var bindings: [SQLiteValue] = []
            if walk.skipsNull { conditions.append("\(ordered(walk.order[0])) IS NOT NULL") }
            if let from = walk.from {
                conditions.append("\(ordered(walk.order[0])) >= ?")
                bindings.append(from)
            }
            return [stage(walk, conditions, bindings, fixed: 0)]
        }
        return walk.order.indices.reversed().map { level in
            var conditions: [String] = []
            var bindings: [SQLiteValue] = []
            for index in 0..<level {
                if position[index] == .null {
                    conditions.append("\(column(walk.order[index])) IS NULL")
                } else {
                    conditions.append("\(ordered(walk.order[index])) = ?")
                    bindings.append(position[index])
                }
            }
            if position[level] == .null {
                conditions.append("\(column(walk.order[level])) IS NOT NULL")
            } else {
                conditions.append("\(ordered(walk.order[level])) > ?")
                bindings.append(position[level])
            }
            return stage(walk, conditions, bindings, fixed: level)
        }
    }

    private static func stage(
        _ walk: Walk, _ conditions: [String], _ bindings: [SQLiteValue], fixed: Int
    ) -> Stage {
        var conditions = conditions
        var bindings = bindings
        if let below = walk.below {
            conditions.append("\(ordered(walk.order[0])) < ?")
            bindings.append(below)
        }
        var sql = "SELECT \(walk.isDistinct ? "DISTINCT " : "")"
        sql += walk.selected.map(walk.isDistinct ? ordered : column).joined(separator: ", ")
        sql += " FROM (\n\(walk.subquery)\n) AS _r"
        if !conditions.isEmpty { sql += " WHERE " + conditions.joined(separator: " AND ") }
        sql += " ORDER BY " + walk.order.dropFirst(fixed).map(ordered).joined(separator: ", ") + " LIMIT ?"
        return Stage(sql: sql, bindings: bindings)
    }
}
