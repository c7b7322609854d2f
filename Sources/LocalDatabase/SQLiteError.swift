import CSQLite

/// What SQLite answered instead of doing what it was asked.
package struct SQLiteError: Error, Sendable {
    /// What to do about it.
    package enum Code: String, Sendable, CaseIterable {
        /// Another connection holds the lock past the busy timeout.
        case busy
        /// The disk is full, or the file may not grow.
        case full
        /// The file or its folder may not be written.
        case readOnly
        /// The file does not exist, is a folder, or may not be opened.
        case cannotOpen
        /// The file is not a database or is damaged.
        case corrupt
        /// The deadline passed, or the call was interrupted.
        case interrupted
        /// A constraint of the schema was violated.
        case constraint
        /// The statement does not compile: a missing table or column, or a syntax error.
        case statement
        /// A read or write failed.
        case inputOutput
        /// A value or statement exceeds SQLite's limits.
        case tooBig
        case other
    }

    package let code: Code
    /// SQLite's extended result code.
    package let extendedCode: Int32
    /// SQLite's own words.
    package let message: String

    init(extendedCode: Int32, message: String) {
        self.extendedCode = extendedCode
        self.message = message
        code =
            switch extendedCode & 0xff {
            case SQLITE_BUSY, SQLITE_LOCKED: .busy
            case SQLITE_FULL: .full
            case SQLITE_READONLY, SQLITE_PERM, SQLITE_AUTH: .readOnly
            case SQLITE_CANTOPEN: .cannotOpen
            case SQLITE_CORRUPT, SQLITE_NOTADB: .corrupt
            case SQLITE_INTERRUPT, SQLITE_ABORT: .interrupted
            case SQLITE_CONSTRAINT: .constraint
            case SQLITE_ERROR, SQLITE_SCHEMA, SQLITE_RANGE, SQLITE_MISMATCH: .statement
            case SQLITE_IOERR: .inputOutput
            case SQLITE_TOOBIG: .tooBig
            default: .other
            }
    }
}

extension SQLiteError: CustomStringConvertible {
    package var description: String { "\(message) [sqlite \(code.rawValue) \(extendedCode)]" }
}
