import FeatureModel

/// How one view is read in the database as it was when the plan was made. Its methods run on the connection of a reader.
struct PostgresPlan: Sendable {
    let view: FeatureView
    let statements: PostgresStatements
    let rows: PostgresRowReader
    /// Of the keys in the tracked table, or in the `changes` query.
    let changeKeys: [PostgresKeyConversion]
    /// Of the keys that a walk reads.
    let walkKeys: [PostgresKeyConversion]

    /// How many keys one execution of the feature query takes: small changes need not pay for large ones.
    static let batchSizes = [16, 512]

    /// Describes and checks a view.
    ///
    /// - Throws: `schemaMismatch`, `notInstalled`, and what the connection may bring.
    static func make(
        _ view: FeatureView, _ session: inout PostgresSession, deadline: ContinuousClock.Instant
    ) throws(PostgresFailure) -> PostgresPlan {
        let shape = try PostgresShape.describe(view, &session, deadline: deadline)
        try shape.validate(view)
        let statements = PostgresStatements(view, shape)
        guard let rows = PostgresRowReader(statements) else {
            throw PostgresFailure(.schemaMismatch, "the query's columns can't be read", detail: "view \"\(view.name)\"")
        }
        return PostgresPlan(
            view: view, statements: statements, rows: rows,
            changeKeys: conversions(view, shape, names: statements.tracking?.keyColumns, in: shape.relation?.columns)
                ?? conversions(view, shape, names: nil, in: shape.changes) ?? [],
            walkKeys: conversions(view, shape, names: nil, in: shape.entities)
                ?? conversions(view, shape, names: statements.tracking?.keyColumns, in: shape.relation?.columns)
                ?? conversions(view, shape, names: nil, in: shape.changes) ?? [])
    }

    private static func conversions(
        _ view: FeatureView, _ shape: PostgresShape, names: [String]?, in columns: PostgresColumns?
    ) -> [PostgresKeyConversion]? {
        guard let columns else { return nil }
        return zip(names ?? view.entity.keys.map(\.name), view.entity.keys).compactMap { name, key in
            columns.type(of: name).flatMap { shape.types[$0] }.flatMap { PostgresKeyConversion($0, to: key.type) }
        }
    }

    /// Has the server parse what will be run, so that what the columns' types can't show is found by a check.
    func validate(_ session: inout PostgresSession, deadline: ContinuousClock.Instant) throws(PostgresFailure) {
        try session.validate(statements.features(of: Self.batchSizes[0]), deadline: deadline)
        let key = [String](repeating: "0", count: view.entity.keys.count)
        let walk =
            statements.isKeyed ? statements.rangeKeys(after: key, limit: 1) : statements.rangeRows(after: key, limit: 1)
        try session.validate(walk.sql, deadline: deadline)
    }

    /// The horizon of the snapshot that the session is in.
    static func horizon(
        _ session: inout PostgresSession, deadline: ContinuousClock.Instant
    ) throws(PostgresFailure) -> UInt64 {
        let rows = try session.rows(PostgresStatements.horizon, deadline: deadline)
        guard let horizon = rows.first?.first?.flatMap({ UInt64($0) }) else {
            throw PostgresFailure(.corrupt, "PostgreSQL names no horizon of its snapshot")
        }
        return horizon
    }

    /// The horizon for an exact view, nothing for others.
    func position(
        _ session: inout PostgresSession, deadline: ContinuousClock.Instant
    ) throws(PostgresFailure) -> UInt64? {
        statements.tracking == nil ? nil : try Self.horizon(&session, deadline: deadline)
    }

    // MARK: Rows of given entities

    /// Reads the rows of entities in the session's present snapshot.
    func readFeatures(
        of keys: [EntityKey], into collector: inout RowCollector, position: String,
        _ session: inout PostgresSession, deadline: ContinuousClock.Instant
    ) throws(PostgresFailure) {
        let wanted = Set(keys)
        var sendable: [[String]] = []
        for key in keys {
            if let parameters = parameters(of: key) { sendable.append(parameters) }
        }
        var start = 0
        while start < sendable.count {
            let size =
                Self.batchSizes.first { $0 >= sendable.count - start } ?? Self.batchSizes[Self.batchSizes.count - 1]
            var batch = Array(sendable[start..<min(start + size, sendable.count)])
            start += batch.count
            // Padded to a fixed number, so that one prepared statement serves every batch.
            while batch.count < size { batch.append(batch[batch.count - 1]) }
            var isFirst = true
            try session.runPrepared(statements.features(of: size), batch.flatMap { $0 }, deadline: deadline) {
                (row) throws(PostgresFailure) in
                if isFirst { try rows.verify(row) }
                isFirst = false
                switch rows.key(row, position: position) {
                // A query may return other entities than those it was asked for: another spelling of a key, a mistake.
                case .success(let key) where wanted.contains(key):
                    rows.read(row, of: key, into: &collector, position: position)
                case .success: break
                case .failure(let error): collector.add(error.fault)
                }
            }
        }
    }

    /// The parameters of an entity's key; `nil` for a key that no row can have.
    func parameters(of key: EntityKey) -> [String]? {
        guard let values = key.values(of: view.entity.keyTypes) else { return nil }
        var parameters: [String] = []
        for (value, name) in zip(values, view.entity.keys.map(\.name)) {
            switch value {
            case .integer(let number): parameters.append(String(number))
            case .bytes(let bytes): parameters.append(PostgresConversion.hex(bytes))
            case .text(let text):
                let kind = statements.shape.query.type(of: name).flatMap { statements.shape.types[$0]?.kind }
                // A text of PostgreSQL holds no NUL, and what is no UUID would fail a whole page.
                guard !text.utf8.contains(0), kind != .uuid || Self.isUUID(text) else { return nil }
                parameters.append(text)
            }
        }
        return parameters
    }

    /// Whether a text is a UUID as PostgreSQL prints it.
    private static func isUUID(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        guard bytes.count == 36 else { return false }
        return bytes.enumerated().allSatisfy { index, byte in
            [8, 13, 18, 23].contains(index)
                ? byte == UInt8(ascii: "-") : (48...57).contains(byte) || (97...102).contains(byte)
        }
    }

    /// The present rows of entities, in a snapshot of their own.
    func readEntities(
        _ keys: [EntityKey], _ session: inout PostgresSession, deadline: ContinuousClock.Instant
    ) throws(PostgresFailure) -> RowChunk {
        try session.inSnapshot(deadline: deadline) { (session) throws(PostgresFailure) in
            let position = try position(&session, deadline: deadline)
            var collector = rows.collector
            try readFeatures(
                of: keys, into: &collector, position: position.map { "xid:\($0)" } ?? "", &session, deadline: deadline)
            return collector.chunk(position: position, askedFor: keys)
        }
    }
}
