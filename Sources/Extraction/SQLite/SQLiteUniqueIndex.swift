import LocalDatabase

/// A unique index, or the rowid, by which `INSERT OR REPLACE` may push out a row.
struct SQLiteUniqueIndex {
    let name: String
    /// Columns and their collations; `nil` when the index has expressions, which can't be compared from outside.
    let columns: [(name: String, collation: String)]?

    private static let knownCollations: Set<String> = ["BINARY", "NOCASE", "RTRIM"]

    /// The unique indexes of a table, and its integer primary key.
    static func all(of table: String, in connection: SQLiteConnection) throws -> [SQLiteUniqueIndex] {
        var result: [SQLiteUniqueIndex] = []
        let list = try connection.rows(
            "SELECT name FROM pragma_index_list(?) WHERE \"unique\" = 1", [.text(table)])
        for case .text(let name)? in list.map(\.first) {
            let info = try connection.rows(
                "SELECT cid, name, coll FROM pragma_index_xinfo(?) WHERE key = 1 ORDER BY seqno", [.text(name)])
            var columns: [(name: String, collation: String)]? = []
            for column in info {
                if case .integer(let number) = column[0], number >= 0, case .text(let name) = column[1],
                    case .text(let collation) = column[2], knownCollations.contains(collation.uppercased())
                {
                    columns?.append((name, collation.uppercased()))
                } else {
                    columns = nil
                }
            }
            result.append(SQLiteUniqueIndex(name: name, columns: columns))
        }
        // The integer primary key is the rowid and has no index of its own.
        let primary = try connection.rows(
            "SELECT name, upper(type) FROM pragma_table_info(?) WHERE pk > 0", [.text(table)])
        if primary.count == 1, primary[0][1] == .text("INTEGER"), case .text(let name) = primary[0][0] {
            result.append(SQLiteUniqueIndex(name: "rowid", columns: [(name, "BINARY")]))
        }
        return result
    }

    /// The condition under which row `old` is in the way of row `new`; wider than the index where that is partial.
    func conflict(old: String, new: String) -> String? {
        guard let columns, !columns.isEmpty else { return nil }
        return columns.map { column in
            "\(old).\(column.name.sqlIdentifier) = \(new).\(column.name.sqlIdentifier) COLLATE \(column.collation)"
        }.joined(separator: " AND ")
    }
}
