package import FeatureModel
import NIOCore

/// What somebody's token lets them do here.
package struct AccessGrant: Sendable, Hashable {
    /// Whoever holds the token.
    package let name: String
    let scopes: Set<AccessScope>
    /// Whether the token is for this daemon's project.
    let isOfProject: Bool
    /// When a signed token ends; `nil` for one that doesn't by itself.
    let expiresAt: NIODeadline?

    /// Why the holder may not have what is needed; `nil` when they may.
    func refusal(_ need: AccessNeed, at now: NIODeadline) -> AccessRefusal? {
        if let expiresAt, now >= expiresAt { return .expired }
        if !isOfProject { return .project }
        switch need {
        case .nothing: return nil
        case .read: return scopes.contains(.read) ? nil : .scope(.read)
        case .write: return scopes.contains(.write) ? nil : .scope(.write)
        case .everything: return scopes.contains(.write) ? scopes.contains(.read) ? nil : .scope(.read) : .scope(.write)
        }
    }
}

/// What a route asks of a token.
package enum AccessNeed: Sendable {
    /// Health, metrics and the description of the routes are open.
    case nothing
    case read
    case write
    /// What isn't known asks for all there is.
    case everything
}

/// Why a token doesn't let its bearer in.
package enum AccessRefusal: Error, Sendable, Hashable {
    /// There is none.
    case missing
    /// It is unknown, not well formed, or not signed by whom it should be.
    case invalid
    case expired
    /// It lacks this scope.
    case scope(AccessScope)
    /// It is for other projects.
    case project
    /// Its peer has brought so many wrong ones that it isn't looked at.
    case exhausted

    /// Labels of the metric.
    static let reasons = ["missing", "invalid", "expired", "scope", "project", "exhausted"]

    /// The label of the metric.
    package var reason: String { Self.reasons[index] }

    var index: Int {
        switch self {
        case .missing: 0
        case .invalid: 1
        case .expired: 2
        case .scope: 3
        case .project: 4
        case .exhausted: 5
        }
    }

    /// Whether another token would be needed to find out more: 401, not 403.
    package var isUnauthenticated: Bool {
        switch self {
        case .missing, .invalid, .expired: true
        case .scope, .project, .exhausted: false
        }
    }

    /// For the client.
    package var words: String {
        switch self {
        case .missing: "this daemon wants Authorization: Bearer and a token"
        case .invalid: "the token is not one that is accepted here"
        case .expired: "the token is expired"
        case .scope(let scope): "the token lacks the scope \(scope.rawValue)"
        case .project: "the token is for other projects"
        case .exhausted: "too many wrong tokens came from there; come back later"
        }
    }

    /// Feast's words where it has some.
    private var feastWords: String {
        self == .missing ? "Missing authentication token" : "Invalid or expired access token"
    }

    /// The answer on our routes or on Feast's.
    func answer(isFeast: Bool) -> ErrorAnswer {
        if self == .exhausted {
            return isFeast
                ? ErrorBody.feast(FeastFault(status: 429, message: words)) : ErrorBody.problem(.rateLimited, words)
        }
        switch (isUnauthenticated, isFeast) {
        case (true, false): return ErrorBody.problem(.unauthenticated, words)
        case (false, false): return ErrorBody.problem(.forbidden, words)
        case (true, true): return ErrorBody.feastDetail(401, feastWords)
        case (false, true):
            return ErrorBody.feast(FeastFault(status: 403, name: "FeastPermissionError", message: words))
        }
    }

    /// For `Retry-After`: a token of the peer's own quota comes back in a second.
    var retryAfterSeconds: Int? { self == .exhausted ? 1 : nil }

    /// `WWW-Authenticate` (RFC 6750).
    var challenge: StaticString? {
        switch self {
        case .missing: "Bearer realm=\"tidemark\""
        case .invalid, .expired: "Bearer realm=\"tidemark\", error=\"invalid_token\""
        case .scope(.read): "Bearer realm=\"tidemark\", error=\"insufficient_scope\", scope=\"read\""
        case .scope(.write): "Bearer realm=\"tidemark\", error=\"insufficient_scope\", scope=\"write\""
        case .project: "Bearer realm=\"tidemark\", error=\"insufficient_scope\""
        case .exhausted: nil
        }
    }
}
