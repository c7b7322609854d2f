import FeatureModel
import HTTPTypes
import Hummingbird
import Logging
import NIOHTTP1
import OnlineStore
import Telemetry

/// The outermost layer: gives each request an id, turns errors into problems, counts, and keeps answers out of caches.
struct AdminEnvelope: RouterMiddleware {
    typealias Context = AdminContext
    let registry: MetricRegistry
    let logger: Logger

    func handle(
        _ request: Request, context: AdminContext, next: @concurrent (Request, AdminContext) async throws -> Response
    ) async throws -> Response {
        var context = context
        context.requestID = Self.requestID(request.headers[.adminRequestID])
        context.logger = logger
        context.logger[metadataKey: "request_id"] = "\(context.requestID)"
        var response: Response
        do {
            response = try await next(request, context)
        } catch let error as HTTPParserError {
            throw error
        } catch {
            let problem = Self.wrongMethod(error, request) ?? AdminProblem(error)
            if problem.status.kind == .serverError, !(error is AdminProblem) {
                context.logger.error("an admin request failed", metadata: ["error": "\(error)"])
            }
            response = problem.response(requestID: context.requestID)
        }
        response.headers[.adminRequestID] = context.requestID
        response.headers[.cacheControl] = "no-store"
        let route = context.endpointPath.flatMap { $0 == "NotFound" ? nil : $0 } ?? "other"
        registry.counter(.adminRequests, [route, "\(response.status.code)"]).add()
        return response
    }

    /// What the router takes for an unknown path because the path hasn't this method.
    private static func wrongMethod(_ error: any Error, _ request: Request) -> AdminProblem? {
        guard !(error is AdminProblem), (error as? any HTTPResponseError)?.status == .notFound,
            let methods = AdminOpenAPI.methods(of: request.uri.path)
        else { return nil }
        var problem = AdminProblem(.methodNotAllowed, "Method not allowed", "this route allows \(methods)")
        problem.headers[.allow] = methods
        return problem
    }

    /// The client's id where it is a plain word, else a new one.
    private static func requestID(_ given: String?) -> String {
        if let given, (1...128).contains(given.utf8.count),
            given.utf8.allSatisfy({ (0x21...0x7e).contains($0) && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") }
            )
        {
            return given
        }
        var generator = SystemRandomNumberGenerator()
        let text = String(UInt64.random(in: .min ... .max, using: &generator), radix: 16)
        return String(repeating: "0", count: 16 - text.count) + text
    }
}

/// Refuses what a web page of somewhere else can make a browser send: names that were made to point here (DNS rebinding)
/// and foreign origins.
struct AdminHostGuard: RouterMiddleware {
    typealias Context = AdminContext
    let access: AdminAccess

    func handle(
        _ request: Request, context: AdminContext, next: @concurrent (Request, AdminContext) async throws -> Response
    ) async throws -> Response {
        let authority = request.head.authority ?? ""
        guard let host = Self.host(authority), Self.isAddress(host) || access.settings.hosts.contains(host) else {
            throw AdminProblem(
                .forbidden, "Forbidden",
                "this listener is addressed by IP address, as localhost, or by a name in admin.hosts of the config")
        }
        if let origin = request.headers[.origin], origin != "http://\(authority)", origin != "https://\(authority)" {
            throw AdminProblem(.forbidden, "Forbidden", "requests of web pages from elsewhere are refused")
        }
        return try await next(request, context)
    }

    /// The host of an authority without its port, in lower case; `nil` for what is none.
    static func host(_ authority: String) -> String? {
        if authority.hasPrefix("[") {
            guard let end = authority.firstIndex(of: "]") else { return nil }
            let rest = authority[authority.index(after: end)...]
            return isPort(rest) ? String(authority[...end]).lowercased() : nil
        }
        let host = authority.prefix { $0 != ":" }
        return !host.isEmpty && isPort(authority[host.endIndex...]) ? host.lowercased() : nil
    }

    private static func isPort(_ text: Substring) -> Bool {
        text.isEmpty || text.first == ":" && UInt16(text.dropFirst()) != nil
    }

    private static func isAddress(_ host: String) -> Bool {
        if host == "localhost" { return true }
        if host.hasPrefix("[") {
            return host.dropFirst().dropLast().utf8.allSatisfy {
                Character(Unicode.Scalar($0)).isHexDigit || $0 == 58 || $0 == 46
            }
        }
        let parts = host.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts.allSatisfy { UInt8($0) != nil }
    }
}

/// Finds out who asks.
struct AdminAuthentication: RouterMiddleware {
    typealias Context = AdminContext
    let access: AdminAccess

    func handle(
        _ request: Request, context: AdminContext, next: @concurrent (Request, AdminContext) async throws -> Response
    ) async throws -> Response {
        var context = context
        let fields = request.headers[values: .authorization]
        switch access.admit(fields, peer: context.peer, at: .now) {
        case .granted(let principal):
            context.principal = principal
            context.logger[metadataKey: "principal"] = "\(principal.name)"
            return try await next(request, context)
        case .refused:
            if !fields.isEmpty {
                context.logger.warning("an admin token was refused", metadata: ["peer": "\(context.peer)"])
            }
            throw Self.unauthorized("this listener wants Authorization: Bearer and a token of admin.tokens")
        case .closed:
            throw Self.unauthorized(
                "no token is configured, so nobody gets in: `tidemark admin token` makes one and says what belongs into the config"
            )
        case .exhausted(let policy):
            throw AdminProblem.tooMany(
                policy, type: "abnormal-usage-detected", "too many wrong tokens from this address")
        }
    }

    private static func unauthorized(_ detail: String) -> AdminProblem {
        var problem = AdminProblem(.unauthorized, "Unauthorized", detail)
        problem.headers[.wwwAuthenticate] = "Bearer realm=\"tidemark\""
        return problem
    }
}

/// Lets through who may and who hasn't asked too often.
struct AdminPermit: RouterMiddleware {
    typealias Context = AdminContext
    let access: AdminAccess
    let scope: AdminScope
    let kind: RouteClass

    func handle(
        _ request: Request, context: AdminContext, next: @concurrent (Request, AdminContext) async throws -> Response
    ) async throws -> Response {
        let principal = try context.authenticated()
        guard principal.scope >= scope else {
            throw AdminProblem(
                .forbidden, "Forbidden",
                "this wants the scope \(scope.rawValue); \(principal.name) has \(principal.scope.rawValue)")
        }
        let (isAllowed, policy) = access.charge(principal, kind, at: .now)
        guard isAllowed else {
            throw AdminProblem.tooMany(policy, type: "quota-exceeded", "\(principal.name) asks too often")
        }
        var response: Response
        do {
            response = try await next(request, context)
        } catch let error as HTTPParserError {
            throw error
        } catch {
            var problem = AdminProblem(error)
            if problem.status.kind == .serverError {
                context.logger.error("an admin request failed", metadata: ["error": "\(error)"])
            }
            problem.headers.append(contentsOf: policy.headers)
            throw problem
        }
        response.headers.append(contentsOf: policy.headers)
        return response
    }
}
