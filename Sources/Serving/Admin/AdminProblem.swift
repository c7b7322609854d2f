import FeatureModel
import FoundationEssentials
import HTTPTypes
import Hummingbird
import NIOCore
import OnlineStore
import Resilience

/// An answer that says what is wrong: `application/problem+json` (RFC 9457).
struct AdminProblem: Error, Sendable {
    let status: HTTPResponse.Status
    /// A URI of the kind of problem.
    var type = "about:blank"
    let title: String
    let detail: String
    var headers: HTTPFields = [:]
    /// Rate policies that were exceeded.
    var violatedPolicies: [String] = []

    init(_ status: HTTPResponse.Status, _ title: String, _ detail: String) {
        self.status = status
        self.title = title
        self.detail = detail
    }

    /// The answer's body.
    func body(requestID: String) -> [UInt8] {
        var members: [String: DocumentValue] = [
            "type": .text(type), "title": .text(title), "status": .integer(Int64(status.code)),
            "detail": .text(detail), "request_id": .text(requestID),
        ]
        if !violatedPolicies.isEmpty {
            members["violated-policies"] = .list(violatedPolicies.map(DocumentValue.text))
        }
        return AdminJSON.encode(.mapping(members))
    }

    func response(requestID: String) -> Response {
        var response = AdminJSON.response(status, body(requestID: requestID), contentType: "application/problem+json")
        response.headers.append(contentsOf: headers)
        return response
    }
}

extension AdminProblem {
    /// Any error of a handler as an answer. What isn't known shows nothing of itself.
    init(_ error: any Error) {
        switch error {
        case let problem as AdminProblem: self = problem
        case let error as OperatorError: self.init(error)
        case let error as StoreError: self.init(error)
        case is NIOTooManyBytesError:
            self.init(.contentTooLarge, "Content too large", "a request has at most \(AdminLimits.bodyBytes) bytes")
        case let error as any HTTPResponseError where error.status == .notFound:
            self.init(.notFound, "Not found", "there is no such route; see the admin routes in the reference")
        case let error as any HTTPResponseError where (400..<500).contains(error.status.code):
            self.init(error.status, error.status.reasonPhrase, "the request can't be read")
        case is CancellationError:
            self.init(.serviceUnavailable, "Stopping", "the daemon is stopping")
            headers[.retryAfter] = "5"
        default: self.init(.internalServerError, "Internal error", "the log has more under this request id")
        }
    }

    private init(_ error: OperatorError) {
        switch error {
        case .store(let error): self.init(error)
        case .notApplied, .unknownView, .unknownVersion, .noMarker: self.init(.notFound, "Not found", error.description)
        case .notReadable, .noPrevious, .otherCurrent, .notPaused:
            self.init(.conflict, "Conflict", error.description)
        case .leaseHeld:
            self.init(.conflict, "Conflict", error.description)
            headers[.retryAfter] = "5"
        case .wrongWatermark: self.init(.unprocessableContent, "Unprocessable", error.description)
        case .corruptDefinition: self.init(.internalServerError, "Corrupt", error.description)
        }
    }

    /// The words of a store may hold more than a client should see; the log has them.
    private init(_ error: StoreError) {
        let detail = "online_store: \(error.message) [\(error.code.rawValue)]"
        switch error.code {
        case .unavailable, .writesRefused, .sessionLost, .markerMoved, .fenced:
            self.init(.serviceUnavailable, "Store not available", detail)
            headers[.retryAfter] = "2"
        case .deadlineExceeded: self.init(.gatewayTimeout, "Store too slow", detail)
        case .misconfigured, .corrupt, .tooLarge: self.init(.internalServerError, "Store error", detail)
        }
    }

    /// What a client gets that asks too often.
    static func tooMany(_ policy: RatePolicy, type: String, _ detail: String) -> AdminProblem {
        var problem = AdminProblem(.tooManyRequests, "Too many requests", detail)
        problem.type = "https://iana.org/assignments/http-problem-types#\(type)"
        problem.violatedPolicies = [policy.name]
        problem.headers = policy.headers
        problem.headers[.retryAfter] = "\(policy.reset.wholeSeconds)"
        return problem
    }
}

extension RatePolicy {
    /// `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers).
    var headers: HTTPFields {
        var fields = HTTPFields()
        fields[.rateLimitPolicy] = "\"\(name)\";q=\(quota.count);w=\(quota.window.wholeSeconds)"
        fields[.rateLimit] = "\"\(name)\";r=\(remaining);t=\(reset.wholeSeconds)"
        return fields
    }
}

extension Duration {
    /// In whole seconds, rounded up.
    var wholeSeconds: Int64 {
        components.seconds + (components.attoseconds > 0 ? 1 : 0)
    }
}

/// What one request of the admin listener may cost.
enum AdminLimits {
    /// The largest body, in bytes.
    static let bodyBytes = 65_536
    /// How long a body may take to come.
    static let bodyTime = Duration.seconds(10)
    /// Connections at a time.
    static let connections = 1_024
    /// How long a connection may be idle, in seconds.
    static let idleSeconds: Int64 = 60
    /// All header fields of a request, in bytes.
    static let headerBytes = 16_384
    /// The longest view or breaker name in a path that is looked at.
    static let nameBytes = 256
}

/// JSON of the admin listener.
enum AdminJSON {
    static func encode(_ value: DocumentValue) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // Not a number and infinity are all that could fail.
        encoder.nonConformingFloatEncodingStrategy = .convertToString(
            positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
        guard let data = try? encoder.encode(value) else { return Array("null".utf8) }
        return Array(data)
    }

    static func decode(_ bytes: [UInt8]) -> DocumentValue? {
        try? JSONDecoder().decode(DocumentValue.self, from: Data(bytes))
    }

    static func response(
        _ status: HTTPResponse.Status, _ body: [UInt8], contentType: String = "application/json"
    ) -> Response {
        Response(
            status: status, headers: [.contentType: contentType],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: body)))
    }
}

extension HTTPField.Name {
    static let rateLimit = known("RateLimit")
    static let rateLimitPolicy = known("RateLimit-Policy")
    static let idempotencyKey = known("Idempotency-Key")
    static let idempotencyReplayed = known("Idempotency-Replayed")
    static let adminRequestID = known("X-Request-Id")

    private static func known(_ name: String) -> HTTPField.Name {
        guard let field = HTTPField.Name(name) else { preconditionFailure("\(name) is a header's name") }
        return field
    }
}
