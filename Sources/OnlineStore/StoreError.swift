/// Why a store could not do what it was asked.
package struct StoreError: Error, Sendable {
    /// What to do about it.
    package enum Code: String, Sendable, CaseIterable {
        /// Not reachable, loading, or answering with a passing error: hold, back off, try again.
        case unavailable
        /// Reachable but refusing writes (out of memory, read-only, disk trouble, too few replicas): pause writes.
        case writesRefused
        /// No answer in time; whether the call took effect is unknown.
        case deadlineExceeded
        /// The session's connection ended: open another session and resume from the marker.
        case sessionLost
        /// A newer lease exists: stop writing.
        case fenced
        /// The marker is not where this writer left it: reread it.
        case markerMoved
        /// Wrong password, missing permission, wrong kind of server: an operator must act.
        case misconfigured
        /// The stored bytes or the answer make no sense.
        case corrupt
        /// The request exceeds a limit.
        case tooLarge
    }

    package let code: Code
    /// Constant and groupable, without user data.
    package let message: StaticString
    /// What the peer or library said; for people, not for grouping.
    package let detail: String

    package init(_ code: Code, _ message: StaticString, detail: String = "") {
        self.code = code
        self.message = message
        self.detail = detail
    }

    /// Whether trying again later can help without anyone's doing.
    package var isRetryable: Bool {
        switch code {
        case .unavailable, .writesRefused, .deadlineExceeded, .sessionLost, .markerMoved: true
        case .fenced, .misconfigured, .corrupt, .tooLarge: false
        }
    }
}

extension StoreError: CustomStringConvertible {
    package var description: String {
        detail.isEmpty ? "\(message) [\(code.rawValue)]" : "\(message): \(detail) [\(code.rawValue)]"
    }
}
