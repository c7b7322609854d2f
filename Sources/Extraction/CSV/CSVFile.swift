import Glibc
import LocalDatabase

/// One CSV file on its way into a table.
struct CSVFile {
    /// Tells one content of a file from another.
    struct Stamp: Hashable, Sendable {
        let inode: UInt64
        let size: Int64
        let modifiedSeconds: Int64
        let modifiedNanoseconds: Int64

        init(_ status: stat) {
            inode = UInt64(status.st_ino)
            size = Int64(status.st_size)
            modifiedSeconds = Int64(status.st_mtim.tv_sec)
            modifiedNanoseconds = Int64(status.st_mtim.tv_nsec)
        }
    }

    let path: String
    /// The table, and the file's name without `.csv`.
    let table: String
    let stamp: Stamp

    private static let chunkBytes = 1 << 18

    /// Reads the file once for the types and once for the values, and replaces its table. Runs inside a transaction.
    ///
    /// - Throws: `corrupt` with file and line when it is not CSV; `unavailable` while somebody writes it.
    func load(into connection: SQLiteConnection, indexes: [[String]], deadline: ContinuousClock.Instant) throws {
        var header: [String] = []
        var types: [CSVColumnType] = []
        try forEachRecord(deadline) { record in
            if header.isEmpty {
                header = try columns(of: record)
                types = header.map { _ in CSVColumnType() }
                return
            }
            try requireWidth(record, header.count)
            for index in 0..<record.count { types[index].see(record.field(index)) }
        }
        guard !header.isEmpty else { throw error(1, "the file has no header") }
        let kinds = types.map(\.resolved)
        try connection.execute("DROP TABLE IF EXISTS \(table.sqlIdentifier)")
        try connection.execute(
            "CREATE TABLE \(table.sqlIdentifier)("
                + zip(header, kinds).map { "\($0.sqlIdentifier) \($1.declaration)" }.joined(separator: ", ") + ")")
        let insert = try connection.prepare(
            "INSERT INTO \(table.sqlIdentifier) VALUES (\(header.map { _ in "?" }.joined(separator: ",")))")
        var isHeader = true
        try forEachRecord(deadline) { record in
            guard !isHeader else { return isHeader = false }
            try requireWidth(record, kinds.count)
            insert.reset()
            for index in 0..<record.count {
                try bind(record.field(index), isQuoted: record.isQuoted[index], kinds[index], insert, index + 1)
            }
            while try insert.step() {}
        }
        try makeIndexes(indexes, header, connection)
    }

    private func bind(
        _ field: ArraySlice<UInt8>, isQuoted: Bool, _ kind: CSVColumnType.Kind, _ insert: SQLiteStatement, _ slot: Int
    ) throws {
        let isText = kind == .text || kind == .unknown
        if field.isEmpty, !(isText && isQuoted) { return try insert.bind(.null, at: slot) }
        switch kind {
        case .text, .unknown: try insert.bind(textBytes: field.span, at: slot)
        case .integer:
            guard let number = CSVColumnType.integer(field) else { throw beingWritten }
            try insert.bind(.integer(number), at: slot)
        case .real:
            guard let number = CSVColumnType.real(field) else { throw beingWritten }
            try insert.bind(.real(number), at: slot)
        }
    }

    /// Indexes that views' walks need, on tables that have all their columns.
    private func makeIndexes(_ wanted: [[String]], _ header: [String], _ connection: SQLiteConnection) throws {
        let known = Set(header.map { $0.lowercased() })
        for (number, columns) in wanted.enumerated() where columns.allSatisfy({ known.contains($0.lowercased()) }) {
            let list = columns.map(\.sqlIdentifier).joined(separator: ", ")
            try connection.execute(
                "CREATE INDEX \("\(table) \(number)".sqlIdentifier) ON \(table.sqlIdentifier)(\(list))")
        }
    }

    private func columns(of record: borrowing CSVRecord) throws -> [String] {
        var names: [String] = []
        var seen: Set<String> = []
        for index in 0..<record.count {
            guard let name = String(validating: record.field(index), as: UTF8.self) else {
                throw error(record.line, "a column's name is not UTF-8")
            }
            guard !name.isEmpty else { throw error(record.line, "column \(index + 1) has no name") }
            guard seen.insert(name.lowercased()).inserted else {
                throw error(record.line, "two columns are named \(name)")
            }
            names.append(name)
        }
        return names
    }

    private func requireWidth(_ record: borrowing CSVRecord, _ width: Int) throws {
        guard record.count == width else {
            throw error(record.line, "expected \(width) fields, found \(record.count)")
        }
    }

    // MARK: Reading

    private func forEachRecord(
        _ deadline: ContinuousClock.Instant, _ body: (borrowing CSVRecord) throws -> Void
    ) throws {
        let descriptor = unsafe Glibc.open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw ExtractionError(.unavailable, "a CSV file can't be opened", detail: "\(path): \(Self.systemReason())")
        }
        defer { Glibc.close(descriptor) }
        try requireUnchanged(descriptor)
        var parser = CSVParser()
        var buffer = [UInt8](repeating: 0, count: Self.chunkBytes)
        do {
            while true {
                guard ContinuousClock.now < deadline else {
                    throw ExtractionError(.deadlineExceeded, "a CSV file takes too long to load", detail: path)
                }
                let count = unsafe buffer.withUnsafeMutableBytes {
                    unsafe Glibc.read(descriptor, $0.baseAddress, $0.count)
                }
                if count < 0, errno == EINTR { continue }
                guard count >= 0 else {
                    throw ExtractionError(
                        .unavailable, "a CSV file can't be read", detail: "\(path): \(Self.systemReason())")
                }
                if count == 0 { break }
                try parser.feed(buffer[..<count], body)
            }
            try parser.finish(body)
        } catch let syntax as CSVSyntaxError {
            try requireUnchanged(descriptor)
            throw error(syntax.line, syntax.reason)
        }
        try requireUnchanged(descriptor)
    }

    private func requireUnchanged(_ descriptor: Int32) throws {
        var status = Glibc.stat()
        guard unsafe fstat(descriptor, &status) == 0, Stamp(status) == stamp else { throw beingWritten }
    }

    private var beingWritten: ExtractionError {
        ExtractionError(.unavailable, "a CSV file changed while it was read", detail: path)
    }

    private static func systemReason() -> String { unsafe String(cString: strerror(errno)) }

    private func error(_ line: Int, _ reason: String) -> ExtractionError {
        ExtractionError(.corrupt, "a file is not CSV", detail: "\(path):\(line): \(reason)")
    }
}

extension CSVColumnType.Kind {
    /// The type a column is declared with. Values are bound as they are, so its affinity changes none.
    var declaration: String {
        switch self {
        case .integer: "INTEGER"
        case .real: "REAL"
        case .text, .unknown: "TEXT"
        }
    }
}
