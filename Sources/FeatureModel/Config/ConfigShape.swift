/// The declaration of `tidemark.yaml`.
enum ConfigShape {
    /// Top-level keys that are recognised, and not interpreted in this release.
    static let uninterpreted = ["resilience"]

    static let root = makeRoot(needsStore: true)
    /// The same beside `serve.feast`, where rows and definitions are Feast's.
    static let rootWithFeast = makeRoot(needsStore: false)

    private static func makeRoot(needsStore: Bool) -> ObjectShape {
        ObjectShape(
            name: "config",
            summary: "What Tidemark connects to and how it behaves. Relative paths count from this file's folder.",
            fields: [
                Field("project", .text(.key), "The project's name; it stands in every row key.", required: true),
                Field("schemas", .text(path), "The folder of the definitions.", default: "schemas/<project>"),
                Field("online_store", .object(store), "Where rows are kept for readers.", required: needsStore),
                Field(
                    "sources", .map(.name, .object(source), count: 1...100),
                    "Where rows come from, by the name that views use in `source.from`.", required: needsStore),
                Field("sync", .object(sync), "The sync service."),
                Field("serve", .object(serve), "The serving daemon."),
                Field("telemetry", .object(telemetry), "Logs and traces."),
                Field("recall", .object(recall), "Lists of items that recommendations are recalled from."),
                Field("admin", .object(AdminShape.admin), "The admin listener of the serving daemon."),
                Field("pipelines", pipelines, "From recall to an answer, by the name that requests give."),
                Field("models", models, "The models that rank, by name."),
                Field("exposures", .object(exposures), "The log of what was recommended."),
                Field("events", .object(events), "The views, carts and orders that callers send."),
            ]
                + uninterpreted.map {
                    Field($0, .anyMapping, "Accepted and not interpreted in this release.")
                })
    }

    static let store = ObjectShape(
        name: "online_store", summary: "Where rows are kept for readers.",
        fields: [
            Field(
                "url", .text(url("^(redis|rediss|redis\\+unix|sqlite|memory):")),
                "redis://HOST:PORT/DB, rediss:// for TLS, redis+unix:///PATH?db=0, sqlite:PATH or memory:. Without a password.",
                required: true),
            Field("username", .text(username), "The user to log in as, where the store knows users."),
            Field("password", .text(secret), "Where the password is kept: env:NAME or file:PATH."),
            Field(
                "ca_file", .text(path), "For rediss: a PEM file of the authorities to trust.", default: "the system's"),
            Field(
                "connect_timeout", .duration(.milliseconds(10)...(.minutes(1))), "The longest a connection may take.",
                default: "2s"),
            Field(
                "command_timeout", .duration(.milliseconds(10)...(.minutes(1))),
                "The longest a command may take, queueing included.", default: "1s"),
            Field("max_connections", .integer(1...64), "The most connections shared by all views.", default: "4"),
            Field("pipeline", .object(pipeline), "What may be in flight on one connection."),
        ])

    static let pipeline = ObjectShape(
        name: "pipeline", summary: "What may be in flight on one connection.",
        fields: [
            Field("commands", .integer(1...100_000), "The most commands.", default: "2000"),
            Field("bytes", .byteCount(65_536...1 << 30), "The most bytes, as in 8MiB.", default: "8MiB"),
        ])

    static let source = ObjectShape(
        name: "source", summary: "Where rows come from.",
        fields: [
            Field(
                "url", .text(url("^(sqlite|postgresql|postgres|csv):")),
                "sqlite:PATH, postgresql://HOST:PORT/DATABASE or csv:DIR. Without a password.", required: true),
            Field("username", .text(username), "The user to log in as."),
            Field("password", .text(secret), "Where the password is kept: env:NAME or file:PATH."),
            Field(
                "connect_timeout", .duration(.milliseconds(10)...(.minutes(5))), "The longest a connection may take.",
                default: "5s"),
            Field(
                "statement_timeout", .duration(.milliseconds(100)...(.hours(1))), "The longest a statement may take.",
                default: "30s"),
            Field(
                "lock_timeout", .duration(.milliseconds(10)...(.minutes(10))),
                "The longest wait for a lock. At most statement_timeout.",
                default: "2s, or statement_timeout if shorter"),
        ])

    static let sync = ObjectShape(
        name: "sync", summary: "The sync service.",
        fields: [
            Field(
                "metrics", .text(listen), "Where metrics and health are served; off for nowhere.",
                default: "127.0.0.1:9566"),
            Field("chunk_rows", .integer(1...10_000), "How many changed entities a chunk holds.", default: "1000"),
            Field(
                "chunks_in_flight", .integer(1...64),
                "How many chunks a view may have unacknowledged; as many again may wait for their marker.",
                default: "4"),
            Field(
                "lease", .duration(.seconds(1)...(.hours(1))),
                "How long a lease lasts without renewal. At least three times online_store.command_timeout.",
                default: "30s"),
            Field(
                "sweep_rows_per_second", .integer(1...100_000_000), "How many rows a second a view's sweep may walk.",
                default: "5000"),
            Field(
                "quarantine_limit", .integer(1...1_000_000), "The most rows a view keeps in quarantine.",
                default: "10000"),
            Field(
                "erasures", .text(path), "The file of erased entities, which stay erased.", default: "erasures.jsonl"),
            Field("retry", .object(retry), "Back-off, and how many tries all calls together may spend."),
            Field("breaker", .object(breaker), "When a source or the store is left alone for a while."),
            Field(
                "shutdown", .duration(.seconds(1)...(.minutes(10))),
                "How long a stop may take. At least online_store.command_timeout.", default: "10s"),
        ])

    static let retry = ObjectShape(
        name: "retry", summary: "Back-off, and how many tries all calls together may spend.",
        fields: [
            Field(
                "initial", .duration(.milliseconds(1)...(.minutes(1))), "The back-off behind the first failure.",
                default: "200ms"),
            Field("maximum", .duration(.milliseconds(1)...(.hours(1))), "The longest back-off.", default: "30s"),
            Field("budget", .number(0...1), "Retries as a share of calls.", default: "0.2"),
        ])

    static let breaker = ObjectShape(
        name: "breaker", summary: "When a source or the store is left alone for a while.",
        fields: [
            Field("failures", .integer(1...1_000), "Failures in a row that open it.", default: "5"),
            Field("open", .duration(.milliseconds(100)...(.hours(1))), "How long it stays open.", default: "10s"),
        ])

    static let telemetry = ObjectShape(
        name: "telemetry", summary: "Logs and traces.",
        fields: [
            Field(
                "log_level", .word(TelemetryConfig.LogLevel.allCases.map(\.rawValue)), "The least that is logged.",
                default: "info"),
            Field(
                "log_format", .word(TelemetryConfig.LogFormat.allCases.map(\.rawValue)), "How a line looks.",
                default: "text"),
            Field(
                "slow_request", .duration(.milliseconds(1)...(.minutes(10))),
                "How long a request to the serving daemon may take before the log tells of it.", default: "1s"),
            Field("traces", .object(traces), "Where traces go."),
        ])

    static let path = TextRule(
        expected: "a path", maximumLength: 4_096, isValid: { !$0.unicodeScalars.contains("\n") })

    static let username = TextRule(expected: "a user's name, at most 128 characters", maximumLength: 128)

    static let secret = TextRule(
        expected: "where the secret is kept: env:NAME or file:PATH", maximumLength: 4_096,
        pattern: "^(env:[A-Za-z_][A-Za-z0-9_]{0,255}|file:.+)$", isValid: { Secret(spelling: $0) != nil },
        isShown: false)

    private static let listen = TextRule(
        expected: "an address such as 127.0.0.1:9566 or [::1]:9566 with a port up to 65535, or off", maximumLength: 262,
        pattern: "^(off|.+:[0-9]{1,5})$", isValid: { $0 == "off" || NetworkAddress(spelling: $0) != nil })

    static func url(_ pattern: String) -> TextRule {
        TextRule(expected: "a URL", maximumLength: 2_048, pattern: pattern, isShown: false)
    }
}

/// The JSON Schema of `tidemark.yaml`.
package enum ConfigSchema {
    /// The text of `schemas/config.schema.json`.
    package static func json() -> String {
        JSONSchemaWriter.schema(ConfigShape.root, title: "Tidemark config: tidemark.yaml")
    }
}
