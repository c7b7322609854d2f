import Glibc
import HTTPTypes
import LocalDatabase
import NIOPosix

/// Idempotency keys and their answers in a file, so that they outlive the daemon.
///
/// A key is written before its change begins, with the aim of a change that must not be made twice, and again with its answer. One
/// that has no answer when the daemon starts was cut off in between: the same request may be carried out anew, towards the same
/// aim; another one may not have its key.
actor AnswerJournal {
    /// A key that was used.
    struct Entry: Sendable {
        let principal: String
        let key: String
        let fingerprint: [UInt8]
        /// `nil` where the daemon ended before there was one.
        let answer: AdminAnswer?
        /// What the change set out to do, as `AdminAim` has it; `nil` for one that may be made twice.
        let aim: [UInt8]?
        /// Microseconds since 1970.
        let at: Int64
    }

    /// How long keys are kept, in microseconds.
    private static let retention: Int64 = 86_400_000_000
    /// The most keys that are kept; the oldest go first.
    private static let limit = 10_000
    private static let setup = """
        PRAGMA journal_mode = WAL;
        PRAGMA synchronous = FULL;
        CREATE TABLE IF NOT EXISTS answers (
            principal TEXT NOT NULL, key TEXT NOT NULL, fingerprint BLOB NOT NULL, at INTEGER NOT NULL,
            status INTEGER, content_type TEXT, headers TEXT, body BLOB, aim BLOB, PRIMARY KEY (principal, key)
        ) STRICT;
        CREATE INDEX IF NOT EXISTS answers_at ON answers (at);
        """

    private let path: String
    private var database: LocalDatabase?
    private var begun = 0

    init(path: String) {
        self.path = path
    }

    /// What is kept, the oldest first.
    func recover(now: Int64) async throws -> [Entry] {
        let database = try await open()
        try await trim(database, now: now)
        return try await database.run { connection in
            try connection.rows(
                """
                SELECT principal, key, fingerprint, at, status, content_type, headers, body, aim FROM answers
                ORDER BY at, rowid
                """
            ).compactMap(Self.entry)
        }
    }

    /// A change is about to begin. What an attempt before wrote of its aim stays.
    func begin(_ principal: String, _ key: String, _ fingerprint: [UInt8], now: Int64) async throws {
        let database = try await open()
        begun += 1
        if begun.isMultiple(of: 64) { try await trim(database, now: now) }
        try await database.run { connection in
            try connection.statement(
                """
                INSERT INTO answers (principal, key, fingerprint, at) VALUES (?, ?, ?, ?)
                ON CONFLICT DO UPDATE SET
                    aim = iif(fingerprint = excluded.fingerprint, aim, NULL), fingerprint = excluded.fingerprint,
                    at = excluded.at, status = NULL, content_type = NULL, headers = NULL, body = NULL
                """
            ).run([.text(principal), .text(key), .blob(fingerprint), .integer(now)])
        }
    }

    /// What the change sets out to do.
    func aim(_ principal: String, _ key: String, _ aim: [UInt8]) async throws {
        let database = try await open()
        try await database.run { connection in
            try connection.statement("UPDATE answers SET aim = ? WHERE principal = ? AND key = ?")
                .run([.blob(aim), .text(principal), .text(key)])
        }
    }

    /// It is over. Without an answer the key is free again.
    func finish(_ principal: String, _ key: String, _ answer: AdminAnswer?) async throws {
        let database = try await open()
        try await database.run { connection in
            guard let answer else {
                try connection.statement("DELETE FROM answers WHERE principal = ? AND key = ?")
                    .run([.text(principal), .text(key)])
                return
            }
            try connection.statement(
                """
                UPDATE answers SET status = ?, content_type = ?, headers = ?, body = ?
                WHERE principal = ? AND key = ?
                """
            ).run([
                .integer(Int64(answer.status.code)), .text(answer.contentType), .text(Self.text(answer.headers)),
                .blob(answer.body), .text(principal), .text(key),
            ])
        }
    }

    /// Closes the file; the next call opens it again.
    func close() async {
        await database?.close()
        database = nil
    }

    private func open() async throws -> LocalDatabase {
        if let database { return database }
        // For its owner alone; SQLite gives the files beside it the same mode. What is wrong with the path it says better itself.
        try await NIOThreadPool.singleton.runIfActive { [path] in
            let descriptor = unsafe Glibc.open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0o600)
            if descriptor >= 0 { Glibc.close(descriptor) }
        }
        let opened = try await LocalDatabase(
            .init(path: path, busyTimeoutMilliseconds: 1_000, setup: Self.setup))
        do {
            try await opened.run { connection in
                // A file of a version before has no aims.
                let columns = try connection.rows("SELECT 1 FROM pragma_table_info('answers') WHERE name = 'aim'")
                if columns.isEmpty { try connection.execute("ALTER TABLE answers ADD COLUMN aim BLOB") }
            }
        } catch {
            await opened.close()
            throw error
        }
        database = opened
        return opened
    }

    private func trim(_ database: LocalDatabase, now: Int64) async throws {
        try await database.run { connection in
            try connection.statement("DELETE FROM answers WHERE at < ?").run([.integer(now - Self.retention)])
            try connection.statement(
                "DELETE FROM answers WHERE rowid IN (SELECT rowid FROM answers ORDER BY at DESC LIMIT -1 OFFSET ?)"
            ).run([.integer(Int64(Self.limit))])
        }
    }

    private static func entry(_ row: [SQLiteValue]) -> Entry? {
        guard row.count == 9, case .text(let principal) = row[0], case .text(let key) = row[1],
            case .blob(let fingerprint) = row[2], case .integer(let at) = row[3]
        else { return nil }
        var answer: AdminAnswer?
        if case .integer(let status) = row[4], case .text(let type) = row[5], case .text(let headers) = row[6],
            case .blob(let body) = row[7], (100..<600).contains(status)
        {
            answer = AdminAnswer(
                status: HTTPResponse.Status(code: Int(status)), contentType: type, body: body,
                headers: fields(headers))
        }
        var aim: [UInt8]?
        if case .blob(let bytes) = row[8] { aim = bytes }
        return Entry(principal: principal, key: key, fingerprint: fingerprint, answer: answer, aim: aim, at: at)
    }

    // A header's value holds no line end, so that lines are enough.
    private static func text(_ headers: HTTPFields) -> String {
        headers.map { "\($0.name.rawName): \($0.value)" }.joined(separator: "\n")
    }

    private static func fields(_ text: String) -> HTTPFields {
        var fields = HTTPFields()
        for line in text.split(separator: "\n") {
            guard let colon = line.firstIndex(of: ":"), let name = HTTPField.Name(String(line[..<colon])) else {
                continue
            }
            fields.append(HTTPField(name: name, value: String(line[line.index(after: colon)...].dropFirst())))
        }
        return fields
    }
}
