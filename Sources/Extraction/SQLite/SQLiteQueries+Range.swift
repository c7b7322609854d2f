import FeatureModel
import LocalDatabase

extension SQLiteQueries {
    /// A page of the walk over all entities.
    func range(after: EntityKey?, limit: Int, _ connection: SQLiteConnection) throws -> RangePage {
        let position = try after.map { try KeyedEntity($0, types: view.entity.keyTypes).values }
        let limit = max(1, limit)
        // Pages usually end within `limit` rows; entities of many rows, or rows with bad keys, need a second look.
        for rowLimit in [limit + 1, Int.max] {
            let page =
                isKeyed
                ? try keyedRange(after: position, limit: limit, rowLimit: rowLimit, connection)
                : try rowRange(after: position, limit: limit, rowLimit: rowLimit, connection)
            if let page { return page }
        }
        return RangePage(rows: RowChunk(), next: nil)
    }

    /// A page of at most `rowLimit` result rows; `nil` when the page's last entity may go on behind them.
    private func rowRange(
        after position: [SQLiteValue]?, limit: Int, rowLimit: Int, _ connection: SQLiteConnection
    ) throws -> RangePage? {
        let walk = Walk(subquery: query, selected: layout.columns, isDistinct: false, order: keyNames)
        var builder = SQLiteChunkBuilder(layout, capacity: limit, now: now())
        var last: EntityKey?
        var entities = 0
        var rows = 0
        var leavesFaults = false
        for stage in Self.stages(walk, after: position) {
            let statement = try connection.statement(stage.sql)
            try statement.bind(stage.bindings + [.integer(rowLimit == .max ? -1 : Int64(rowLimit - rows))])
            while try statement.step() {
                rows += 1
                switch SQLiteConversion.key(of: statement, layout.keys) {
                case .failure where entities == limit:
                    // Rows without a usable key behind the last entity are the next page's.
                    leavesFaults = true
                    continue
                case .success(let key) where key != last:
                    if entities == limit {
                        statement.reset()
                        return RangePage(rows: builder.finish(), next: last)
                    }
                    entities += 1
                    last = key
                    // Rows of one entity come one behind the other.
                    builder.add(statement, ofNew: key) { "row \(rows) behind \(key.text)" }
                case .success, .failure:
                    builder.add(statement) { "row \(rows) behind \(last?.text ?? "the first")" }
                }
                try builder.requireRoom()
            }
            if rows >= rowLimit { return nil }
        }
        return RangePage(rows: builder.finish(), next: leavesFaults ? last : nil)
    }

    /// What lists the entities of a view whose query computes given ones.
    var keyList: (subquery: String, columns: [String]) {
        if let entities = view.source.entities { return (KeysPlaceholder.withoutTerminator(entities), keyNames) }
        switch mode {
        case .changes(_, let query): return (query, keyNames)
        case .tracked(let tracking): return ("SELECT * FROM \(tracking.table.sqlIdentifier)", tracking.keyColumns)
        case .rows: return (query, keyNames)
        }
    }

    private func keyedRange(
        after position: [SQLiteValue]?, limit: Int, rowLimit: Int, _ connection: SQLiteConnection
    ) throws -> RangePage? {
        let list = keyList
        let walk = Walk(subquery: list.subquery, selected: list.columns, isDistinct: true, order: list.columns)
        var builder = SQLiteChunkBuilder(layout, capacity: limit, now: now())
        var entities: [KeyedEntity] = []
        var rows = 0
        var leavesFaults = false
        for stage in Self.stages(walk, after: position) {
            let statement = try connection.statement(stage.sql)
            try statement.bind(stage.bindings + [.integer(rowLimit == .max ? -1 : Int64(rowLimit - rows))])
            while try statement.step() {
                rows += 1
                if namesNobody(statement) { continue }
                switch entity(of: statement, place: { "the list of entities" }) {
                case .failure where entities.count == limit: leavesFaults = true
                case .failure(let broken): builder.add(broken.fault)
                case .success(let found) where found.key == entities.last?.key: continue
                case .success(let found):
                    if entities.count == limit {
                        statement.reset()
                        try addRows(of: entities, to: &builder, connection)
                        return RangePage(rows: builder.finish(), next: entities.last?.key)
                    }
                    entities.append(found)
                }
            }
            if rows >= rowLimit { return nil }
        }
        try addRows(of: entities, to: &builder, connection)
        return RangePage(rows: builder.finish(), next: leavesFaults ? entities.last?.key : nil)
    }
}
