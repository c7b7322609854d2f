/// Turns a view's `source` into a `ViewSource`, and checks what the declaration's shape can't say.
struct SourceBuilder {
    /// The path of the source.
    let path: String
    let entity: Entity
    let node: YAMLNode

    /// - Returns: `nil` where something the source can't be without is missing or wrong, which has been reported.
    func build(into diagnostics: inout Diagnostics) -> ViewSource? {
        let query = statement("query", allowing: ["keys"], into: &diagnostics)
        let changes = statement("changes", allowing: [], into: &diagnostics)
        let entities = statement("entities", allowing: [], into: &diagnostics)
        let mark = node["watermark"].flatMap { watermark($0, into: &diagnostics) }
        checkCombination(query, changes != nil, entities != nil, into: &diagnostics)
        let eventTime = node["event_time"].flatMap(timeColumn)
        let deleted = node["deleted"]?.text
        checkColumns(eventTime, deleted, into: &diagnostics)
        guard let from = node["from"]?.text, let query, let mark else { return nil }
        return ViewSource(
            from: from, query: query.statement, changes: changes?.statement, entities: entities?.statement,
            watermark: mark, eventTime: eventTime, deleted: deleted)
    }

    private func timeColumn(_ node: YAMLNode) -> TimeColumn? {
        guard let column = node.text ?? node["column"]?.text else { return nil }
        return TimeColumn(column: column, unit: node["unit"]?.text.flatMap(TimeColumn.Unit.init(rawValue:)))
    }

    private func checkColumns(_ eventTime: TimeColumn?, _ deleted: String?, into diagnostics: inout Diagnostics) {
        let keys = Set(entity.keys.map(\.name))
        for (name, column) in [("event_time", eventTime?.column), ("deleted", deleted)] {
            guard let column, keys.contains(column), let place = node[name]?.place else { continue }
            diagnostics.report(
                place, "\(path).\(name)", found: Text.quoted(column),
                expected: "a column that is no key of the entity \(entity.name)")
        }
        if let deleted, deleted == eventTime?.column, let place = node["deleted"]?.place {
            diagnostics.report(
                place, "\(path).deleted", found: Text.quoted(deleted), expected: "another column than event_time",
                help: "select it twice under two names if the time of the delete is the event time")
        }
    }

    // MARK: Statements

    private func statement(
        _ key: String, allowing parameters: [String], into diagnostics: inout Diagnostics
    ) -> SQLText? {
        guard let node = node[key], let text = node.text else { return nil }
        let sql = SQLText(text)
        let path = "\(path).\(key)"
        switch sql.problem {
        case .severalStatements:
            diagnostics.report(node.place, path, found: "several statements", expected: "one SELECT or WITH statement")
        case .unterminated(let what):
            diagnostics.report(node.place, path, found: "\(what) that doesn't end", expected: "a whole statement")
        case .notAQuery(let word):
            let found = word.isEmpty ? "no statement" : Text.quoted(word)
            diagnostics.report(node.place, path, found: found, expected: "a statement that begins with SELECT or WITH")
        case nil:
            for name in Set(sql.parameters).subtracting(parameters).sorted() {
                let expected = parameters.isEmpty ? "no parameter here" : "no parameter but :keys"
                diagnostics.report(
                    node.place, path, found: ":\(name)", expected: expected,
                    suggestion: Nearest.word(to: ":\(name)", among: parameters.map { ":\($0)" }))
            }
            if sql.parameters.isEmpty, sql.statement.contains(":keys") {
                diagnostics.report(
                    node.place, path, found: ":keys in quotes or in a comment",
                    expected: "it as a parameter, or not at all")
            }
            return sql
        }
        return nil
    }

    private func checkCombination(
        _ query: SQLText?, _ hasChanges: Bool, _ hasEntities: Bool, into diagnostics: inout Diagnostics
    ) {
        guard let query, let queryPlace = node["query"]?.place else { return }
        let isKeyed = query.parameters.contains("keys")
        let isTracked = node["watermark"]?["track"] != nil
        if isKeyed, !hasChanges, !isTracked, node["changes"] == nil {
            diagnostics.report(
                queryPlace, "\(path).query", found: "a query with :keys alone",
                expected: "`changes` or `watermark.track` beside it", help: "they tell which entities may have changed")
        }
        if hasChanges, isTracked, let place = node["changes"]?.place {
            diagnostics.report(
                place, "\(path).changes", found: "it beside watermark.track", expected: "one of the two",
                help: "the tracked table tells which entities changed")
        }
        for (key, isThere) in [("changes", hasChanges), ("entities", hasEntities)] where isThere && !isKeyed {
            guard let place = node[key]?.place else { continue }
            diagnostics.report(
                place, "\(path).\(key)", found: "it beside a query without :keys",
                expected: "a query that computes given entities, as in WHERE \(entity.keys[0].name) IN (:keys)")
        }
    }

    // MARK: Watermark

    private func watermark(_ node: YAMLNode, into diagnostics: inout Diagnostics) -> Watermark? {
        if let table = node["track"]?.text {
            return .tracked(trackedTable(table, node, into: &diagnostics))
        }
        guard let column = node["column"]?.text else { return nil }
        let unit = node["unit"]?.text.flatMap(TimeColumn.Unit.init(rawValue:))
        var tieBreaker = node["tie_breaker"]?.texts ?? []
        checkDistinct(tieBreaker, node["tie_breaker"], "tie_breaker", into: &diagnostics)
        if tieBreaker.isEmpty { tieBreaker = entity.keys.map(\.name) }
        if let lookback = node["lookback"], let count = lookback.integer {
            checkSequence(node, lookback, into: &diagnostics)
            return .column(WatermarkColumn(column: column, unit: unit, tieBreaker: tieBreaker, lookbackCount: count))
        }
        let settle = node["settle"]?.duration ?? .seconds(2)
        let lookback = node["lookback"]?.duration ?? max(.minutes(1), settle)
        if lookback < settle, let place = node["lookback"] {
            diagnostics.report(
                place.place, "\(path).watermark.lookback", found: place.found,
                expected: "at least settle = \(settle.spelling)",
                help: "rows that settle late would lie behind what is read again")
        }
        return .column(
            WatermarkColumn(column: column, unit: unit, tieBreaker: tieBreaker, settle: settle, lookback: lookback))
    }

    private func checkSequence(_ node: YAMLNode, _ lookback: YAMLNode, into diagnostics: inout Diagnostics) {
        if let unit = node["unit"]?.text {
            diagnostics.report(
                lookback.place, "\(path).watermark.lookback", found: lookback.found,
                expected: "a duration such as 1m, since unit: \(unit) makes the column a time")
        }
        if let settle = node["settle"] {
            diagnostics.report(
                settle.place, "\(path).watermark.settle", found: settle.found,
                expected: "no settle for a sequence, which a lookback without a unit makes the column")
        }
    }

    private func trackedTable(
        _ table: String, _ node: YAMLNode, into diagnostics: inout Diagnostics
    ) -> TrackedTable {
        guard let list = node["key"] else {
            return TrackedTable(table: table, keyColumns: entity.keys.map(\.name))
        }
        let columns = list.texts
        checkDistinct(columns, list, "key", into: &diagnostics)
        if columns.count != entity.keys.count {
            diagnostics.report(
                list.place, "\(path).watermark.key",
                found: "\(columns.count) \(columns.count == 1 ? "column" : "columns")",
                expected: "\(entity.keys.count): one for each key of the entity \(entity.name) "
                    + "(\(entity.keys.map(\.name).joined(separator: ", ")))")
        }
        return TrackedTable(table: table, keyColumns: columns)
    }

    private func checkDistinct(
        _ columns: [String], _ node: YAMLNode?, _ key: String, into diagnostics: inout Diagnostics
    ) {
        guard let node, Set(columns).count < columns.count else { return }
        diagnostics.report(
            node.place, "\(path).watermark.\(key)", found: "a column twice", expected: "each column once")
    }
}
