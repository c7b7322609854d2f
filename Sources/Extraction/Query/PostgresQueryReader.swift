import FeatureModel
import LocalDatabase

/// Fetches one query of a PostgreSQL database through a cursor, in a read-only transaction on a connection of its own.
actor PostgresQueryReader: QueryReader {
    nonisolated let columnNames: [String]
    private nonisolated let executor: QueueExecutor
    private nonisolated let interrupt: PostgresInterrupt
    private let query: SourceQuery
    private let rows: PostgresQueryRows
    private var session: PostgresSession
    private var isOver = false
    private var isBroken = false
    private var rowsRead = 0

    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe executor.asUnownedSerialExecutor() }

    private init(
        _ query: SourceQuery, names: [String], rows: PostgresQueryRows, session: consuming PostgresSession,
        executor: QueueExecutor
    ) {
        self.query = query
        self.rows = rows
        self.executor = executor
        columnNames = names
        interrupt = session.interrupt
        self.session = session
    }

    static func open(
        _ query: SourceQuery, target: PostgresTarget, options: PostgresOptions
    ) async throws(ExtractionError) -> PostgresQueryReader {
        var options = options
        if let timeout = query.pageTimeout { options.statementTimeout = timeout }
        let opener = Opener(query, target: target, options: options)
        let interrupt = opener.interrupt
        return try await ExtractionError.interrupting(query.owner, by: { interrupt.fire() }) {
            try await opener.open()
        }
    }

    /// Starts the query on the thread that its reader will have.
    private actor Opener {
        nonisolated let interrupt = PostgresInterrupt()
        private nonisolated let executor = QueueExecutor(label: "tidemark.postgres.query")
        private let query: SourceQuery
        private let target: PostgresTarget
        private let options: PostgresOptions

        nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe executor.asUnownedSerialExecutor() }

        init(_ query: SourceQuery, target: PostgresTarget, options: PostgresOptions) {
            self.query = query
            self.target = target
            self.options = options
        }

        func open() throws(ExtractionError) -> PostgresQueryReader {
            var session = PostgresSession(target, options: options, interrupt: interrupt)
            do throws(PostgresFailure) {
                let (names, rows) = try PostgresQueryRows.declare(query, &session)
                return PostgresQueryReader(query, names: names, rows: rows, session: session, executor: executor)
            } catch {
                throw error.error
            }
        }
    }

    func next(limit: Int) async throws(ExtractionError) -> QueryPage {
        let interrupt = interrupt
        return try await ExtractionError.interrupting(query.owner, by: { interrupt.fire() }) {
            try self.fetch(min(max(1, limit), QueryPage.rowLimit))
        }
    }

    private func fetch(_ limit: Int) throws(ExtractionError) -> QueryPage {
        guard !isBroken else { throw ExtractionError(.unavailable, "the query is closed", detail: query.owner) }
        guard !isOver else {
            var end = QueryPage(width: query.columns.count)
            end.isLast = true
            return end
        }
        do throws(PostgresFailure) {
            let page = try rows.fetch(limit, from: rowsRead, &session)
            rowsRead += page.rowCount + page.faultCount
            isOver = page.isLast
            if isOver { session.disconnect() }
            return page
        } catch {
            // The transaction is gone, and with it the cursor: what was not read must not pass for read.
            disconnect()
            throw error.error
        }
    }

    nonisolated func close() async {
        interrupt.fire()
        await disconnect()
    }

    private func disconnect() {
        isBroken = true
        session.disconnect()
    }
}

/// A declared cursor: how its rows become values.
struct PostgresQueryRows: Sendable {
    private enum Conversion: Sendable {
        case value(PostgresConversion)
        case time(PostgresTimeConversion)
        case label
    }

    private let columns: [QueryColumn]
    private let places: [Int]
    private let conversions: [Conversion]

    private static let cursor = "tidemark_query"

    /// Begins the transaction, declares the cursor and checks its columns. No row is computed.
    static func declare(
        _ query: SourceQuery, _ session: inout PostgresSession
    ) throws(PostgresFailure) -> (names: [String], rows: PostgresQueryRows) {
        let deadline = session.callDeadline
        try session.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", deadline: deadline)
        let text = KeysPlaceholder.withoutTerminator(query.sql)
        try session.run("DECLARE \(cursor) NO SCROLL CURSOR FOR \(text)\n", deadline: deadline)
        let found = try session.run("FETCH FORWARD 0 FROM \(cursor)", deadline: deadline)
        let oids = Set(found.types).sorted().map(String.init).joined(separator: ",")
        let catalog = try session.rows(PostgresType.catalogQuery, ["{\(oids)}"], deadline: deadline)
        var types: [UInt32: PostgresType] = [:]
        for type in catalog.compactMap({ PostgresType(row: $0) }) { types[type.oid] = type }
        return (found.names, try PostgresQueryRows(query, found, types))
    }

    private init(
        _ query: SourceQuery, _ found: PostgresColumns, _ types: [UInt32: PostgresType]
    ) throws(PostgresFailure) {
        columns = query.columns
        do throws(ExtractionError) {
            places = try QueryColumn.places(of: query.columns, among: found.names, owner: query.owner)
        } catch {
            throw PostgresFailure(error)
        }
        var conversions: [Conversion] = []
        for (column, place) in zip(query.columns, places) {
            let oid = found.types[place]
            guard let type = types[oid], let conversion = Self.conversion(column, type, types) else {
                throw PostgresFailure(
                    .schemaMismatch, "a column has another type",
                    detail: "\(query.owner), column \"\(column.name)\": expected \(column.expected), "
                        + "found \(types[oid]?.label ?? "a type of oid \(oid)")")
            }
            conversions.append(conversion)
        }
        self.conversions = conversions
    }

    private static func conversion(
        _ column: QueryColumn, _ type: PostgresType, _ types: [UInt32: PostgresType]
    ) -> Conversion? {
        switch column.kind {
        case .value(let wanted): PostgresConversion(type, elements: types, to: wanted).map(Conversion.value)
        case .time(let unit): PostgresTimeConversion(type, unit: unit).map(Conversion.time)
        case .label:
            switch type.kind {
            case .text, .padded, .uuid, .enumeration, .integer, .bool: .label
            default: nil
            }
        }
    }

    func fetch(_ limit: Int, from first: Int, _ session: inout PostgresSession) throws(PostgresFailure) -> QueryPage {
        var page = QueryPage(width: columns.count)
        page.values.reserveCapacity(min(limit, 10_000) * columns.count)
        var count = 0
        try session.run("FETCH FORWARD \(limit) FROM \(Self.cursor)", deadline: session.callDeadline) {
            (row) throws(PostgresFailure) in
            count += 1
            read(row, position: first + count, into: &page)
        }
        page.isLast = count < limit
        return page
    }

    private func read(_ row: borrowing PostgresResult, position: Int, into page: inout QueryPage) {
        let start = page.values.count
        for (index, column) in columns.enumerated() {
            do throws(CellFault) {
                page.values.append(try value(row.cell(places[index]), conversions[index], column))
            } catch {
                let fault = RowFault(
                    key: nil, column: column.name, rule: error.rule.description, reason: error.reason,
                    position: "row \(position)")
                return page.refuse(fault, rowAt: start)
            }
        }
    }

    private func value(
        _ cell: PostgresCell, _ conversion: Conversion, _ column: QueryColumn
    ) throws(CellFault) -> FeatureValue {
        switch (cell, conversion) {
        case (.null, _):
            guard column.isNullable else { throw CellFault("null", "expected \(column.expected), found null") }
            return .null
        case (_, .value(let conversion)): return try conversion.value(cell)
        case (_, .time(let conversion)): return .timestamp(try conversion.value(cell))
        case (.text(let text), .label): return .string(text)
        case (.undecodable, .label): throw CellFault("encoding", "expected UTF-8")
        }
    }
}

extension PostgresConnector: QuerySource {
    /// Declares the query's cursor; PostgreSQL computes rows as they are fetched.
    package func open(_ query: SourceQuery) async throws(ExtractionError) -> any QueryReader {
        try await PostgresQueryReader.open(query, target: target, options: options)
    }
}
