extension ConfigShape {
    static let serve = ObjectShape(
        name: "serve", summary: "The serving daemon.",
        fields: [
            Field(
                "http", .text(address), "Where HTTP is served. Port 0 takes a free one.", default: "0.0.0.0:6566"),
            Field(
                "grpc", .text(address), "Where gRPC is served, as in 0.0.0.0:6568. Port 0 takes a free one.",
                default: "nowhere"),
            Field("threads", .integer(1...256), "How many event loops serve.", default: "one a core"),
            Field(
                "timeout", .duration(.milliseconds(1)...(.minutes(1))),
                "The time a request has that brings no deadline of its own. At most max_timeout.", default: "50ms"),
            Field(
                "max_timeout", .duration(.milliseconds(1)...(.minutes(10))),
                "The longest deadline a request may bring.", default: "10s, or timeout if longer"),
            Field(
                "max_in_flight", .either([.word(["adaptive"]), .integer(1...1_000_000)]),
                "How many requests may be under way at once; adaptive finds the number by itself.",
                default: "adaptive"),
            Field("limits", .object(serveLimits), "The largest request that is answered."),
            Field("client", .object(client), "How long a client may keep its connection waiting."),
            Field(
                "drain", .duration(.milliseconds(1)...(.minutes(10))),
                "How long a stop waits for requests under way. At least timeout.",
                default: "10s, or timeout if longer"),
            Field(
                "unready", .duration(.zero...(.minutes(5))),
                "How long a stop says that the daemon isn't ready before it takes no more connections.", default: "1s"),
            Field(
                "catalog_refresh", .duration(.milliseconds(50)...(.hours(1))),
                "How often the store is asked for another catalog or version.", default: "1s"),
            Field(
                "feast_statuses", .word(ServeConfig.FeastStatuses.allCases.map(\.rawValue)),
                "How the Feast routes word a value that is there but too old: as it is, or as Feast's server does.",
                default: "honest"),
            Field(
                "breaker", .object(serveBreaker),
                "When the store, or what recommendations depend on, is left alone for a while."),
            Field("tls", .object(ListenerTLSShape.tls), "Encrypts HTTP and gRPC, TLS 1.2 and later."),
            Field(
                "tokens", .list(.object(AccessShape.token), count: 0...1_000),
                "Who may ask for what, by bearer token. Without these and jwt everybody may."),
            Field("jwt", .object(AccessShape.jwt), "Takes signed tokens of an issuer."),
            Field("feast", .object(feast), "Serves Feast's rows, read only, in place of the online store."),
        ])

    private static let serveBreaker = ObjectShape(
        name: "serve_breaker", summary: "When the store, or what recommendations depend on, is left alone for a while.",
        fields: [
            Field(
                "failures", .integer(1...1_000), "Failures in a row that open it; for recommendations at most 5.",
                default: "5"),
            Field(
                "open", .duration(.milliseconds(100)...(.hours(1))),
                "The longest it stays open before it lets a call try again.", default: "1s"),
            Field(
                "window", .duration(.seconds(1)...(.hours(1))), "How long calls count for the shares.", default: "10s"),
            Field(
                "min_calls", .integer(1...1_000_000), "Below so many calls in the window the shares decide nothing.",
                default: "20"),
            Field("failure_share", .number(0.01...1), "The share of failures that opens it.", default: "0.5"),
            Field("slow_share", .number(0.01...1), "The share of slow calls that opens it.", default: "0.8"),
            Field(
                "slow_call", .duration(.milliseconds(1)...(.minutes(10))),
                "A lookup's call of the store that takes longer is slow; of pipelines, see their slow_call.",
                default: "none, as lookups are of any size"),
        ])

    private static let serveLimits = ObjectShape(
        name: "limits", summary: "The largest request that is answered.",
        fields: [
            Field("body", .byteCount(1_024...1 << 30), "Bytes of a body, as in 4MiB.", default: "4MiB"),
            Field(
                "header_bytes", .byteCount(1_024...1 << 20), "Bytes of the request line and all headers together.",
                default: "32KiB"),
            Field("headers", .integer(8...10_000), "How many headers.", default: "100"),
            Field("entities", .integer(1...1_000_000), "How many entities a request may name.", default: "10000"),
            Field("features", .integer(1...100_000), "How many features a request may name.", default: "2000"),
            Field(
                "values", .integer(1...100_000_000), "How many values an answer may have: entities × features.",
                default: "1000000"),
            Field("connections", .integer(1...1_000_000), "How many connections may be open.", default: "10000"),
        ])

    private static let client = ObjectShape(
        name: "client", summary: "How long a client may keep its connection waiting.",
        fields: [
            Field(
                "request", .duration(.milliseconds(100)...(.minutes(10))), "From a request's first byte to its last.",
                default: "10s"),
            Field(
                "idle", .duration(.milliseconds(100)...(.hours(1))), "Between two requests of a connection.",
                default: "75s"),
            Field(
                "write", .duration(.milliseconds(100)...(.minutes(10))),
                "The longest an answer waits for the client to take more of it.", default: "10s"),
        ])

    private static let address = TextRule(
        expected: "an address such as 0.0.0.0:6566 or [::1]:6566 with a port up to 65535", maximumLength: 262,
        pattern: "^.+:[0-9]{1,5}$", isValid: { NetworkAddress(spelling: $0) != nil })
}
