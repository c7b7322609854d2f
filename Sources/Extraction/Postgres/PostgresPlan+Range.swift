import FeatureModel

extension PostgresPlan {
    /// The most pages of unreadable keys that one call steps over.
    private static let maximumSkips = 64
    /// The most rows without a key that a walk reports at its end.
    private static let maximumKeyless = 100

    /// Part of a walk over all entities, in the order of their keys in the database.
    func rangePage(
        after key: EntityKey?, limit: Int, _ session: inout PostgresSession, deadline: ContinuousClock.Instant
    ) throws(PostgresFailure) -> RangePage {
        var start: [String]?
        if let key {
            guard let parameters = parameters(of: key) else {
                throw PostgresFailure(.corrupt, "the walk can't go on behind a key that the view can't have")
            }
            start = parameters
        }
        return try session.inSnapshot(deadline: deadline) { (session) throws(PostgresFailure) in
            let position = try position(&session, deadline: deadline)
            var walk = RangeWalk(limit: limit, place: position.map { "xid:\($0)" } ?? "", collector: rows.collector)
            for _ in 0..<Self.maximumSkips {
                if statements.isKeyed {
                    try readKeyed(after: start, &walk, &session, deadline)
                } else {
                    try readPlain(after: start, &walk, &session, deadline)
                }
                guard walk.next == nil, !walk.isAtEnd else {
                    return RangePage(
                        rows: walk.collector.chunk(position: position, askedFor: walk.asked), next: walk.next)
                }
                start = walk.lastTexts
            }
            throw PostgresFailure(
                .tooLarge, "too many keys in a row can't be read",
                detail: "view \"\(view.name)\", \(Self.maximumSkips) pages")
        }
    }

    /// A page of rows, one more than asked for: the row behind tells whether the last entity was cut.
    private func readPlain(
        after start: [String]?, _ walk: inout RangeWalk, _ session: inout PostgresSession,
        _ deadline: ContinuousClock.Instant
    ) throws(PostgresFailure) {
        let query = statements.rangeRows(after: start, limit: walk.limit + 1)
        let width = view.entity.keys.count
        var count = 0
        var present: (texts: [String], key: EntityKey?) = ([], nil)
        var isCut = false
        var hasWhole = false
        try session.run(query.sql, query.parameters, deadline: deadline) { (row) throws(PostgresFailure) in
            if count == 0 { try rows.verify(row) }
            count += 1
            let texts = (0..<width).map { row.text($0) ?? "" }
            guard count <= walk.limit else {
                isCut = texts == present.texts
                return
            }
            if texts != present.texts {
                if count > 1 {
                    walk.pass(present.texts, present.key)
                    hasWhole = true
                }
                present = (texts, nil)
            }
            switch rows.key(row, position: walk.place) {
            case .success(let key):
                present.key = key
                rows.read(row, of: key, into: &walk.collector, position: walk.place)
            case .failure(let error): walk.collector.add(error.fault)
            }
        }
        if isCut, hasWhole {
            // It is read whole at the start of the next page.
            if let key = present.key { walk.collector.dropLast(key) }
            return
        }
        if isCut { try readNewest(of: present, &walk, &session, deadline) }
        if count > 0 { walk.pass(present.texts, present.key) }
        if count <= walk.limit {
            walk.isAtEnd = true
            walk.next = nil
            try reportKeyless(&walk, &session, deadline)
        }
    }

    /// One entity fills the page: its newest row is asked for, since the page need not hold it.
    private func readNewest(
        of entity: (texts: [String], key: EntityKey?), _ walk: inout RangeWalk, _ session: inout PostgresSession,
        _ deadline: ContinuousClock.Instant
    ) throws(PostgresFailure) {
        guard let key = entity.key, view.source.eventTime != nil else { return }
        walk.collector.dropLast(key)
        let query = statements.newestRow(of: entity.texts)
        try session.run(query.sql, query.parameters, deadline: deadline) { (row) throws(PostgresFailure) in
            rows.read(row, of: key, into: &walk.collector, position: walk.place)
        }
    }

    private func reportKeyless(
        _ walk: inout RangeWalk, _ session: inout PostgresSession, _ deadline: ContinuousClock.Instant
    ) throws(PostgresFailure) {
        let query = statements.rowsWithoutKey(limit: Self.maximumKeyless)
        try session.run(query.sql, query.parameters, deadline: deadline) { (row) throws(PostgresFailure) in
            if case .failure(let error) = rows.key(row, position: walk.place) { walk.collector.add(error.fault) }
        }
    }

    /// A page of keys, then the rows of those entities.
    private func readKeyed(
        after start: [String]?, _ walk: inout RangeWalk, _ session: inout PostgresSession,
        _ deadline: ContinuousClock.Instant
    ) throws(PostgresFailure) {
        let query = statements.rangeKeys(after: start, limit: walk.limit)
        var count = 0
        var keys: [EntityKey] = []
        try session.run(query.sql, query.parameters, deadline: deadline) { (row) throws(PostgresFailure) in
            count += 1
            walk.lastTexts = (0..<row.columnCount).map { row.text($0) ?? "" }
            if let key = Self.key(row, from: 0, walkKeys) {
                keys.append(key)
            } else {
                walk.collector.add(
                    RowFault(
                        key: nil, column: view.entity.keys[0].name, rule: "range",
                        reason: "the key is none that the entity \(view.entity.name) can have", position: walk.place))
            }
        }
        try readFeatures(of: keys, into: &walk.collector, position: walk.place, &session, deadline: deadline)
        walk.asked += keys
        walk.isAtEnd = count < walk.limit
        walk.next = walk.isAtEnd ? nil : keys.last
    }
}

/// What a call of a walk has gathered.
private struct RangeWalk {
    let limit: Int
    let place: String
    var collector: RowCollector
    var asked: [EntityKey] = []
    /// The last entity that was read whole and has a readable key.
    var next: EntityKey?
    /// The last key that was passed, as PostgreSQL prints it.
    var lastTexts: [String]?
    var isAtEnd = false

    init(limit: Int, place: String, collector: RowCollector) {
        self.limit = limit
        self.place = place
        self.collector = collector
    }

    /// Notes an entity whose rows are complete.
    mutating func pass(_ texts: [String], _ key: EntityKey?) {
        lastTexts = texts
        if let key { next = key }
    }
}
