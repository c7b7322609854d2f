import Glibc
package import LocalDatabase

/// Real transactions of a shop over thirteen days of December 2010, to be replayed day by day.
///
/// D. Chen, *Online Retail* (2015), UCI Machine Learning Repository, doi:10.24432/C5BW33, CC BY 4.0.
package enum OnlineRetail {
    /// An invoice line. Cancellations have a negative quantity and an invoice number that begins with `C`.
    package struct Row: Hashable, Sendable {
        package var lineID: Int64
        package var invoiceNumber: String
        package var stockCode: String
        package var description: String
        package var quantity: Int64
        /// RFC 3339, without fraction.
        package var invoiceDate: String
        package var unitPrice: Double
        /// `nil` where nobody knows.
        package var customerID: Int64?
        package var country: String

        /// The day, as in `2010-12-01`.
        package var day: String { String(invoiceDate.prefix(10)) }
    }

    /// A day's rows in the order of the file.
    package struct Day: Hashable, Sendable {
        /// As in `2010-12-01`.
        package let date: String
        package let rows: [Row]
    }

    /// What is wrong with the data, and on which line.
    package struct Malformed: Error, CustomStringConvertible {
        package let description: String
    }

    /// The header.
    package static let columns = [
        "line_id", "invoice_no", "stock_code", "description", "quantity", "invoice_date", "unit_price", "customer_id",
        "country",
    ]

    /// For SQLite and PostgreSQL alike.
    package static let createTable = """
        CREATE TABLE transactions (
            line_id BIGINT PRIMARY KEY, invoice_no TEXT NOT NULL, stock_code TEXT NOT NULL, description TEXT NOT NULL,
            quantity BIGINT NOT NULL, invoice_date TEXT NOT NULL, unit_price DOUBLE PRECISION NOT NULL,
            customer_id BIGINT, country TEXT NOT NULL)
        """

    /// Where the data lies: `TIDEMARK_ONLINE_RETAIL`, else beside the checked out repository. A gzipped CSV of `columns`.
    package static func dataPath(source: String = #filePath) -> String {
        if let given = unsafe getenv("TIDEMARK_ONLINE_RETAIL") { return unsafe String(cString: given) }
        let root = source.split(separator: "/", omittingEmptySubsequences: false).dropLast(3).joined(separator: "/")
        return root + "/../shared/data/online-retail/transactions.csv.gz"
    }

    /// Whether the data is there.
    package static var isPresent: Bool { unsafe access(dataPath(), R_OK) == 0 }

    /// The days of the data that lies beside the repository.
    package static func days() throws -> [Day] { try days(csv: try unzip(dataPath())) }

    /// The days of uncompressed CSV with a header, in the order in which they begin.
    package static func days(csv bytes: [UInt8]) throws(Malformed) -> [Day] {
        var parser = Parser(bytes: bytes)
        guard try parser.record() == columns else { throw Malformed(description: "1: not the expected header") }
        var dates: [String] = []
        var rows: [String: [Row]] = [:]
        while let fields = try parser.record() {
            let row = try row(fields, line: parser.line)
            if rows[row.day] == nil { dates.append(row.day) }
            rows[row.day, default: []].append(row)
        }
        return dates.map { Day(date: $0, rows: rows[$0] ?? []) }
    }

    private static func row(_ fields: [String], line: Int) throws(Malformed) -> Row {
        guard fields.count == columns.count, let id = Int64(fields[0]), let quantity = Int64(fields[4]),
            let price = Double(fields[6]), fields[7].isEmpty || Int64(fields[7]) != nil
        else { throw Malformed(description: "\(line): not a transaction: \(fields)") }
        return Row(
            lineID: id, invoiceNumber: fields[1], stockCode: fields[2], description: fields[3], quantity: quantity,
            invoiceDate: fields[5], unitPrice: price, customerID: Int64(fields[7]), country: fields[8])
    }

    /// Inserts rows into `transactions` in one transaction.
    package static func insert(_ rows: [Row], into database: SQLiteConnection) throws {
        try database.transaction { connection in
            let insert = try connection.statement("INSERT INTO transactions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)")
            for row in rows { try insert.run(row.sqliteValues) }
        }
    }

    /// Reads CSV with quoted fields. The data is ours and fits into memory: no limits.
    private struct Parser {
        let bytes: [UInt8]
        var position = 0
        var line = 0

        mutating func record() throws(Malformed) -> [String]? {
            guard position < bytes.count else { return nil }
            line += 1
            var fields: [String] = []
            while true {
                fields.append(try field())
                guard position < bytes.count else { return fields }
                position += 1
                if bytes[position - 1] == 0x0a { return fields }
            }
        }

        /// Stops at the comma or line feed behind the field.
        private mutating func field() throws(Malformed) -> String {
            var content: [UInt8] = []
            var isQuoted = false
            while position < bytes.count {
                let byte = bytes[position]
                if byte == 0x22 {
                    let isDoubled = isQuoted && position + 1 < bytes.count && bytes[position + 1] == 0x22
                    if isDoubled { content.append(byte) } else { isQuoted.toggle() }
                    position += isDoubled ? 2 : 1
                    continue
                }
                if !isQuoted, byte == 0x2c || byte == 0x0a { break }
                content.append(byte)
                position += 1
            }
            guard !isQuoted else { throw Malformed(description: "\(line): an open quote") }
            if content.last == 0x0d { content.removeLast() }
            return String(decoding: content, as: UTF8.self)
        }
    }

    /// What `gzip -dc` makes of a file.
    package static func unzip(_ path: String) throws(Malformed) -> [UInt8] {
        var ends: [Int32] = [-1, -1]
        guard unsafe pipe(&ends) == 0 else { throw Malformed(description: "no pipe") }
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        unsafe posix_spawn_file_actions_adddup2(&actions, ends[1], 1)
        unsafe posix_spawn_file_actions_addclose(&actions, ends[0])
        unsafe posix_spawn_file_actions_addclose(&actions, ends[1])
        var words: [UnsafeMutablePointer<CChar>?] = unsafe []
        for word: String in ["gzip", "-dc", path] { unsafe words.append(strdup(word)) }
        unsafe words.append(nil)
        defer { for index in unsafe words.indices { unsafe free(words[index]) } }
        var child: pid_t = 0
        let status = unsafe posix_spawnp(&child, "gzip", &actions, nil, words, environ)
        close(ends[1])
        defer { close(ends[0]) }
        guard status == 0 else { throw Malformed(description: "gzip does not start") }
        var bytes: [UInt8] = []
        var buffer = Array(repeating: UInt8(0), count: 1 << 16)
        while true {
            let count = unsafe buffer.withUnsafeMutableBytes { unsafe read(ends[0], $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            bytes += buffer[..<count]
        }
        var result: Int32 = 0
        while unsafe waitpid(child, &result, 0) < 0, errno == EINTR {}
        guard result == 0 else { throw Malformed(description: "gzip cannot read \(path)") }
        return bytes
    }
}

extension OnlineRetail.Row {
    /// The columns in the table's order.
    package var sqliteValues: [SQLiteValue] {
        [
            .integer(lineID), .text(invoiceNumber), .text(stockCode), .text(description), .integer(quantity),
            .text(invoiceDate), .real(unitPrice), customerID.map { .integer($0) } ?? .null, .text(country),
        ]
    }

    /// A line of PostgreSQL's `COPY transactions FROM STDIN` in text format, with its line feed.
    package var copyLine: String {
        let customer = customerID.map { String($0) } ?? "\\N"
        let fields = [
            String(lineID), escaped(invoiceNumber), escaped(stockCode), escaped(description), String(quantity),
            invoiceDate, String(unitPrice), customer, escaped(country),
        ]
        return fields.joined(separator: "\t") + "\n"
    }

    private func escaped(_ text: String) -> String {
        var result = ""
        for character in text.unicodeScalars {
            switch character {
            case "\\": result += "\\\\"
            case "\t": result += "\\t"
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            default: result.unicodeScalars.append(character)
            }
        }
        return result
    }
}
