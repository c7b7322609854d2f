import LocalDatabase

/// Writes the dump's rows into the shop's tables. Used only inside one `LocalDatabase.run`.
///
/// Events go through a temporary table: in the dump they are in no order, and in a shop their ids are in order of time.
final class DumpLoader {
    private let insertEvent: SQLiteStatement
    private let insertCategory: SQLiteStatement
    private let writer: ShopWriter

    /// Early end of a hopeless file: so many bad rows are judged before its end is reached.
    private static let judgedEarly = 1_000

    init(_ database: SQLiteConnection) throws(SQLiteError) {
        try database.execute(
            """
            PRAGMA temp.cache_size = -16384;
            CREATE TEMP TABLE event_staging (
                timestamp INTEGER, visitorid INTEGER, event TEXT, itemid INTEGER, transactionid INTEGER);
            """)
        insertEvent = try database.prepare("INSERT INTO temp.event_staging VALUES (?, ?, ?, ?, ?)")
        insertCategory = try database.prepare(
            "INSERT INTO category_tree (categoryid, parentid) VALUES (?, ?) ON CONFLICT DO NOTHING")
        writer = try ShopWriter(database)
    }

    /// Moves the events to their table, earliest first, in the file's order where times are equal.
    func sortEvents(_ database: SQLiteConnection) throws(SQLiteError) {
        try database.execute(
            """
            INSERT INTO events (timestamp, visitorid, event, itemid, transactionid)
            SELECT timestamp, visitorid, event, itemid, transactionid FROM temp.event_staging
            ORDER BY timestamp, rowid
            """)
        try database.execute("DROP TABLE temp.event_staging")
    }

    /// Reads one file to its end.
    func load(
        _ file: DumpFile, _ folder: String, _ database: SQLiteConnection, _ report: inout RetailRocketImport.Report,
        _ progress: ShopProgress.Handler
    ) throws {
        var reader = try CSVReader(path: file.path(in: folder))
        guard try reader.next() == .row else {
            throw RetailError(.badData, "a file has no header", detail: "\(reader.path):1")
        }
        let columns = try DumpColumns(file, header: reader)
        let size = file.size(in: folder)
        var tally = RetailRocketImport.Report.File(name: file.rawValue)
        var isFinished = false
        while !isFinished {
            try Task.checkCancellation()
            isFinished = try database.transaction { _ in
                try loadBatch(file, columns, &reader, database, &tally)
            }
            if isFinished || tally.badRows > Self.judgedEarly { try judge(tally) }
            progress(
                ShopProgress(
                    stage: file == .events ? .events : file == .categoryTree ? .items : .properties, done: tally.rows,
                    total: isFinished ? tally.rows : Int(Double(size) / Double(reader.byteCount) * Double(tally.rows))))
        }
        report.files.append(tally)
    }

    /// - Returns: Whether the file is at its end.
    private func loadBatch(
        _ file: DumpFile, _ columns: DumpColumns, _ reader: inout CSVReader, _ database: SQLiteConnection,
        _ tally: inout RetailRocketImport.Report.File
    ) throws -> Bool {
        for _ in 0..<SyntheticShop.batch {
            var problem: String?
            var lines = 1
            switch try reader.next() {
            case .end: return true
            case .bad(let reason, let lost):
                problem = reason
                lines = lost
            case .row:
                problem = try take(file, columns, reader, database)
            }
            guard let problem else {
                tally.rows += 1
                continue
            }
            tally.badRows += lines
            if tally.problems.count < RetailRocketImport.problemLimit {
                tally.problems.append("\(file.rawValue):\(reader.line): \(problem)")
            }
        }
        return false
    }

    /// - Returns: What is wrong with the row, or `nil` when it is in its table.
    private func take(
        _ file: DumpFile, _ columns: DumpColumns, _ reader: borrowing CSVReader, _ database: SQLiteConnection
    ) throws(SQLiteError) -> String? {
        switch file {
        case .categoryTree:
            return switch category(columns, reader) {
            case .failure(let problem): problem.reason
            case .success(let row): try takeCategory(row, database)
            }
        case .events:
            return switch event(columns, reader) {
            case .failure(let problem): problem.reason
            case .success(let row): try takeEvent(row)
            }
        case .itemProperties1, .itemProperties2:
            return switch property(columns, reader) {
            case .failure(let problem): problem.reason
            case .success(let row): try takeProperty(row)
            }
        }
    }

    // MARK: Rows

    private struct CategoryRow {
        let id: Int64
        let parent: Int64?
    }

    private func category(
        _ columns: DumpColumns, _ reader: borrowing CSVReader
    ) -> Result<CategoryRow, DumpProblem> {
        do {
            try columns.check(reader)
            let parent = columns.isEmpty(1, reader) ? nil : try columns.number(1, reader)
            return .success(CategoryRow(id: try columns.number(0, reader), parent: parent))
        } catch {
            return .failure(error)
        }
    }

    private func takeCategory(_ row: CategoryRow, _ database: SQLiteConnection) throws(SQLiteError) -> String? {
        try insertCategory.run([.integer(row.id), row.parent.map { .integer($0) } ?? .null])
        return database.changeCount == 1 ? nil : "categoryid \(row.id) comes a second time"
    }

    private struct EventRow {
        let time: Int64
        let visitor: Int64
        let event: String
        let item: Int64
        let transaction: Int64?
    }

    private static let events: Set<String> = ["view", "addtocart", "transaction"]

    private func event(_ columns: DumpColumns, _ reader: borrowing CSVReader) -> Result<EventRow, DumpProblem> {
        do {
            try columns.check(reader)
            let event = try columns.text(2, reader)
            guard Self.events.contains(event) else {
                return .failure(DumpProblem("event is none of view, addtocart, transaction: '\(event.prefix(40))'"))
            }
            let transaction = columns.isEmpty(4, reader) ? nil : try columns.number(4, reader)
            return .success(
                EventRow(
                    time: try columns.time(0, reader), visitor: try columns.number(1, reader), event: event,
                    item: try columns.number(3, reader), transaction: transaction))
        } catch {
            return .failure(error)
        }
    }

    private func takeEvent(_ row: EventRow) throws(SQLiteError) -> String? {
        try insertEvent.bind(.integer(row.time), at: 1)
        try insertEvent.bind(.integer(row.visitor), at: 2)
        try insertEvent.bind(.text(row.event), at: 3)
        try insertEvent.bind(.integer(row.item), at: 4)
        try insertEvent.bind(row.transaction.map { .integer($0) } ?? .null, at: 5)
        _ = try insertEvent.step()
        return nil
    }

    private struct PropertyRow {
        let time: Int64
        let item: Int64
        let name: String
        let value: String
    }

    private func property(_ columns: DumpColumns, _ reader: borrowing CSVReader) -> Result<PropertyRow, DumpProblem> {
        do {
            try columns.check(reader)
            let name = try columns.text(2, reader)
            guard !name.isEmpty else { return .failure(DumpProblem("property is empty")) }
            return .success(
                PropertyRow(
                    time: try columns.time(0, reader), item: try columns.number(1, reader), name: name,
                    value: try columns.text(3, reader)))
        } catch {
            return .failure(error)
        }
    }

    private func takeProperty(_ row: PropertyRow) throws(SQLiteError) -> String? {
        try writer.property(at: row.time, item: row.item, name: row.name, value: row.value)
        return nil
    }

    // MARK: Judgement

    private func judge(_ tally: RetailRocketImport.Report.File) throws(RetailError) {
        guard tally.badRows * RetailRocketImport.badRowShare > tally.rows + tally.badRows else { return }
        throw RetailError(
            .badData, "too many rows of a file cannot be read",
            detail: """
                \(tally.name): \(tally.badRows) bad of \(tally.rows + tally.badRows)
                \(tally.problems.joined(separator: "\n"))
                """)
    }
}
