/// The description of the listener's routes, OpenAPI 3.1.
package enum OpenAPI {
    /// The JSON of `/openapi.json`.
    package static let document = """
        {"openapi":"3.1.0","info":{"title":"Tidemark","version":"0.1.0","description":"Feature lookups of a Tidemark \
        serving daemon."},"paths":{\(paths.joined(separator: ","))},"components":{\(components)}}
        """

    private static let paths = [
        lookup, feastLookup, recommend, events,
        post(
            "/push", "push",
            "Feast's push: rows of a push source, which win where they are newer. Wants the scope write.",
            schema: "Push", success: "200", "Written; no body."),
        post(
            "/write-to-online-store", "writeToOnlineStore",
            "Rows of a view, which win where they are newer. Wants the scope write.", schema: "Write", success: "200",
            "Written; the body is null."),
        post(
            "/materialize", "materialize",
            "Asks the sync service to run views now, and doesn't wait for it. Wants the scope write.",
            schema: "Materialize", success: "202", "The views that were asked for."),
        post(
            "/materialize-incremental", "materializeIncremental",
            "Asks the sync service to run views now, and doesn't wait for it. Wants the scope write.",
            schema: "Materialize", success: "202", "The views that were asked for."),
        get(
            "/health", "feastHealth", "Whether traffic may come, as Feast's server says it.", body: nil, notReady: true),
        get("/livez", "live", "Whether the process runs. Knows of no dependency.", body: "text/plain"),
        get(
            "/readyz", "ready", "Whether traffic may come; the body says `degraded` while answers are.",
            parameters: verbose, body: "text/plain", notReady: true),
        get("/v2/health/live", "v2Live", "As /livez, in the words of the Open Inference Protocol.", body: json),
        get(
            "/v2/health/ready", "v2Ready", "As /readyz, in the words of the Open Inference Protocol.", body: json,
            notReady: true),
        get("/metrics", "metrics", "Prometheus text 0.0.4, or OpenMetrics 1.0 by Accept.", body: "text/plain"),
        get("/openapi.json", "openapi", "This document.", body: json),
    ]

    private static let json = "application/json"

    private static let verbose =
        "{\"name\":\"verbose\",\"in\":\"query\",\"required\":false,\"schema\":{\"type\":\"string\"},"
        + "\"description\":\"Lists every check.\"}"

    private static let lookup = """
        "/v1/lookup":{"post":{"operationId":"lookup","summary":"Features of entities, a row an entity. Wants the scope read.",\
        "security":[{"bearer":[]},{}],\
        "parameters":[\(headers)],"requestBody":{"required":true,"content":{"application/json":{"schema":\
        {"$ref":"#/components/schemas/LookupRequest"}}}},"responses":{"200":{"description":"One row an entity, in the \
        order asked. Statuses stand where some value is not PRESENT.","content":{"application/json":{"schema":\
        {"$ref":"#/components/schemas/LookupAnswer"}}}},\(problems)}}}
        """

    private static let recommend = """
        "/v1/recommend":{"post":{"operationId":"recommend","summary":"Items for a user, from a pipeline of the config. Wants the scope \
        read.","security":[{"bearer":[]},{}],\
        "parameters":[\(headers)],"requestBody":{"required":true,"content":{"application/json":{"schema":\
        {"$ref":"#/components/schemas/RecommendRequest"}}}},"responses":{"200":{"description":"Items, best first, and the \
        rung of the ladder that they came from; `degraded` names what did not do its part.","content":{"application/json":\
        {"schema":{"$ref":"#/components/schemas/RecommendAnswer"}}}},\(problems)}}}
        """

    private static let events = """
        "/v1/events":{"post":{"operationId":"events","summary":"Views, carts and orders: one, a list, or CloudEvents. Wants the \
        scope write.","description":"Each id counts once among the newest that this daemon remembers. A CloudEvent has \
        entity, item and what else there is in its data; its type ends in view, cart or order. In binary mode its attributes are \
        headers (ce-id, ce-source, ce-specversion, ce-type) and the body is its data.","security":[{"bearer":[]},{}],\
        "parameters":[{"name":"X-Request-Id","in":"header","required":false,"schema":{"type":"string","maxLength":128}}],\
        "requestBody":{"required":true,"content":{"application/json":{"schema":{"oneOf":[{"$ref":"#/components/schemas/Event"},\
        {"type":"array","items":{"$ref":"#/components/schemas/Event"}}]}},"application/cloudevents+json":{"schema":\
        {"$ref":"#/components/schemas/CloudEvent"}},"application/cloudevents-batch+json":{"schema":{"type":"array","items":\
        {"$ref":"#/components/schemas/CloudEvent"}}}}},"responses":{"202":{"description":"They are on their way to where they are \
        stored.","content":{"application/json":{"schema":{"type":"object","required":["accepted","duplicates"],"properties":\
        {"accepted":{"type":"integer"},"duplicates":{"type":"integer"}}}}}},"501":{"$ref":"#/components/responses/Problem"},\
        \(problems)}}}
        """

    private static let feastLookup = """
        "/get-online-features":{"post":{"operationId":"getOnlineFeatures","summary":"Feast's read route. Wants the scope read.",\
        "security":[{"bearer":[]},{}],\
        "parameters":[\(headers)],"requestBody":{"required":true,"content":{"application/json":{"schema":\
        {"$ref":"#/components/schemas/FeastRequest"}}}},"responses":{"200":{"description":"One column a feature.",\
        "content":{"application/json":{"schema":{"$ref":"#/components/schemas/FeastAnswer"}}}},\
        "400":{"description":"The request doesn't fit.","content":{"application/json":{"schema":{}}}},\
        "401":{"$ref":"#/components/responses/FeastUnauthenticated"},\
        "403":{"$ref":"#/components/responses/FeastForbidden"},\
        "404":{"description":"There is no such view, feature or service.","content":{"application/json":{"schema":{}}}},\
        "413":{"description":"The body is too large.","content":{"application/json":{"schema":{}}}},\
        "422":{"description":"The request doesn't fit, or exceeds a limit.","content":{"application/json":{"schema":{}}}},\
        "503":{"description":"The daemon is at its limit, or has no catalog yet.",\
        "content":{"application/json":{"schema":{}}}}}}}
        """

    private static let headers = """
        {"name":"X-Request-Timeout-Ms","in":"header","required":false,"description":"The budget in milliseconds; what \
        is not there by then is FAILED in the answer.","schema":{"type":"integer","minimum":1,"maximum":600000}},\
        {"name":"X-Request-Id","in":"header","required":false,"description":"Comes back in the answer.",\
        "schema":{"type":"string","maxLength":128}},\
        {"name":"traceparent","in":"header","required":false,"description":"W3C trace context; the answer names its own span \
        in traceresponse where the request is traced.","schema":{"type":"string"}}
        """

    private static let problems = ["400", "401", "403", "404", "408", "413", "415", "422", "431", "503"].map { status in
        "\"\(status)\":{\"$ref\":\"#/components/responses/Problem\"}"
    }.joined(separator: ",")

    private static let components = """
        "securitySchemes":{"bearer":{"type":"http","scheme":"bearer","description":"A token of serve.tokens, or one that \
        the issuer of serve.jwt signed. Without both everybody may do everything."}},\
        "responses":{"FeastUnauthenticated":{"description":"A token is needed.","headers":{"WWW-Authenticate":{"schema":\
        {"type":"string"}}},"content":{"application/json":{"schema":{"type":"object","required":["detail"],"properties":\
        {"detail":{"type":"string"}}}}}},"FeastForbidden":{"description":"The token does not allow this.","content":\
        {"application/json":{"schema":{"type":"string"}}}},"Problem":{"description":"An error (RFC 9457).","content":{"application/problem+json":{"schema":\
        {"$ref":"#/components/schemas/Problem"}}}}},"schemas":{"Problem":{"type":"object","required":["type","title",\
        "status","detail"],"properties":{"type":{"type":"string"},"title":{"type":"string"},"status":{"type":"integer"},\
        "detail":{"type":"string"},"errors":{"type":"array","items":{"type":"object","required":["pointer","detail"],\
        "properties":{"pointer":{"type":"string"},"detail":{"type":"string"}}}}}},\
        "Status":{"enum":["PRESENT","NULL_VALUE","NOT_FOUND","OUTSIDE_MAX_AGE","DEFAULTED","FAILED"]},\
        "LookupRequest":{"type":"object","required":["entities"],"additionalProperties":false,"properties":{\
        "features":{"type":"array","minItems":1,"items":{"type":"string","pattern":"^[^:]+:[^:]+$"}},\
        "service":{"type":"string"},"entities":{"type":"array","items":{"type":"object"}},"ages":{"type":"boolean"}}},\
        "LookupAnswer":{"type":"object","required":["features","rows","versions"],"properties":{"features":\
        {"type":"array","items":{"type":"string"}},"rows":{"type":"array","items":{"type":"object","required":["values"],\
        "properties":{"values":{"type":"array"},"statuses":{"type":"array","items":{"$ref":"#/components/schemas/Status"}},\
        "ages":{"type":"array","items":{"type":["number","null"]}}}}},"versions":{"type":"object",\
        "additionalProperties":{"type":"integer"}},"degraded":{"type":"object"}}},\
        "Key":{"type":["integer","string"]},"RecommendRequest":{"type":"object","required":["pipeline","entity"],\
        "additionalProperties":false,"properties":{"pipeline":{"type":"string"},"entity":{"type":"object",\
        "additionalProperties":{"$ref":"#/components/schemas/Key"}},"k":{"type":"integer","minimum":1},\
        "candidates":{"type":"array","minItems":1,"maxItems":10000,"items":{"$ref":"#/components/schemas/Key"},\
        "description":"The only items that may be answered, to be ranked."},"exclude":{"type":"array","maxItems":10000,\
        "items":{"$ref":"#/components/schemas/Key"}},"context":{"type":"object","description":"Features by view:feature, \
        in place of what is stored."},"explain":{"type":"boolean"}}},"RecommendAnswer":{"type":"object","required":["items",\
        "rung","model","version","request_id"],"properties":{"items":{"type":"array","items":{"type":"object","required":["id",\
        "score","source"],"properties":{"id":{"$ref":"#/components/schemas/Key"},"score":{"type":"number"},\
        "source":{"type":"string"}}}},"rung":{"enum":["ranking","recall","last_good","popularity"]},\
        "model":{"type":["string","null"]},"version":{"type":["string","null"]},"degraded":{"type":"object",\
        "additionalProperties":{"type":"string"}},"request_id":{"type":"string"},"explain":{"type":"object"}}},\
        "EventData":{"type":"object","required":["entity","item"],"properties":{"entity":{"type":"object","minProperties":1,\
        "additionalProperties":{"$ref":"#/components/schemas/Key"}},"item":{"$ref":"#/components/schemas/Key"},\
        "quantity":{"type":["integer","null"],"minimum":1},"price":{"type":["number","null"],"minimum":0},"request_id":\
        {"type":["string","null"],"description":"Of the recommendation that it comes from."},"position":{"type":["integer",\
        "null"],"minimum":1},"properties":{"type":["object","null"]}}},\
        "Event":{"allOf":[{"$ref":"#/components/schemas/EventData"},{"type":"object","required":["id","type"],"properties":\
        {"id":{"type":"string","minLength":1,"maxLength":512},"type":{"enum":["view","cart","order"]},"time":{"type":["string",\
        "null"],"format":"date-time"},"source":{"type":["string","null"],"minLength":1,"maxLength":512}}}]},\
        "CloudEvent":{"type":"object","required":["id","source","specversion","type","data"],"properties":{"id":{"type":"string",\
        "minLength":1,"maxLength":512},"source":{"type":"string","minLength":1,"maxLength":512},"specversion":{"const":"1.0"},\
        "type":{"type":"string","pattern":"(^|\\\\.)(view|cart|order)$"},"time":{"type":["string","null"],"format":"date-time"},\
        "datacontenttype":{"type":["string","null"]},"data":{"$ref":"#/components/schemas/EventData"}}},\
        "FeastRequest":{"type":"object","required":["entities"],"properties":{"entities":{"type":"object",\
        "additionalProperties":{"type":"array"}},"features":{"type":"array","items":{"type":"string"}},\
        "feature_service":{"type":["string","null"]},"full_feature_names":{"type":"boolean"},\
        "include_feature_view_version_metadata":{"type":"boolean"}}},\
        "Push":{"type":"object","required":["push_source_name","df"],"properties":{"push_source_name":\
        {"type":"string"},"df":{"$ref":"#/components/schemas/Columns"},"to":{"enum":["online"]},\
        "allow_registry_cache":{"type":"boolean"},"transform_on_write":{"type":"boolean"}}},\
        "Write":{"type":"object","required":["feature_view_name","df"],"properties":{"feature_view_name":\
        {"type":"string"},"df":{"$ref":"#/components/schemas/Columns"},"allow_registry_cache":{"type":"boolean"},\
        "transform_on_write":{"type":"boolean"}}},\
        "Columns":{"type":"object","description":"A list a column, all of one length: keys, features, and the time of the \
        event.","additionalProperties":{"type":"array"}},\
        "Materialize":{"type":"object","properties":{"feature_views":{"type":["array","null"],"items":\
        {"type":"string"}}}},\
        "FeastAnswer":{"type":"object","required":["results","metadata"],"properties":{"results":{"type":"array","items":\
        {"type":"object","required":["values","statuses","event_timestamps"],"properties":{"values":{"type":"array"},\
        "statuses":{"type":"array","items":{"type":"string"}},"event_timestamps":{"type":"array","items":\
        {"type":"string"}}}}},"metadata":{"type":"object","required":["feature_names"],"properties":{"feature_names":\
        {"type":"array","items":{"type":"string"}}}}}}}
        """

    private static func post(
        _ path: String, _ operation: String, _ summary: String, schema: String, success: String, _ done: String
    ) -> String {
        let answers = ["400", "404", "408", "409", "413", "415", "417", "422", "431", "503", "504"].map { status in
            "\"\(status)\":{\"description\":\"In Feast's words.\",\"content\":{\"application/json\":{\"schema\":{}}}}"
        }
        return "\"\(path)\":{\"post\":{\"operationId\":\"\(operation)\",\"summary\":\"\(summary)\",\"security\":"
            + "[{\"bearer\":[]},{}],\"requestBody\":{\"required\":true,\"content\":{\"application/json\":{\"schema\":"
            + "{\"$ref\":\"#/components/schemas/\(schema)\"}}}},\"responses\":{\"\(success)\":{\"description\":"
            + "\"\(done)\",\"content\":{\"application/json\":{\"schema\":{}}}},"
            + "\"401\":{\"$ref\":\"#/components/responses/FeastUnauthenticated\"},"
            + "\"403\":{\"$ref\":\"#/components/responses/FeastForbidden\"},\(answers.joined(separator: ","))}}}"
    }

    private static func get(
        _ path: String, _ operation: String, _ summary: String, parameters: String = "", body: String?,
        notReady: Bool = false
    ) -> String {
        let content = body.map { ",\"content\":{\"\($0)\":{\"schema\":{}}}" } ?? ""
        let more = notReady ? ",\"503\":{\"description\":\"Traffic may not come.\"\(content)}" : ""
        return "\"\(path)\":{\"get\":{\"operationId\":\"\(operation)\",\"summary\":\"\(summary)\",\"parameters\":"
            + "[\(parameters)],\"responses\":{\"200\":{\"description\":\"Yes.\"\(content)}\(more)}}}"
    }
}
