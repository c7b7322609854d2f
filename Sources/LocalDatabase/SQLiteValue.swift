/// A value as SQLite keeps it.
package enum SQLiteValue: Hashable, Sendable {
    case null
    case integer(Int64)
    case real(Double)
    case text(String)
    case blob([UInt8])
}

/// How a value is stored, asked before it is read.
package enum SQLiteStorage: Sendable {
    case null
    case integer
    case real
    case text
    case blob
}
