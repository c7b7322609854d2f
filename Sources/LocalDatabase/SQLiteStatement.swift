import CSQLite

/// A prepared statement of one connection. Used only inside the `LocalDatabase.run` that it came from.
///
/// `step` until it returns `false` or call `reset`; the connection resets it when it is asked for again.
@safe package final class SQLiteStatement {
    private let raw: OpaquePointer
    private let connection: OpaquePointer
    /// The number of columns of a row; 0 for statements that return none.
    package let columnCount: Int

    init(raw: OpaquePointer, connection: OpaquePointer) {
        unsafe self.raw = unsafe raw
        unsafe self.connection = unsafe connection
        columnCount = unsafe Int(sqlite3_column_count(raw))
    }

    deinit { unsafe sqlite3_finalize(raw) }

    /// The name of a column, from 0.
    package func columnName(_ column: Int) -> String {
        guard let name = unsafe sqlite3_column_name(raw, Int32(column)) else { return "" }
        return unsafe String(cString: name)
    }

    /// How many parameters the statement takes.
    package var parameterCount: Int { unsafe Int(sqlite3_bind_parameter_count(raw)) }

    /// Binds a parameter, counted from 1 as SQLite does.
    package func bind(_ value: SQLiteValue, at index: Int) throws(SQLiteError) {
        let slot = Int32(truncatingIfNeeded: index)
        let status =
            switch value {
            case .null: unsafe sqlite3_bind_null(raw, slot)
            case .integer(let number): unsafe sqlite3_bind_int64(raw, slot, number)
            case .real(let number): unsafe sqlite3_bind_double(raw, slot, number)
            case .text(let text): bindText(text, slot)
            case .blob(let bytes): bindBlob(bytes, slot)
            }
        if status != SQLITE_OK { throw failure(status) }
    }

    /// Binds all parameters in order.
    package func bind(_ values: [SQLiteValue]) throws(SQLiteError) {
        for (index, value) in values.enumerated() { try bind(value, at: index + 1) }
    }

    /// Binds bytes as a blob; they are copied.
    package func bind(bytes: Span<UInt8>, at index: Int) throws(SQLiteError) {
        let slot = Int32(truncatingIfNeeded: index)
        guard let length = Int32(exactly: bytes.count) else {
            throw SQLiteError(extendedCode: SQLITE_TOOBIG, message: "a blob of \(bytes.count) bytes")
        }
        let status =
            bytes.isEmpty
            ? unsafe sqlite3_bind_zeroblob(raw, slot, 0)
            : unsafe bytes.withUnsafeBytes { unsafe fs_sqlite3_bind_blob(raw, slot, $0.baseAddress, length) }
        if status != SQLITE_OK { throw failure(status) }
    }

    /// Binds bytes as a text, whether or not they are UTF-8; they are copied.
    package func bind(textBytes bytes: Span<UInt8>, at index: Int) throws(SQLiteError) {
        let slot = Int32(truncatingIfNeeded: index)
        guard let length = Int32(exactly: bytes.count) else {
            throw SQLiteError(extendedCode: SQLITE_TOOBIG, message: "a text of \(bytes.count) bytes")
        }
        let status = unsafe bytes.withUnsafeBytes { bytes in
            guard let start = bytes.baseAddress else { return unsafe fs_sqlite3_bind_text(raw, slot, "", 0) }
            return unsafe fs_sqlite3_bind_text(raw, slot, start.assumingMemoryBound(to: CChar.self), length)
        }
        if status != SQLITE_OK { throw failure(status) }
    }

    private func bindText(_ text: String, _ slot: Int32) -> Int32 {
        var text = text
        return text.withUTF8 { bytes in
            guard let length = Int32(exactly: bytes.count) else { return SQLITE_TOOBIG }
            return unsafe bytes.withMemoryRebound(to: CChar.self) {
                // An empty text may have no address, which SQLite would bind as NULL.
                guard let start = $0.baseAddress else { return unsafe fs_sqlite3_bind_text(raw, slot, "", 0) }
                return unsafe fs_sqlite3_bind_text(raw, slot, start, length)
            }
        }
    }

    private func bindBlob(_ bytes: [UInt8], _ slot: Int32) -> Int32 {
        guard let length = Int32(exactly: bytes.count) else { return SQLITE_TOOBIG }
        if bytes.isEmpty { return unsafe sqlite3_bind_zeroblob(raw, slot, 0) }
        return unsafe bytes.withUnsafeBytes { unsafe fs_sqlite3_bind_blob(raw, slot, $0.baseAddress, length) }
    }

    /// Goes to the next row. `false` at the end; the statement is reset then.
    package func step() throws(SQLiteError) -> Bool {
        let status = unsafe sqlite3_step(raw)
        switch status {
        case SQLITE_ROW: return true
        case SQLITE_DONE:
            reset()
            return false
        default:
            let error = failure(status)
            reset()
            throw error
        }
    }

    /// Binds, runs to the end, and returns nothing.
    package func run(_ values: [SQLiteValue] = []) throws(SQLiteError) {
        reset()
        try bind(values)
        while try step() {}
    }

    /// Makes the statement ready to run again; parameters keep their values.
    package func reset() {
        unsafe sqlite3_reset(raw)
    }

    /// How the value of a column is stored in the present row.
    package func storage(_ column: Int) -> SQLiteStorage {
        switch unsafe sqlite3_column_type(raw, Int32(column)) {
        case SQLITE_INTEGER: .integer
        case SQLITE_FLOAT: .real
        case SQLITE_TEXT: .text
        case SQLITE_BLOB: .blob
        default: .null
        }
    }

    /// The column as an integer, converted as SQLite does.
    package func integer(_ column: Int) -> Int64 { unsafe sqlite3_column_int64(raw, Int32(column)) }

    /// The column as a real number, converted as SQLite does.
    package func real(_ column: Int) -> Double { unsafe sqlite3_column_double(raw, Int32(column)) }

    /// The column as text; bytes that are not UTF-8 are repaired. `validText` refuses them instead.
    package func text(_ column: Int) -> String {
        String(decoding: textBytes(column), as: UTF8.self)
    }

    /// The column as text, or `nil` when it is not UTF-8.
    package func validText(_ column: Int) -> String? {
        guard let start = unsafe sqlite3_column_text(raw, Int32(column)) else { return "" }
        let count = unsafe Int(sqlite3_column_bytes(raw, Int32(column)))
        return unsafe String(validating: UnsafeBufferPointer(start: start, count: count), as: UTF8.self)
    }

    /// The bytes of the column as text.
    package func textBytes(_ column: Int) -> [UInt8] {
        guard let start = unsafe sqlite3_column_text(raw, Int32(column)) else { return [] }
        return unsafe Array(
            UnsafeBufferPointer(start: start, count: Int(sqlite3_column_bytes(raw, Int32(column)))))
    }

    /// The column's size in bytes, as text or blob.
    package func byteCount(_ column: Int) -> Int { unsafe Int(sqlite3_column_bytes(raw, Int32(column))) }

    /// The column as a blob.
    package func blob(_ column: Int) -> [UInt8] {
        guard let start = unsafe sqlite3_column_blob(raw, Int32(column)) else { return [] }
        return unsafe Array(
            UnsafeRawBufferPointer(start: start, count: Int(sqlite3_column_bytes(raw, Int32(column)))))
    }

    /// Lends the bytes of a text (as UTF-8, unchecked) or blob without copying them. Valid inside `body` only.
    package func withBytes<Result>(_ column: Int, _ body: (Span<UInt8>) -> Result) -> Result {
        let isText = unsafe sqlite3_column_type(raw, Int32(column)) == SQLITE_TEXT
        let address =
            isText
            ? unsafe UnsafeRawPointer(sqlite3_column_text(raw, Int32(column)))
            : unsafe sqlite3_column_blob(raw, Int32(column))
        guard let start = unsafe address else { return body(Span()) }
        let bytes = unsafe UnsafeRawBufferPointer(start: start, count: Int(sqlite3_column_bytes(raw, Int32(column))))
        return body(unsafe Span(_unsafeBytes: bytes))
    }

    /// The column as it is stored.
    package func value(_ column: Int) -> SQLiteValue {
        switch storage(column) {
        case .null: .null
        case .integer: .integer(integer(column))
        case .real: .real(real(column))
        case .text: .text(text(column))
        case .blob: .blob(blob(column))
        }
    }

    private func failure(_ status: Int32) -> SQLiteError {
        unsafe SQLiteError(extendedCode: status, message: String(cString: sqlite3_errmsg(connection)))
    }
}
