import FeatureModel
import Glibc
import LocalDatabase

/// The file behind a source: which one it is, and connections to it.
struct SQLiteFile {
    /// Names a file across renames; another one at the same path has another.
    struct Identity: Hashable, Sendable {
        let device: UInt64
        let inode: UInt64
    }

    /// - Throws: `unavailable` when there is no such file.
    static func identity(of path: String) throws(ExtractionError) -> Identity {
        var status = stat()
        guard unsafe stat(path, &status) == 0 else {
            let reason = unsafe String(cString: strerror(errno))
            throw ExtractionError(.unavailable, "the SQLite file can't be opened", detail: "\(path): \(reason)")
        }
        // Opening a pipe would wait for its other end, without a deadline.
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw ExtractionError(.misconfigured, "the SQLite file is no regular file", detail: path)
        }
        return Identity(device: UInt64(status.st_dev), inode: UInt64(status.st_ino))
    }

    /// Opens a connection.
    static func open(
        _ path: String, _ access: LocalDatabase.Configuration.Access, _ options: SQLiteConnector.Options
    ) async throws(ExtractionError) -> LocalDatabase {
        _ = try identity(of: path)
        do {
            return try await LocalDatabase(
                .init(
                    path: path, access: access, busyTimeoutMilliseconds: Int(options.busyTimeout.wholeMilliseconds)))
        } catch {
            throw ExtractionError(error, while: path)
        }
    }

    /// Runs `body` on a connection of its own, inside the statement timeout.
    static func use<Result: Sendable>(
        _ path: String, _ access: LocalDatabase.Configuration.Access, _ options: SQLiteConnector.Options,
        _ body: @Sendable (SQLiteConnection) throws -> Result
    ) async throws(ExtractionError) -> Result {
        let database = try await open(path, access, options)
        do {
            let result = try await database.run(deadline: .now + options.statementTimeout, body)
            await database.close()
            return result
        } catch {
            await database.close()
            throw ExtractionError(any: error, while: path)
        }
    }
}

extension ExtractionError {
    /// What SQLite's refusal means for a view.
    init(_ error: SQLiteError, while subject: String) {
        let detail = "\(subject): \(error)"
        switch error.code {
        case .busy: self.init(.unavailable, "the SQLite file stayed locked", detail: detail)
        case .full, .inputOutput, .other: self.init(.unavailable, "SQLite could not read the file", detail: detail)
        case .cannotOpen: self.init(.unavailable, "the SQLite file can't be opened", detail: detail)
        case .readOnly, .constraint: self.init(.misconfigured, "SQLite refused the statement", detail: detail)
        case .corrupt: self.init(.corrupt, "the SQLite file is damaged or not a database", detail: detail)
        case .interrupted: self.init(.deadlineExceeded, "SQLite did not answer in time", detail: detail)
        case .tooBig: self.init(.tooLarge, "a value or statement exceeds SQLite's limits", detail: detail)
        case .statement:
            let isDrift = error.message.hasPrefix("no such") || error.message.hasPrefix("ambiguous")
            self.init(
                isDrift ? .schemaMismatch : .misconfigured, "SQLite can't run the view's query", detail: detail)
        }
    }

    /// What anything thrown inside a database call means for a view.
    init(any error: any Error, while subject: String) {
        if let known = error as? ExtractionError {
            self = known
        } else if let refusal = error as? SQLiteError {
            self.init(refusal, while: subject)
        } else {
            self.init(.unavailable, "the SQLite file could not be read", detail: "\(subject): \(error)")
        }
    }
}

extension String {
    /// This name as an SQL identifier, whatever characters it has.
    var sqlIdentifier: String { "\"" + doubling("\"") + "\"" }

    /// This text as an SQL string literal.
    var sqlLiteral: String { "'" + doubling("'") + "'" }

    private func doubling(_ quote: Character) -> String {
        var text = ""
        for character in self {
            text.append(character)
            if character == quote { text.append(character) }
        }
        return text
    }
}
