// The part of the config that the serving daemon obeys.

extension ConfigReader {
    static func serve(_ node: YAMLNode?, feast: FeastConfig? = nil) -> ServeConfig {
        let timeout = node?["timeout"]?.duration ?? .milliseconds(50)
        return ServeConfig(
            http: node?["http"]?.text.flatMap(NetworkAddress.init(spelling:))
                ?? NetworkAddress(host: "0.0.0.0", port: 6_566),
            grpc: node?["grpc"]?.text.flatMap(NetworkAddress.init(spelling:)),
            threads: node?["threads"]?.integer.map(Int.init), timeout: timeout,
            maximumTimeout: node?["max_timeout"]?.duration ?? max(.seconds(10), timeout),
            maximumInFlight: node?["max_in_flight"]?.integer.map { .fixed(Int($0)) } ?? .adaptive,
            limits: limits(node?["limits"]), client: client(node?["client"]),
            drain: node?["drain"]?.duration ?? max(.seconds(10), timeout),
            unready: node?["unready"]?.duration ?? .seconds(1),
            catalogRefresh: node?["catalog_refresh"]?.duration ?? .seconds(1),
            feastStatuses: node?["feast_statuses"]?.text.flatMap(ServeConfig.FeastStatuses.init(rawValue:)) ?? .honest,
            breaker: breaker(node?["breaker"]),
            tls: node?["tls"].flatMap { ListenerTLSConfig($0) }, access: AccessConfig(node), feast: feast)
    }

    private static func breaker(_ node: YAMLNode?) -> ServeBreakerConfig {
        ServeBreakerConfig(
            failures: count(node?["failures"], 5), open: node?["open"]?.duration ?? .seconds(1),
            window: node?["window"]?.duration ?? .seconds(10), minimumCalls: count(node?["min_calls"], 20),
            failureShare: node?["failure_share"]?.number ?? 0.5, slowShare: node?["slow_share"]?.number ?? 0.8,
            slowCall: node?["slow_call"]?.duration)
    }

    private static func limits(_ node: YAMLNode?) -> ServeLimits {
        ServeLimits(
            body: Int(node?["body"]?.byteCount ?? 4 << 20),
            headerBytes: Int(node?["header_bytes"]?.byteCount ?? 32 << 10), headers: count(node?["headers"], 100),
            entities: count(node?["entities"], 10_000), features: count(node?["features"], 2_000),
            values: count(node?["values"], 1_000_000), connections: count(node?["connections"], 10_000))
    }

    private static func client(_ node: YAMLNode?) -> ServeClientConfig {
        ServeClientConfig(
            request: node?["request"]?.duration ?? .seconds(10), idle: node?["idle"]?.duration ?? .seconds(75),
            write: node?["write"]?.duration ?? .seconds(10))
    }

    /// Checks what is served against itself, defaults too.
    mutating func checkServe(_ node: YAMLNode?) {
        guard let node else { return }
        let serve = Self.serve(node)
        require(
            serve.timeout <= serve.maximumTimeout, node["timeout"] ?? node["max_timeout"], "serve.timeout",
            serve.timeout, "at most max_timeout = \(serve.maximumTimeout.mixedSpelling)",
            "no request may have more time than that")
        require(
            serve.drain >= serve.timeout, node["drain"] ?? node["timeout"], "serve.drain", serve.drain,
            "at least timeout = \(serve.timeout.mixedSpelling)", "a request under way must be able to end")
        require(
            serve.limits.values >= max(serve.limits.entities, serve.limits.features),
            node["limits"]?["values"] ?? node["limits"]?["entities"] ?? node["limits"]?["features"],
            "serve.limits.values", found: "\(serve.limits.values)",
            "at least entities = \(serve.limits.entities) and features = \(serve.limits.features)",
            "a request at one of those limits would always be refused")
        AdminConfig.checkNames(node["tokens"]?.elements ?? [], of: "serve.tokens", into: &diagnostics)
    }
}
