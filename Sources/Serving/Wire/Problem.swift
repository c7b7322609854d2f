/// The kinds of errors that our routes answer with, as RFC 9457 words them: a type, its title, its status.
package struct Problem: Sendable, Hashable {
    package let status: Int
    package let type: String
    package let title: String

    package init(status: Int, type: String, title: String) {
        self.status = status
        self.type = type
        self.title = title
    }

    package static let invalidJSON = Problem(status: 400, type: "invalid-json", title: "The body is not JSON")
    package static let invalidRequest = Problem(status: 400, type: "invalid-request", title: "The request does not fit")
    package static let invalidTimeout = Problem(status: 400, type: "invalid-timeout", title: "The timeout is wrong")
    package static let malformed = Problem(
        status: 400, type: "malformed-request", title: "The request is malformed")
    package static let tooSlow = Problem(status: 408, type: "request-timeout", title: "The request took too long")
    package static let unauthenticated = Problem(status: 401, type: "unauthenticated", title: "A token is needed")
    package static let forbidden = Problem(status: 403, type: "forbidden", title: "The token does not allow this")
    package static let notFound = Problem(status: 404, type: "not-found", title: "There is no such thing")
    package static let methodNotAllowed = Problem(
        status: 405, type: "method-not-allowed", title: "The route has no such method")
    package static let bodyTooLarge = Problem(status: 413, type: "body-too-large", title: "The body is too large")
    package static let limitExceeded = Problem(status: 422, type: "limit-exceeded", title: "A limit is exceeded")
    package static let rateLimited = Problem(status: 429, type: "rate-limited", title: "Too many requests")
    package static let headersTooLarge = Problem(
        status: 431, type: "headers-too-large", title: "The headers are too large")
    package static let internalError = Problem(status: 500, type: "internal-error", title: "The daemon failed")
    package static let notImplemented = Problem(
        status: 501, type: "not-implemented", title: "The daemon does not do this")
    package static let overloaded = Problem(status: 503, type: "overloaded", title: "The daemon is at its limit")
    package static let unavailable = Problem(status: 503, type: "unavailable", title: "The daemon can not answer now")
    package static let deadlineExceeded = Problem(
        status: 504, type: "deadline-exceeded", title: "The time of the request is over")
}

extension WireError {
    /// What our routes call it.
    package var problem: Problem {
        switch code {
        case .invalidJSON: .invalidJSON
        case .bodyTooLarge: .bodyTooLarge
        case .limitExceeded: .limitExceeded
        case .invalidTimeout: .invalidTimeout
        case .shape, .unknownField, .invalidFeature, .versionedFeature, .noFeatures, .unequalColumns, .missingKey,
            .invalidKey, .invalidValue, .columns:
            .invalidRequest
        }
    }
}
