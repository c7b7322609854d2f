/// The names of spans, each declared once. A request's own span is named by its method and route.
package enum SpanName {
    /// A recommendation, from recall to the answer.
    package static let recommend = "recommend"
    /// Waiting for room, where there was none at once.
    package static let admit = "admit"
    /// From a request's complete body to what will be asked of the store.
    package static let plan = "plan"
    /// From the rows to the bytes of the answer.
    package static let encode = "encode"
    /// A read of the store, as its command is named.
    package static let multiGet = "MGET"
    /// A read of the store by more than one command.
    package static let pipelinedMultiGet = "PIPELINE MGET"
    /// A read of a store that has no commands.
    package static let read = "read"
}

/// Who is on the other side of a span, numbered as in OTLP.
package enum SpanKind: UInt8, Sendable {
    case `internal` = 1
    case server = 2
    case client = 3
}

/// The names of span attributes, each declared once. Those without `tidemark` are OpenTelemetry's semantic conventions.
package enum SpanKey: String, Sendable, CaseIterable {
    case httpMethod = "http.request.method"
    case httpRoute = "http.route"
    case httpStatus = "http.response.status_code"
    case urlPath = "url.path"
    case urlScheme = "url.scheme"
    case serverAddress = "server.address"
    case serverPort = "server.port"
    case errorType = "error.type"
    case rpcSystem = "rpc.system"
    case rpcService = "rpc.service"
    case rpcMethod = "rpc.method"
    case rpcStatus = "rpc.grpc.status_code"
    case dbSystem = "db.system.name"
    case dbOperation = "db.operation.name"
    case dbNamespace = "db.namespace"
    case dbBatchSize = "db.operation.batch.size"
    case requestID = "tidemark.request_id"
    case outcome = "tidemark.outcome"
    case entities = "tidemark.entities"
    case features = "tidemark.features"
    case views = "tidemark.views"
    case view = "tidemark.view"
    case rows = "tidemark.rows"
    case bytes = "tidemark.bytes"
    case pipeline = "tidemark.pipeline"
    case rung = "tidemark.rung"
    case items = "tidemark.items"
}
