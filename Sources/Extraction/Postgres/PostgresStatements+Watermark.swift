import FeatureModel

/// The bounds of one page of rows by watermark, as they stand in parameters.
struct WatermarkBounds: Hashable, Sendable {
    enum Lower: Hashable, Sendable {
        /// Inclusive; `nil` for no bound.
        case from(String?)
        /// Exclusive, with the tie-breakers.
        case behind(String, ties: [String])
    }

    let lower: Lower
    /// Exclusive; `nil` for no bound.
    let upper: String?
}

extension PostgresStatements {
    /// The columns that make the order of reading total: those of the definition, else the entity's keys.
    var tieNames: [String] {
        let names = watermark?.definition.tieBreaker ?? []
        return names.isEmpty ? view.entity.keys.map(\.name) : names
    }

    private var watermarkColumns: PostgresColumns { shape.changes ?? shape.query }

    /// What is read by watermark: the `changes`, or the query itself.
    private var watermarkFrom: String { (changeKeys ?? queryKeys).from }

    private var tieCasts: [String] {
        tieNames.map { name in watermarkColumns.type(of: name).flatMap { shape.types[$0]?.name } ?? "text" }
    }

    /// The watermark column, quoted and qualified.
    private var mark: String { Self.column(watermark?.definition.column ?? "") }

    /// A page in the order of the watermark and its tie-breakers. Columns: the view's (or the keys, of `changes`), then
    /// the watermark, then the tie-breakers.
    func watermarkRows(_ bounds: WatermarkBounds, limit: Int) -> PostgresQuery? {
        guard let watermark else { return nil }
        let ties = tieNames.map(Self.column)
        let list = changeKeys?.list ?? rowColumns.map(Self.column).joined(separator: ", ")
        let order = ([mark] + ties).joined(separator: ", ")
        let complete = ties.map { " AND \($0) IS NOT NULL" }.joined()
        let condition = conditions(bounds, watermark, ties)
        return PostgresQuery(
            sql: "SELECT \(list), \(order) FROM \(watermarkFrom) WHERE \(condition.sql)\(complete) "
                + "ORDER BY \(order) LIMIT \(limit)",
            parameters: condition.parameters)
    }

    private func conditions(_ bounds: WatermarkBounds, _ watermark: PostgresWatermark, _ ties: [String])
        -> PostgresQuery
    {
        var query: PostgresQuery
        switch bounds.lower {
        case .from(nil): query = PostgresQuery(sql: "\(mark) IS NOT NULL")
        case .from(let start?):
            query = PostgresQuery(sql: "\(mark) >= $1::\(watermark.cast)", parameters: [start])
        case .behind(let start, let values):
            query = PostgresQuery(
                sql: Self.compare([mark] + ties, ">", [watermark.cast] + tieCasts, firstParameter: 1),
                parameters: [start] + values)
        }
        if let upper = bounds.upper {
            query.parameters.append(upper)
            query.sql += " AND \(mark) < $\(query.parameters.count)::\(watermark.cast)"
        }
        return query
    }

    /// Rows that no page returns: without a watermark or tie-breaker, before the year 1, or far ahead of the clock.
    /// Columns as in `watermarkRows`. A change without a complete key is none of them: it belongs to no entity.
    func watermarkFaults(ahead: String?, limit: Int) -> PostgresQuery? {
        guard let watermark else { return nil }
        let ties = tieNames.map(Self.column)
        let list = changeKeys?.list ?? rowColumns.map(Self.column).joined(separator: ", ")
        let order = ([mark] + ties).joined(separator: ", ")
        var conditions = ([mark] + ties).map { "\($0) IS NULL" }
        var query = PostgresQuery(sql: "")
        if let ahead {
            query.parameters = [ahead, watermark.lowest]
            conditions += ["\(mark) > $1::\(watermark.cast)", "\(mark) < $2::\(watermark.cast)"]
        }
        let complete = changeKeys.map { " AND \($0.areComplete)" } ?? ""
        query.sql =
            "SELECT \(list), \(order) FROM \(watermarkFrom) WHERE (\(conditions.joined(separator: " OR ")))\(complete) "
            + "LIMIT \(limit)"
        return query
    }

    /// How many rows lie within bounds, at most `limit`, and the lowest watermark among them.
    func watermarkCount(_ bounds: WatermarkBounds, limit: Int64) -> PostgresQuery? {
        guard let watermark else { return nil }
        let ties = tieNames.map(Self.column)
        let condition = conditions(bounds, watermark, ties)
        return PostgresQuery(
            sql: "SELECT count(*), min(w) FROM (SELECT \(mark) AS w FROM \(watermarkFrom) "
                + "WHERE \(condition.sql) ORDER BY \(mark) LIMIT \(limit)) AS _lag",
            parameters: condition.parameters)
    }

    /// The greatest watermark there is, of a sequence.
    var watermarkEnd: PostgresQuery { PostgresQuery(sql: "SELECT max(\(mark)) FROM \(watermarkFrom)") }
}
