/// Why a call to PostgreSQL failed, and what that means for its connection.
package struct PostgresFailure: Error, Sendable {
    /// What the caller of a reader is told.
    package let error: ExtractionError
    /// The SQLSTATE, five characters; empty where the server named none.
    package let state: String
    /// Whether the connection is in no state to go on.
    package let dropsConnection: Bool

    init(_ error: ExtractionError, state: String = "", dropsConnection: Bool = false) {
        self.error = error
        self.state = state
        self.dropsConnection = dropsConnection
    }

    init(_ code: ExtractionError.Code, _ message: StaticString, detail: String = "") {
        self.init(ExtractionError(code, message, detail: detail))
    }

    /// A failure that leaves the connection unusable: no answer, a broken line.
    static func lost(_ code: ExtractionError.Code, _ message: StaticString, detail: String = "") -> PostgresFailure {
        PostgresFailure(ExtractionError(code, message, detail: detail), dropsConnection: true)
    }

    /// What the server answered with an SQLSTATE. `0A000` drops the connection, since it is what a prepared statement says
    /// whose tables have changed.
    static func server(state: String, text: String) -> PostgresFailure {
        let code = code(forState: state)
        let detail = state.isEmpty ? text : "\(text) (SQLSTATE \(state))"
        return PostgresFailure(
            ExtractionError(code, message(for: code), detail: detail), state: state,
            dropsConnection: ["08", "57P"].contains { state.hasPrefix($0) } || state == "0A000")
    }

    /// Whether a statement failed because tables, columns or types are not what they were.
    var isSchemaChange: Bool {
        error.code == .schemaMismatch || state == "0A000" || state.hasPrefix("22")
    }

    /// SQLSTATE classes: <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
    private static func code(forState state: String) -> ExtractionError.Code {
        switch state {
        // A wanted stop is a deadline; shutdowns, start-up, a full server, deadlocks and lock waits pass by themselves.
        case "57014": return .deadlineExceeded
        case "55P03": return .unavailable
        // Read only: a standby, or a role that is set so.
        case "25006": return .misconfigured
        // Undefined table, column, function, schema; mismatched and uncoercible types.
        case "42P01", "42703", "42883", "3F000", "42804", "42846", "42704", "42702": return .schemaMismatch
        default: break
        }
        switch state.prefix(2) {
        case "08", "53", "57", "58", "40", "55", "25", "72": return .unavailable
        case "54": return .tooLarge
        case "XX", "F0": return .corrupt
        default: return state.isEmpty ? .unavailable : .misconfigured
        }
    }

    private static func message(for code: ExtractionError.Code) -> StaticString {
        switch code {
        case .unavailable: "PostgreSQL can't answer now"
        case .deadlineExceeded: "PostgreSQL stopped the statement: it took too long"
        case .schemaMismatch: "the query does not fit the source's tables"
        case .notInstalled: "change tracking is not installed"
        case .misconfigured: "PostgreSQL refused the statement"
        case .corrupt: "PostgreSQL reports damage"
        case .historyBroken: "PostgreSQL does not have the changes any more"
        case .tooLarge: "a limit of PostgreSQL was exceeded"
        }
    }
}
