import FeatureModel

/// The description of the admin listener's routes, OpenAPI 3.1.
enum AdminOpenAPI {
    /// The JSON of the listener's `/openapi.json`.
    static let document = """
        {"openapi":"3.1.0","info":{"title":"Tidemark, admin","version":"0.1.0","description":"What operators read and change of a \
        Tidemark serving daemon. Each route wants a bearer token of a scope; `read` is the least, `admin` the most."},\
        "security":[{"token":[]}],"paths":{\(paths.joined(separator: ","))},"components":{\(components)}}
        """

    /// The methods that the path of a request has, as `Allow` lists them; `nil` where there is no such path.
    static func methods(of path: String) -> String? {
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        let found = operations.first { pattern, _ in
            let expected = pattern.split(separator: "/", omittingEmptySubsequences: false)
            return expected.count == parts.count && zip(expected, parts).allSatisfy(isSame)
        }
        return found.map { $0.1.map { $0.method.uppercased() }.sorted().joined(separator: ", ") }
    }

    /// Whether a part of a path is what a pattern's part wants: `{name}` is anything, with the verb behind it if it has one.
    private static func isSame(_ pattern: Substring, _ part: Substring) -> Bool {
        guard pattern.hasPrefix("{"), let end = pattern.firstIndex(of: "}") else { return pattern == part }
        let verb = pattern[pattern.index(after: end)...]
        return part.count > verb.count && part.hasSuffix(verb) && (!verb.isEmpty || !part.contains(":"))
    }

    private struct Operation {
        let method: String
        let json: String
    }

    private static let paths = operations.map { path, operations in
        "\"\(path)\":{\(operations.map(\.json).joined(separator: ","))}"
    }

    private static let operations: [(String, [Operation])] = [
        path("/openapi.json", [get("openapi", "This document.", .read)]),
        path("/admin/v1/status", [get("status", "The daemon and its views in short.", .read)]),
        path("/admin/v1/views", [get("views", "Every view, what is read of it, and what is under way.", .read)]),
        path("/admin/v1/versions/{view}", [get("versions", "The versions of a view.", .read, name: "view")]),
        path(
            "/admin/v1/watermarks/{view}",
            [
                get("watermarks", "How far each version of a view was read.", .read, name: "view"),
                change(
                    "put", "setWatermark", "Sets the watermark of a paused view.", .admin, name: "view",
                    #""watermark":{"type":"string"}"#, required: ["watermark"]),
            ]),
        path(
            "/admin/v1/versions/{view}:activate",
            [
                change(
                    "post", "activate", "Lets lookups read another version.", .operate, name: "view",
                    #""version":\#(number),"expect_current":\#(number)"#, required: ["version"])
            ]),
        path(
            "/admin/v1/versions/{view}:rollback",
            [
                change(
                    "post", "rollback", "Lets lookups read the version before.", .operate, name: "view",
                    #""expect_current":\#(number)"#)
            ]),
        path(
            "/admin/v1/sync/{view}:run",
            [
                change(
                    "post", "runSync", "Asks the sync service for a run ahead of the view's turn; doesn't wait for it.",
                    .operate, name: "view")
            ]),
        path(
            "/admin/v1/sync/{view}:pause",
            [change("post", "pause", "Lets no sync touch a view.", .operate, name: "view")]),
        path("/admin/v1/sync/{view}:resume", [change("post", "resume", "Ends a pause.", .operate, name: "view")]),
        path("/admin/v1/breakers", [get("breakers", "Every breaker and its state.", .read)]),
        path(
            "/admin/v1/breakers/{name}:force",
            [
                change(
                    "post", "forceBreaker", "Holds a breaker open or closed.", .operate, name: "name",
                    #""state":{"enum":["open","closed"]}"#, required: ["state"])
            ]),
        path(
            "/admin/v1/breakers/{name}:reset",
            [change("post", "resetBreaker", "Lets a breaker go by what it counts again.", .operate, name: "name")]),
        path("/admin/v1/limits", [get("limits", "Every limit and how much of it is used.", .read)]),
        path("/admin/v1/models", [get("models", "Every model, what is live and what was refused.", .read)]),
        path(
            "/admin/v1/models/{name}:reload",
            [
                change(
                    "post", "reloadModel", "Loads a model's version beside the live one and swaps it in.", .operate,
                    name: "name", #""version":{"type":"string"}"#)
            ]),
        path(
            "/admin/v1/models/{name}:rollback",
            [change("post", "rollbackModel", "Goes back to the version before.", .operate, name: "name")]),
        path(
            "/v2/repository/index",
            [operation("post", "repositoryIndex", "The models, as Triton and MLServer list them.", .read, [], body: "")]
        ),
        path(
            "/v2/repository/models/{name}/load",
            [
                operation(
                    "post", "repositoryLoad", "Loads a model's current version.", .operate, nameParameter("name"),
                    body: "")
            ]),
        path("/admin/v1/config", [get("config", "The config in force, without secrets.", .admin)]),
        path("/admin/v1/config:reload", [change("post", "reloadConfig", "Reads the config file now.", .admin)]),
        path(
            "/admin/v1/audit",
            [
                get(
                    "audit", "The newest changes, newest first.", .admin,
                    parameters: [
                        #"{"name":"limit","in":"query","required":false,"schema":{"type":"integer","minimum":1,"#
                            + #""maximum":\#(AuditLog.remembered)}}"#
                    ])
            ]),
    ]

    private static let number = #"{"type":"integer","minimum":1,"maximum":1000000000}"#

    private static let components = """
        "securitySchemes":{"token":{"type":"http","scheme":"bearer","description":"A token of admin.tokens."}},\
        "responses":{"Problem":{"description":"An error (RFC 9457).","content":{"application/problem+json":{"schema":\
        {"type":"object","required":["type","title","status","detail","request_id"],"properties":{"type":{"type":"string"},\
        "title":{"type":"string"},"status":{"type":"integer"},"detail":{"type":"string"},"request_id":{"type":"string"},\
        "violated-policies":{"type":"array","items":{"type":"string"}}}}}}}}
        """

    private static func path(_ path: String, _ operations: [Operation]) -> (String, [Operation]) { (path, operations) }

    private static func get(
        _ operation: String, _ summary: String, _ scope: AdminScope, name: String? = nil, parameters: [String] = []
    ) -> Operation {
        Self.operation("get", operation, summary, scope, parameters + nameParameter(name), body: "")
    }

    /// `properties` are those of the body, as JSON without braces. A body may be left out where nothing in it is required.
    private static func change(
        _ method: String, _ operation: String, _ summary: String, _ scope: AdminScope, name: String? = nil,
        _ properties: String = "", required: [String] = []
    ) -> Operation {
        let names = required.map { "\"\($0)\"" }.joined(separator: ",")
        let body =
            #""requestBody":{"required":\#(!required.isEmpty),"content":{"application/json":{"schema":{"type":"object","#
            + #""additionalProperties":false,"required":[\#(names)],"properties":{\#(properties)}}}}},"#
        let key =
            #"{"name":"Idempotency-Key","in":"header","required":true,"description":"The same key and request again gets the answer "#
            + #"of the first.","schema":{"type":"string","minLength":1,"maxLength":255,"pattern":"^[!#-\\[\\]-~]+$"}}"#
        return Self.operation(method, operation, summary, scope, [key] + nameParameter(name), body: body)
    }

    private static func nameParameter(_ name: String?) -> [String] {
        guard let name else { return [] }
        return [
            #"{"name":"\#(name)","in":"path","required":true,"schema":{"type":"string","pattern":"^[A-Za-z0-9_.-]{1,128}$"}}"#
        ]
    }

    private static func operation(
        _ method: String, _ operation: String, _ summary: String, _ scope: AdminScope, _ parameters: [String],
        body: String
    ) -> Operation {
        let json =
            #""\#(method)":{"operationId":"\#(operation)","summary":"\#(summary)","description":"Scope \#(scope.rawValue)","#
            + #""parameters":[\#(parameters.joined(separator: ","))],\#(body)"responses":{"200":{"description":"Done.","#
            + #""content":{"application/json":{"schema":{"type":"object"}}}},"#
            + ##""default":{"$ref":"#/components/responses/Problem"}}}"##
        return Operation(method: method, json: json)
    }
}
