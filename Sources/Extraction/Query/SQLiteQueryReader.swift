import FeatureModel
import LocalDatabase

/// Steps through one query of a SQLite file, on a read-only connection of its own.
actor SQLiteQueryReader: QueryReader {
    nonisolated let columnNames: [String]
    private nonisolated let database: LocalDatabase
    private let query: SourceQuery
    private let places: [Int]
    private let timeout: Duration
    private var isOver = false
    private var rowsRead = 0

    init(_ query: SourceQuery, path: String, options: SQLiteConnector.Options) async throws(ExtractionError) {
        self.query = query
        timeout = query.pageTimeout ?? options.statementTimeout
        let database = try await SQLiteFile.open(path, .readOnly, options)
        self.database = database
        let names: [String]
        do {
            names = try await database.beginQuery(query.sql)
        } catch {
            await database.close()
            throw ExtractionError(any: error, while: "\(query.owner), \(path)")
        }
        do throws(ExtractionError) {
            places = try QueryColumn.places(of: query.columns, among: names, owner: query.owner)
        } catch {
            await database.close()
            throw error
        }
        columnNames = names
    }

    func next(limit: Int) async throws(ExtractionError) -> QueryPage {
        guard !isOver else {
            var end = QueryPage(width: query.columns.count)
            end.isLast = true
            return end
        }
        let (database, query, places, first) = (database, query, places, rowsRead)
        let deadline = ContinuousClock.now + timeout
        let limit = min(max(1, limit), QueryPage.rowLimit)
        let page = try await ExtractionError.interrupting(query.owner, by: { database.interrupt() }) {
            try await database.continueQuery(deadline: deadline) { row in
                try SQLiteQueryPages.read(row, query.columns, places, limit: limit, from: first)
            }
        }
        rowsRead += page.rowCount + page.faultCount
        if page.isLast {
            isOver = true
            await database.close()
        }
        return page
    }

    nonisolated func close() async {
        database.interrupt()
        await database.close()
    }
}

/// Reads pages off a running statement.
private enum SQLiteQueryPages {
    static func read(
        _ row: SQLiteStatement, _ columns: [QueryColumn], _ places: [Int], limit: Int, from first: Int
    ) throws -> QueryPage {
        var page = QueryPage(width: columns.count)
        page.values.reserveCapacity(min(limit, 10_000) * columns.count)
        let features = columns.map(feature)
        var bytes = 0
        var rows = 0
        while rows < limit, bytes < QueryPage.byteLimit {
            guard try row.step() else {
                page.isLast = true
                break
            }
            rows += 1
            let start = page.values.count
            for (index, column) in columns.enumerated() {
                guard let fault = append(row, places[index], column, features[index], to: &page.values) else {
                    if let last = page.values.last { bytes += last.heldBytes }
                    continue
                }
                page.refuse(fault.rowFault(key: nil, position: "row \(first + rows)"), rowAt: start)
                break
            }
        }
        return page
    }

    private static func feature(_ column: QueryColumn) -> Feature {
        switch column.kind {
        case .value(let type): Feature(name: column.name, type: type)
        case .time: Feature(name: column.name, type: .scalar(.timestamp))
        case .label: Feature(name: column.name, type: .scalar(.string))
        }
    }

    private static func append(
        _ row: SQLiteStatement, _ place: Int, _ column: QueryColumn, _ feature: Feature,
        to values: inout [FeatureValue]
    ) -> ValueFault? {
        let storage = row.storage(place)
        if case .null = storage {
            guard column.isNullable else {
                return ValueFault(column: column.name, rule: "null", reason: "expected \(column.expected), found null")
            }
            values.append(.null)
            return nil
        }
        switch (column.kind, storage) {
        case (.time(let unit), _):
            switch SQLiteConversion.time(row, place, TimeColumn(column: column.name, unit: unit)) {
            case .success(let time): values.append(.timestamp(time))
            case .failure(let fault): return fault
            }
        case (.label, .integer): values.append(.string(String(row.integer(place))))
        case (.value(let type), _) where SQLiteConversion.appendNumber(row, place, type, to: &values): break
        default: return SQLiteConversion.append(row, place, feature, to: &values)
        }
        return nil
    }
}

extension SQLiteConnector: QuerySource {
    /// Prepares the query; SQLite computes its first rows with the first page.
    package func open(_ query: SourceQuery) async throws(ExtractionError) -> any QueryReader {
        try await SQLiteQueryReader(query, path: path, options: options)
    }
}
