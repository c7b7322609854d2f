/// The description of the admin listener's routes, OpenAPI 3.1.
package enum AdminOpenAPI {
    private struct Operation {
        let method: String
        /// Behind `/admin/v1`.
        let path: String
        let id: String
        let scope: String
        let summary: String
        /// The schema of the body's members, and which must be there.
        var members: [(name: String, schema: String, isRequired: Bool)] = []
        var query: String?
    }

    private static let integer = "{\"type\":\"integer\",\"minimum\":1}"
    private static let text = "{\"type\":\"string\"}"

    private static let operations = [
        Operation(method: "get", path: "/status", id: "status", scope: "read", summary: "Views at a glance."),
        Operation(method: "get", path: "/views", id: "views", scope: "read", summary: "What is applied."),
        Operation(
            method: "get", path: "/versions/{view}", id: "versions", scope: "read", summary: "The versions of a view."),
        Operation(
            method: "get", path: "/watermarks/{view}", id: "watermarks", scope: "read",
            summary: "How far each version of a view has got."),
        Operation(method: "get", path: "/breakers", id: "breakers", scope: "read", summary: "Breakers and states."),
        Operation(method: "get", path: "/limits", id: "limits", scope: "read", summary: "Limits and their use."),
        Operation(method: "get", path: "/openapi.json", id: "openapi", scope: "read", summary: "This document."),
        Operation(method: "get", path: "/config", id: "config", scope: "admin", summary: "The config in force."),
        Operation(
            method: "get", path: "/audit", id: "audit", scope: "admin", summary: "The newest changes, newest first.",
            query: "limit"),
        Operation(
            method: "post", path: "/versions/{view}:activate", id: "activateVersion", scope: "operate",
            summary: "Makes a built version the one that is read.",
            members: [("version", integer, true), ("expect_current", integer, false)]),
        Operation(
            method: "post", path: "/versions/{view}:rollback", id: "rollbackVersion", scope: "operate",
            summary: "Goes back to the previous version.", members: [("expect_current", integer, false)]),
        Operation(
            method: "post", path: "/sync/{view}:run", id: "runSync", scope: "operate",
            summary: "Asks the sync service for a run ahead of the view's turn, and doesn't wait for it."),
        Operation(
            method: "post", path: "/sync/{view}:pause", id: "pauseSync", scope: "operate",
            summary: "Lets the view rest."),
        Operation(
            method: "post", path: "/sync/{view}:resume", id: "resumeSync", scope: "operate",
            summary: "Lets the view go on."),
        Operation(
            method: "post", path: "/breakers/{name}:force", id: "forceBreaker", scope: "operate",
            summary: "Holds a breaker open or closed.",
            members: [("state", "{\"enum\":[\"open\",\"closed\"]}", true)]),
        Operation(
            method: "post", path: "/breakers/{name}:reset", id: "resetBreaker", scope: "operate",
            summary: "Ends what force began."),
        Operation(
            method: "put", path: "/watermarks/{view}", id: "setWatermark", scope: "admin",
            summary: "Moves a paused view to another place of its source.", members: [("watermark", text, true)]),
        Operation(
            method: "post", path: "/config:reload", id: "reloadConfig", scope: "admin",
            summary: "Takes the config file, and the files that it names, as they are now."),
    ]

    /// Method and path of each operation, as the router has them.
    package static let routes = operations.map { "\($0.method.uppercased()) /admin/v1\($0.path)" }

    /// The JSON of `/admin/v1/openapi.json`.
    package static let document = """
        {"openapi":"3.1.0","info":{"title":"Tidemark admin","version":"0.1.0","description":"State and changes of a \
        Tidemark serving daemon."},"security":[{"bearer":[]}],"paths":{\(paths)},"components":{\(components)}}
        """

    private static var paths: String {
        var order: [String] = []
        var items: [String: [String]] = [:]
        for operation in operations {
            if items[operation.path] == nil { order.append(operation.path) }
            items[operation.path, default: []].append("\"\(operation.method)\":\(json(operation))")
        }
        return order.map { "\"/admin/v1\($0)\":{\(items[$0, default: []].joined(separator: ","))}" }
            .joined(separator: ",")
    }

    private static func json(_ operation: Operation) -> String {
        let isChange = operation.method != "get"
        var parameters: [String] = []
        for name in ["view", "name"] where operation.path.contains("{\(name)}") {
            parameters.append("{\"name\":\"\(name)\",\"in\":\"path\",\"required\":true,\"schema\":\(text)}")
        }
        if let query = operation.query {
            parameters.append("{\"name\":\"\(query)\",\"in\":\"query\",\"required\":false,\"schema\":\(integer)}")
        }
        if isChange { parameters.append("{\"$ref\":\"#/components/parameters/IdempotencyKey\"}") }
        let problems =
            (isChange ? [400, 401, 403, 404, 409, 413, 422, 429, 503, 504] : [400, 401, 403, 404, 429, 503])
            .map { "\"\($0)\":{\"$ref\":\"#/components/responses/Problem\"}" }
        return "{\"operationId\":\"\(operation.id)\",\"summary\":\"\(operation.summary)\","
            + "\"description\":\"Wants the scope \(operation.scope).\",\"parameters\":"
            + "[\(parameters.joined(separator: ","))],\(isChange ? body(operation) : "")"
            + "\"responses\":{\"200\":{\"description\":\"Done.\",\"content\":{\"application/json\":"
            + "{\"schema\":{\"type\":\"object\"}}}},\(problems.joined(separator: ","))}}"
    }

    private static func body(_ operation: Operation) -> String {
        let required = operation.members.filter(\.isRequired).map { "\"\($0.name)\"" }
        let members = operation.members.map { "\"\($0.name)\":\($0.schema)" }
        return "\"requestBody\":{\"required\":\(!required.isEmpty),\"content\":{\"application/json\":{\"schema\":"
            + "{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\(required.joined(separator: ","))],"
            + "\"properties\":{\(members.joined(separator: ","))}}}}},"
    }

    private static let components = """
        "securitySchemes":{"bearer":{"type":"http","scheme":"bearer"}},"parameters":{"IdempotencyKey":{"name":\
        "Idempotency-Key","in":"header","required":true,"description":"The same key with the same request is carried \
        out once; its answer is kept for 24 hours.","schema":{"type":"string","minLength":1,"maxLength":255}}},\
        "responses":{"Problem":{"description":"An error (RFC 9457).","content":{"application/problem+json":{"schema":\
        {"type":"object","required":["type","title","status","detail"],"properties":{"type":{"type":"string"},\
        "title":{"type":"string"},"status":{"type":"integer"},"detail":{"type":"string"},"request_id":\
        {"type":"string"}}}}}}}
        """
}
