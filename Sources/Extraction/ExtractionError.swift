/// Why a source could not be read.
package struct ExtractionError: Error, Sendable {
    /// What to do about it.
    package enum Code: String, Sendable, CaseIterable {
        /// Not reachable, restarting, locked: back off and try again.
        case unavailable
        /// No answer in time.
        case deadlineExceeded
        /// A table, column or type is not what the view needs: the view stops until an operator or the source mends it.
        case schemaMismatch
        /// Change tracking is not installed: `tidemark source install VIEW`.
        case notInstalled
        /// Wrong credentials, missing permission, unusable query: an operator must act.
        case misconfigured
        /// What the source returned makes no sense.
        case corrupt
        /// The changes behind a cursor are no longer there, or never were: all rows have to be read again.
        case historyBroken
        /// A limit was exceeded.
        case tooLarge
    }

    package let code: Code
    /// Constant and groupable, without user data.
    package let message: StaticString
    /// View, column, expected, found, and what to do; for people.
    package let detail: String

    package init(_ code: Code, _ message: StaticString, detail: String = "") {
        self.code = code
        self.message = message
        self.detail = detail
    }

    /// Whether trying again later can help without anyone's doing.
    package var isRetryable: Bool {
        switch code {
        case .unavailable, .deadlineExceeded: true
        case .schemaMismatch, .notInstalled, .misconfigured, .corrupt, .historyBroken, .tooLarge: false
        }
    }
}

extension ExtractionError: CustomStringConvertible {
    package var description: String {
        detail.isEmpty ? "\(message) [\(code.rawValue)]" : "\(message): \(detail) [\(code.rawValue)]"
    }
}
