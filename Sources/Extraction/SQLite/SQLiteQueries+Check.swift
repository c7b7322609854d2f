import FeatureModel
import LocalDatabase

extension SQLiteQueries {
    /// The horizon of the present snapshot; `nil` for views that are not exact.
    func position(_ connection: SQLiteConnection) throws -> UInt64? {
        guard case .tracked = mode else { return nil }
        return UInt64(clamping: try SQLiteTracking.end(connection))
    }

    /// Checks that tracking is installed and that every query has the columns that the view needs.
    func check(_ connection: SQLiteConnection) throws {
        if case .tracked(let tracking) = mode { try tracking.requireInstalled(connection) }
        let expanded = isKeyed ? rowsOfAny() : query
        try requireColumns(layout.columns, of: expanded, named: "query", connection)
        if let walk = watermarkWalk, walk.namesEntities {
            try requireColumns(walk.selected, of: walk.subquery, named: "changes", connection)
        }
        if let entities = view.source.entities {
            try requireColumns(
                keyNames, of: KeysPlaceholder.withoutTerminator(entities), named: "entities", connection)
        }
    }

    /// The query with `:keys` replaced by nulls.
    private func rowsOfAny() -> String {
        let nulls = keyNames.map { _ in "NULL" }.joined(separator: ",")
        return KeysPlaceholder.expand(query, with: keyNames.count == 1 ? nulls : "SELECT \(nulls)")
    }

    private func requireColumns(
        _ expected: [String], of query: String, named part: String, _ connection: SQLiteConnection
    ) throws {
        let statement: SQLiteStatement
        do {
            statement = try connection.prepare("SELECT * FROM (\n\(query)\n) AS _r LIMIT 0")
        } catch {
            throw ExtractionError(error, while: "view \(view.name), \(part)")
        }
        guard statement.parameterCount == 0 else {
            throw ExtractionError(
                .misconfigured, "the query has parameters that nothing fills",
                detail: "view \(view.name), \(part): only :keys is replaced")
        }
        let found = (0..<statement.columnCount).map(statement.columnName)
        let known = Set(found.map { $0.lowercased() })
        for name in expected where !known.contains(name.lowercased()) {
            let nearest = found.min { distance($0, name) < distance($1, name) }
            let hint = nearest.map { distance($0, name) <= 3 ? "; did you mean \($0)?" : "" } ?? ""
            throw ExtractionError(
                .schemaMismatch, "a column is missing",
                detail: """
                    view \(view.name), \(part): expected column \(name), found \
                    \(found.joined(separator: ", "))\(hint)
                    """)
        }
    }

    /// Levenshtein's distance, of names in lower case.
    private func distance(_ left: String, _ right: String) -> Int {
        let right = Array(right.lowercased())
        var row = Array(0...right.count)
        for (index, character) in left.lowercased().enumerated() {
            var diagonal = row[0]
            row[0] = index + 1
            for (other, target) in right.enumerated() {
                let cost = min(row[other] + 1, row[other + 1] + 1, diagonal + (character == target ? 0 : 1))
                diagonal = row[other + 1]
                row[other + 1] = cost
            }
        }
        return row[right.count]
    }

    /// Looks at some rows: when no value of a column is of its type, that is the column's doing and not the rows'.
    ///
    /// - Throws: `schemaMismatch` naming column, expected and found.
    func checkSample(_ connection: SQLiteConnection) throws {
        if let walk = watermarkWalk {
            try SQLiteWatermark.requireOneStyle(
                walk.column, in: walk.subquery, future: now() + 300_000_000, view: view.name, connection)
        }
        let page = try range(after: nil, limit: 20, connection)
        guard page.rows.keys.isEmpty else { return }
        let typeFaults = page.rows.faults.filter { $0.rule == "type" }
        guard let first = typeFaults.first, typeFaults.count == page.rows.faults.count,
            typeFaults.allSatisfy({ $0.column == first.column })
        else { return }
        throw ExtractionError(
            .schemaMismatch, "a column has another type",
            detail: "view \(view.name), column \(first.column): \(first.reason)")
    }

    // MARK: Counting

    /// Entities, counted up to a million rows.
    func count(_ connection: SQLiteConnection) throws -> Int64? {
        let list = isKeyed ? keyList : (subquery: query, columns: keyNames)
        let columns = list.columns.map(Self.ordered).joined(separator: ", ")
        let distinct = isKeyed ? "DISTINCT " : ""
        let rows = try connection.rows(
            "SELECT count(*) FROM (SELECT \(distinct)\(columns) FROM (\n\(list.subquery)\n) AS _r LIMIT 1000000)")
        guard case .integer(let count)? = rows.first?.first, count < 1_000_000 else {
            return try roughCount(connection)
        }
        return count
    }

    /// What the file knows of a tracked table's size without counting.
    func roughCount(_ connection: SQLiteConnection) throws -> Int64? {
        guard case .tracked(let tracking) = mode else { return nil }
        let statistics = try connection.rows(
            "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'sqlite_stat1'")
        if statistics == [[.integer(1)]],
            case .text(let text)? = try connection.rows(
                "SELECT stat FROM sqlite_stat1 WHERE tbl = ? COLLATE NOCASE LIMIT 1", [.text(tracking.table)]
            ).first?.first, let first = text.split(separator: " ").first, let count = Int64(first)
        {
            return count
        }
        // WITHOUT ROWID tables have no rowid: then there is no estimate.
        guard let largest = try? connection.rows("SELECT max(rowid) FROM \(tracking.table.sqlIdentifier)"),
            case .integer(let rowid)? = largest.first?.first
        else { return nil }
        return rowid
    }

    // MARK: Doctor

    /// What is good and bad about this view's tracking and queries.
    func findings(_ connection: SQLiteConnection) throws -> [SourceFinding] {
        let name = "view \(view.name)"
        do {
            try check(connection)
        } catch {
            let failure = ExtractionError(any: error, while: name)
            return [SourceFinding(check: name, grade: .bad, text: failure.description)]
        }
        guard case .tracked(let tracking) = mode else {
            return [
                SourceFinding(
                    check: name, grade: .warning,
                    text: "read by watermark: best effort; hard deletes and late rows are found by the sweep")
            ]
        }
        var findings = [SourceFinding(check: name, grade: .good, text: "tracked by triggers: exact")]
        for index in try SQLiteUniqueIndex.all(of: tracking.table, in: connection) where index.columns == nil {
            findings.append(
                SourceFinding(
                    check: name, grade: .warning,
                    text: """
                        unique index \(index.name) has expressions or a collation of its own: rows that INSERT OR REPLACE \
                        deletes through it are found by the sweep, unless the writer sets PRAGMA recursive_triggers=ON
                        """))
        }
        return findings
    }
}
