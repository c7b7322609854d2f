import HTTPTypes
package import Hummingbird
import NIOCore

/// A route of the router.
package struct ServingRoute: Sendable {
    /// What answers a request.
    package typealias Handler = @Sendable (Request) async throws -> Response

    package let method: HTTPRequest.Method
    package let path: String
    package let handler: Handler

    package init(_ method: HTTPRequest.Method, _ path: String, handler: @escaping Handler) {
        self.method = method
        self.path = path
        self.handler = handler
    }
}

/// Finds the route of a request by its whole path. HEAD is answered as GET without the body, OPTIONS with what is allowed, an
/// unknown path with 404, a method that a path doesn't have with 405.
package struct RouteTable: HTTPResponder {
    /// What a request carries along.
    package typealias Context = BasicRequestContext

    private let routes: [String: [(method: HTTPRequest.Method, handler: ServingRoute.Handler)]]

    /// `elsewhere` lists routes that are answered before the router, so that another method on their path is a 405.
    package init(_ routes: [ServingRoute], elsewhere: [(HTTPRequest.Method, String)] = []) {
        var table: [String: [(method: HTTPRequest.Method, handler: ServingRoute.Handler)]] = [:]
        for route in routes { table[route.path, default: []].append((route.method, route.handler)) }
        for (method, path) in elsewhere {
            table[path, default: []].append(
                (method, { _ in ErrorBody.problem(.notFound, "there is nothing here").response() }))
        }
        self.routes = table
    }

    /// Answers by the route, or with 404 or 405.
    package func respond(to request: Request, context: BasicRequestContext) async throws -> Response {
        guard let methods = routes[request.uri.path] else {
            return ErrorBody.problem(.notFound, "there is no route \(request.uri.path.prefix(100))").response()
        }
        let isHead = request.method == .head
        let method = isHead ? .get : request.method
        if let route = methods.first(where: { $0.method == method }) {
            let response = try await route.handler(request)
            return isHead ? Self.withoutBody(response) : response
        }
        var allowed = methods.map(\.method.rawValue) + ["OPTIONS"]
        if allowed.contains("GET") { allowed.append("HEAD") }
        let list = allowed.sorted().joined(separator: ", ")
        if request.method == .options { return Response(status: .noContent, headers: [.allow: list]) }
        return ErrorBody.problem(.methodNotAllowed, "this route allows \(list)").response([.allow: list])
    }

    private static func withoutBody(_ response: Response) -> Response {
        var head = response
        // In this order: a body sets the length to its own.
        head.body = ResponseBody()
        head.headers[.contentLength] = "\(response.body.contentLength ?? 0)"
        return head
    }
}

extension RequestHeaders {
    /// The time that a request of the router brings; `nil` where it brings none. Of several the smallest counts.
    static func timeout(_ request: Request) throws(WireError) -> Duration? {
        guard let name = HTTPField.Name(timeout) else { return nil }
        var smallest: Int64?
        for value in request.headers[values: name] {
            guard let milliseconds = try timeoutMilliseconds(value) else { continue }
            smallest = min(smallest ?? .max, milliseconds)
        }
        return smallest.map { .milliseconds($0) }
    }
}

extension ErrorAnswer {
    /// The answer as the router gives it.
    package func response(_ headers: HTTPFields = [:]) -> Response {
        var headers = headers
        headers[.contentType] = contentType
        return Response(
            status: HTTPResponse.Status(code: status), headers: headers, body: ResponseBody(byteBuffer: body))
    }
}
