import OnlineStore
import RedisClient
package import Telemetry

/// What a read of the store is called in a trace, by OpenTelemetry's conventions for databases.
package struct StoreSpan: Sendable {
    private let system: String?
    private let namespace: String?
    private let host: String?
    private let port: Int?

    /// `endpoint` is where Redis is; `nil` for a store that is reached otherwise.
    init(_ store: any OnlineStore, _ endpoint: RedisEndpoint?) {
        system = store is RedisStore ? "redis" : store is SQLiteStore ? "sqlite" : nil
        namespace = endpoint.map { "\($0.database)" }
        switch endpoint?.address {
        case .host(let name, let number): (host, port) = (name, number)
        case .unixSocket(let path): (host, port) = (path, nil)
        case nil: (host, port) = (nil, nil)
        }
    }

    /// A read within `parent`, of `commands` that leave together.
    package func begin(in parent: Span, commands: Int, rows: Int) -> Span {
        let isRedis = system == "redis"
        let name = isRedis ? commands > 1 ? SpanName.pipelinedMultiGet : SpanName.multiGet : SpanName.read
        var span = parent.child(name, .client)
        if let system { span.set(.dbSystem, system) }
        if isRedis { span.set(.dbOperation, name) }
        if let namespace { span.set(.dbNamespace, namespace) }
        // One command is no batch.
        if commands > 1 { span.set(.dbBatchSize, commands) }
        if let host { span.set(.serverAddress, host) }
        if let port { span.set(.serverPort, port) }
        span.set(.rows, rows)
        return span
    }
}
