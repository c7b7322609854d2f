import FeatureModel
import LocalDatabase

/// A view that is read by watermark: what is walked, by which columns.
struct SQLiteWatermarkWalk: Sendable {
    let column: WatermarkColumn
    let subquery: String
    let selected: [String]
    /// Where the watermark and its tie-breakers stand in `selected`.
    let positionColumns: Range<Int>
    /// Whether rows only name entities, whose rows the query then yields.
    let namesEntities: Bool

    var width: Int { positionColumns.count }
    var order: [String] { [column.column] + column.tieBreaker }
}

extension SQLiteQueries {
    /// How the view is walked by watermark; `nil` for tracked views.
    var watermarkWalk: SQLiteWatermarkWalk? {
        switch mode {
        case .tracked: return nil
        case .rows(let column):
            return SQLiteWatermarkWalk(
                column: column, subquery: query, selected: layout.columns, positionColumns: layout.positionColumns,
                namesEntities: false)
        case .changes(let column, let changes):
            let selected = keyNames + [column.column] + column.tieBreaker
            return SQLiteWatermarkWalk(
                column: column, subquery: changes, selected: selected,
                positionColumns: keyNames.count..<selected.count, namesEntities: true)
        }
    }

    private func settled(_ column: WatermarkColumn) -> Int64 { now() - column.settle.wholeMicroseconds }

    /// Changes behind a cursor. `isRunStart`: the cursor is not one that this reader has just handed out, so the walk steps
    /// back by the lookback and looks for rows that can't be found by watermark.
    func watermarkChanges(
        _ walk: SQLiteWatermarkWalk, after cursor: SQLiteCursor, limit: Int, isRunStart: Bool,
        _ connection: SQLiteConnection
    ) throws -> ChangePage {
        var builder = SQLiteChunkBuilder(layout, capacity: limit, now: now())
        let kind = try SQLiteWatermark.find(
            walk.column, in: walk.subquery, future: builder.future, view: view.name, connection)
        let unchanged = ChangeCursor(text: cursor.text)
        guard let kind else {
            if isRunStart { try addUnfindable(walk, nil, to: &builder, connection) }
            return ChangePage(rows: builder.finish(), next: unchanged, isLast: true, changeCount: 0)
        }
        if cursor.place == .end { try requireSameStyle(kind, cursor, walk) }
        builder.checksWatermark = false
        if isRunStart { try addUnfindable(walk, kind, to: &builder, connection) }

        var plan = Walk(subquery: walk.subquery, selected: walk.selected, isDistinct: false, order: walk.order)
        plan.below = kind.upperBound(settled(walk.column))
        plan.skipsNull = true
        var position: [SQLiteValue]? = cursor.place == .start ? nil : cursor.position
        if isRunStart, let start = position?.first, let from = kind.lookback(from: start, walk.column) {
            plan.from = from
            position = nil
        }
        // A page ends between two positions. Where many rows share one, the row limit may fall inside it.
        for rowLimit in [limit * (walk.namesEntities ? 4 : 1) + 1, Int.max] {
            var attempt = builder
            let found = try read(
                walk, plan, kind, after: position, limit: limit, rowLimit: rowLimit, into: &attempt, connection)
            guard let found else { continue }
            return ChangePage(
                rows: attempt.finish(), next: ChangeCursor(text: found.next(behind: cursor).text),
                isLast: found.isLast, changeCount: found.rows)
        }
        return ChangePage(rows: builder.finish(), next: unchanged, isLast: true, changeCount: 0)
    }

    /// Text watermarks are compared as text: a cursor written in one style says nothing about texts of another.
    private func requireSameStyle(_ kind: SQLiteWatermark, _ cursor: SQLiteCursor, _ walk: SQLiteWatermarkWalk) throws {
        let found: String
        switch (kind, cursor.position.first) {
        case (_, nil), (.sequence, .integer), (.integerTime, .integer): return
        case (.textTime(let style), .text(let text)?):
            if TextTimeStyle(text) == style || TextTimeStyle(text) == nil { return }
            found = "times like \(style.render(0)), where the cursor is \(text)"
        case (.textTime, _): found = "text, where the cursor is a number"
        case (.sequence, _), (.integerTime, _): found = "integers, where the cursor is another type"
        }
        throw ExtractionError(
            .schemaMismatch, "the watermark column has changed its type or style",
            detail: "view \(view.name), column \(walk.column.column): found \(found); reset the watermark")
    }

    private struct WalkedRows {
        /// Where the last row stands.
        var last: [SQLiteValue] = []
        /// Where the last row with a usable watermark stands.
        var lastUsable: [SQLiteValue] = []
        var rows = 0
        var isLast = true

        /// A run ends at a usable watermark: what is behind it is looked at again by the next run.
        func next(behind cursor: SQLiteCursor) -> SQLiteCursor {
            if !isLast { return SQLiteCursor(place: .mid, position: last) }
            if !lastUsable.isEmpty { return SQLiteCursor(place: .end, position: lastUsable) }
            return cursor.place == .start ? cursor : SQLiteCursor(place: .end, position: cursor.position)
        }
    }

    /// How many rows may share one position before that is an error: they are read as one page.
    static let rowsPerPosition = 1_000_000

    /// A page; `nil` when it may go on behind `rowLimit` rows.
    private func read(
        _ walk: SQLiteWatermarkWalk, _ plan: Walk, _ kind: SQLiteWatermark, after position: [SQLiteValue]?, limit: Int,
        rowLimit: Int, into builder: inout SQLiteChunkBuilder, _ connection: SQLiteConnection
    ) throws -> WalkedRows? {
        var found = WalkedRows()
        var entities: [KeyedEntity] = []
        var seen: Set<EntityKey> = []
        var isUsable = true
        found.last = walk.positionColumns.map { _ in .null }
        // Entities that change all the time have many rows: a page of them ends anyhow.
        let rowsPerPage = walk.namesEntities ? limit * 4 : limit
        stages: for stage in Self.stages(plan, after: position) {
            let statement = try connection.statement(stage.sql)
            try statement.bind(stage.bindings + [.integer(rowLimit == .max ? -1 : Int64(rowLimit - found.rows))])
            while try statement.step() {
                let isFull = found.rows >= rowsPerPage || seen.count >= limit
                if isFull, !isAt(found.last, statement, walk.positionColumns) {
                    found.isLast = false
                    statement.reset()
                    break stages
                }
                let fault = watermarkFault(of: statement, walk, kind, future: builder.future)
                if fault != nil, isUsable, found.rows > 0 { found.lastUsable = found.last }
                isUsable = fault == nil
                for (index, column) in walk.positionColumns.enumerated() {
                    found.last[index] = statement.value(column)
                }
                found.rows += 1
                if found.rows > Self.rowsPerPosition + rowsPerPage { throw tooManyTies(walk) }
                if let fault {
                    builder.add(self.fault(fault, of: statement, Self.label(found.last)))
                } else if !walk.namesEntities {
                    builder.add(statement) { Self.label(found.last) }
                    try builder.requireRoom()
                } else {
                    if namesNobody(statement) { continue }
                    switch entity(of: statement, place: { Self.label(found.last) }) {
                    case .failure(let broken): builder.add(broken.fault)
                    case .success(let entity):
                        if seen.insert(entity.key).inserted { entities.append(entity) }
                    }
                }
            }
            if found.rows >= rowLimit { return nil }
        }
        if isUsable, found.rows > 0 { found.lastUsable = found.last }
        try addNamedRows(walk, entities, &builder, connection)
        return found
    }

    private func watermarkFault(
        of row: SQLiteStatement, _ walk: SQLiteWatermarkWalk, _ kind: SQLiteWatermark?, future: Int64
    ) -> ValueFault? {
        var style: TextTimeStyle?
        if case .textTime(let known) = kind { style = known }
        return SQLiteConversion.watermarkFault(
            row, walk.positionColumns.lowerBound, walk.column, style: style, future: future)
    }

    /// `fault` of the row, or its key's where that is bad too.
    private func fault(_ fault: ValueFault, of row: SQLiteStatement, _ place: String) -> RowFault {
        switch SQLiteConversion.key(of: row, layout.keys) {
        case .success(let key): fault.rowFault(key: key, position: place)
        case .failure(let broken): broken.rowFault(key: nil, position: place)
        }
    }

    private func addNamedRows(
        _ walk: SQLiteWatermarkWalk, _ entities: [KeyedEntity], _ builder: inout SQLiteChunkBuilder,
        _ connection: SQLiteConnection
    ) throws {
        if walk.namesEntities { try addRows(of: entities, to: &builder, connection) }
    }

    private func isAt(_ place: [SQLiteValue], _ row: SQLiteStatement, _ columns: Range<Int>) -> Bool {
        zip(place, columns).allSatisfy { $0 == row.value($1) }
    }

    private static func label(_ place: [SQLiteValue]) -> String {
        SQLiteCursor(place: .mid, position: place).text
    }

    private func tooManyTies(_ walk: SQLiteWatermarkWalk) -> ExtractionError {
        ExtractionError(
            .schemaMismatch, "the tie-breaker does not make the order total",
            detail: """
                view \(view.name): more than \(Self.rowsPerPosition) rows share one value of \
                \(walk.order.joined(separator: ", ")); name a unique tie_breaker
                """)
    }

    // MARK: Rows that can't be found by watermark

    /// How many such rows of each kind one run reports.
    static let unfindableLimit = 100

    /// Adds faults for rows whose watermark is null, in the future, or of another type.
    private func addUnfindable(
        _ walk: SQLiteWatermarkWalk, _ kind: SQLiteWatermark?, to builder: inout SQLiteChunkBuilder,
        _ connection: SQLiteConnection
    ) throws {
        let name = Self.ordered(walk.column.column)
        var conditions: [(text: String, bindings: [SQLiteValue])] = [("\(name) IS NULL", [])]
        if let kind {
            // A number is never as great as a text; a time may be in the same unit as the bound.
            conditions.append(("\(name) \(kind == .sequence ? ">=" : ">") ?", [kind.upperBound(builder.future)]))
        }
        if case .textTime = kind { conditions.append(("\(name) <= ''", [])) }
        let selected = walk.selected.map(Self.column).joined(separator: ", ")
        for condition in conditions {
            let statement = try connection.statement(
                """
                SELECT \(selected) FROM (\n\(walk.subquery)\n) AS _r
                WHERE \(condition.text) LIMIT \(Self.unfindableLimit)
                """)
            try statement.bind(condition.bindings)
            while try statement.step() {
                let fault =
                    watermarkFault(of: statement, walk, kind, future: builder.future)
                    ?? ValueFault(
                        column: walk.column.column, rule: "type", reason: "the watermark is unlike all others")
                let label = Self.label([statement.value(walk.positionColumns.lowerBound)])
                builder.add(self.fault(fault, of: statement, label))
            }
        }
    }

    // MARK: Ends

    /// A cursor behind everything that is settled now.
    func presentEnd(_ walk: SQLiteWatermarkWalk, _ connection: SQLiteConnection) throws -> SQLiteCursor {
        let future = now() + 300_000_000
        guard
            let kind = try SQLiteWatermark.find(
                walk.column, in: walk.subquery, future: future, view: view.name, connection)
        else { return .start }
        let order = walk.order.map { Self.ordered($0) + " DESC" }.joined(separator: ", ")
        let rows = try connection.rows(
            """
            SELECT \(walk.order.map(Self.column).joined(separator: ", ")) FROM (\n\(walk.subquery)\n) AS _r
            WHERE \(Self.ordered(walk.column.column)) < ? ORDER BY \(order) LIMIT 1
            """, [kind.upperBound(settled(walk.column))])
        return rows.first.map { SQLiteCursor(place: .end, position: $0) } ?? .start
    }

    /// How far behind a cursor is.
    func watermarkLag(
        _ walk: SQLiteWatermarkWalk, behind cursor: SQLiteCursor, _ connection: SQLiteConnection
    ) throws -> SourceLag {
        let now = now()
        guard
            let kind = try SQLiteWatermark.find(
                walk.column, in: walk.subquery, future: now + 300_000_000, view: view.name, connection)
        else { return SourceLag(rows: 0, age: nil) }
        var plan = Walk(
            subquery: walk.subquery, selected: [walk.column.column], isDistinct: false, order: walk.order)
        plan.below = kind.upperBound(settled(walk.column))
        plan.skipsNull = true
        var rows: Int64 = 0
        var oldest: SQLiteValue?
        for stage in Self.stages(plan, after: cursor.place == .start ? nil : cursor.position) {
            let statement = try connection.statement(stage.sql)
            try statement.bind(stage.bindings + [.integer(SourceLag.countLimit - rows)])
            while try statement.step() {
                if oldest == nil { oldest = statement.value(0) }
                rows += 1
            }
            if rows >= SourceLag.countLimit { break }
        }
        let age = oldest.flatMap { kind.time(of: $0) }.map { Duration.microseconds(max(0, now - $0)) }
        return SourceLag(rows: rows, age: age)
    }
}
