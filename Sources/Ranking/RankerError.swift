/// Why a ranker gave no scores, or why a model was not taken.
package struct RankerError: Error, Sendable {
    /// What to do about it; the label of metrics too.
    package enum Code: String, Sendable, CaseIterable {
        /// Not reachable, or answering with a passing error: rank without it, try again later.
        case unavailable
        /// More calls are waiting than may.
        case overloaded
        /// No scores in time.
        case deadlineExceeded
        /// The matrix, the features or the answer have another shape than the model's.
        case mismatch
        /// There is no such model, or no version of it to go to.
        case notFound
        /// The model's files make no sense, or are not what their digest says.
        case corrupt
        /// A limit would be passed.
        case tooLarge
        /// The library failed.
        case failed
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
}

extension RankerError: CustomStringConvertible {
    package var description: String {
        detail.isEmpty ? "\(message) [\(code.rawValue)]" : "\(message): \(detail) [\(code.rawValue)]"
    }
}
