/// What `tidemark.yaml` says: validated, immutable. Paths are as written: relative ones count from the config's folder.
package struct Config: Hashable, Sendable {
    /// The name of the file it was read from.
    package let file: String
    package let project: String
    /// The folder of the definitions.
    package let schemas: String
    package let onlineStore: StoreConfig
    /// In the order of the file. Empty only where Feast's rows are served.
    package let sources: [SourceConfig]
    package let sync: SyncConfig
    package let serve: ServeConfig
    package let telemetry: TelemetryConfig
    /// The admin listener; `nil` where the file has no such section, and there is none.
    package let admin: AdminConfig?
    /// In the order of the file.
    package let pipelines: [PipelineConfig]
    /// The recall lists; `nil` where the file has no such section.
    package let recall: RecallConfig?
    /// In the order of the file.
    package let models: [ModelConfig]
    /// Where recommendations are logged; `nil` for nowhere.
    package let exposures: EventLogConfig?
    /// Where callers' events are stored; `nil` where none are taken.
    package let events: EventsConfig?
    /// What stands in the file, with what must not be shown taken out.
    package let document: DocumentValue
    /// Keys that are there and that this release leaves alone.
    package let uninterpreted: [String]
    /// Where the sources stand in the file.
    let sourcesLine: Int

    /// The project whose features a serving daemon serves: Feast's, where it serves Feast's rows.
    package var servedProject: String { serve.feast?.project ?? project }
    /// Whether rows and definitions are Feast's, and there is no store of our own beside them.
    package var servesFeastAlone: Bool { serve.feast != nil && onlineStore == .absent }

    /// The source of that name, if there is one.
    package func source(_ name: String) -> SourceConfig? {
        sources.first { $0.name == name }
    }
}

/// The online store and how to talk to it.
package struct StoreConfig: Hashable, Sendable {
    package let url: StoreURL
    package let username: String?
    package let password: Secret?
    /// PEM file of the authorities to trust, for `rediss`; the system's where `nil`.
    package let caFile: String?
    package let connectTimeout: Duration
    /// The longest a command may take, queueing included.
    package let commandTimeout: Duration
    /// The most connections that are shared by all views.
    package let maximumConnections: Int
    /// The most commands in flight on one connection.
    package let pipelineCommands: Int
    /// The most bytes in flight on one connection.
    package let pipelineBytes: Int

    /// No store: what stands where a config has none, beside `serve.feast`. Nothing opens it.
    static let absent = try? StoreConfig(
        url: StoreURL("memory:"), username: nil, password: nil, caFile: nil, connectTimeout: .seconds(2),
        commandTimeout: .seconds(1), maximumConnections: 4, pipelineCommands: 2_000, pipelineBytes: 8 << 20)
}

/// One source of rows.
package struct SourceConfig: Hashable, Sendable {
    package let name: String
    package let url: SourceURL
    package let username: String?
    package let password: Secret?
    package let connectTimeout: Duration
    package let statementTimeout: Duration
    /// The longest wait for a lock of the source, where it has locks.
    package let lockTimeout: Duration
}

/// The sync service.
package struct SyncConfig: Hashable, Sendable {
    /// Where metrics and health are served; `nil` for nowhere. Port 0 takes a free one.
    package let metrics: NetworkAddress?
    /// How many changed entities a chunk holds.
    package let chunkRows: Int
    /// How many chunks may be between reading and marking, a view.
    package let chunksInFlight: Int
    /// How long a lease lasts without renewal.
    package let lease: Duration
    /// How many rows a second a sweep may walk, a view.
    package let sweepRowsPerSecond: Int
    /// The most rows kept in quarantine, a view.
    package let quarantineLimit: Int
    /// The file of erased entities, which stay erased.
    package let erasures: String
    package let retry: RetryConfig
    package let breaker: BreakerConfig
    /// How long a stop may take before what is still running is cancelled.
    package let shutdown: Duration
}

/// Back-off between tries of one call, and how many tries all calls together may spend.
package struct RetryConfig: Hashable, Sendable {
    package let initial: Duration
    package let maximum: Duration
    /// Retries as a share of calls, `0...1`.
    package let budget: Double
}

/// When a source or the store is left alone for a while.
package struct BreakerConfig: Hashable, Sendable {
    /// Failures in a row that open it.
    package let failures: Int
    /// How long it stays open before a probe.
    package let open: Duration
}

/// Logs and traces.
package struct TelemetryConfig: Hashable, Sendable {
    /// From the most to the least talkative.
    package enum LogLevel: String, CaseIterable, Sendable {
        case trace, debug, info, notice, warning, error, critical
    }

    /// How a line looks: one JSON object, or text for people.
    package enum LogFormat: String, CaseIterable, Sendable {
        case json
        case text
    }

    package let logLevel: LogLevel
    package let logFormat: LogFormat
    /// How long a request may take before the log tells of it.
    package let slowRequest: Duration
    package let traces: TracesConfig
}

/// Where a secret is kept. Config never holds the secret itself; who needs it resolves it.
package enum Secret: Hashable, Sendable {
    /// The name of an environment variable.
    case environment(String)
    /// The path of a file; a line end behind the secret doesn't count.
    case file(String)

    /// Parses `env:NAME` or `file:PATH`; `nil` for anything else.
    package init?(spelling: String) {
        if spelling.hasPrefix("env:") {
            let name = String(spelling.dropFirst(4))
            guard Self.variable.accepts(name) else { return nil }
            self = .environment(name)
        } else if spelling.hasPrefix("file:"), spelling.utf8.count > 5 {
            self = .file(String(spelling.dropFirst(5)))
        } else {
            return nil
        }
    }

    private static let variable = TextRule(
        expected: "", maximumLength: 256, characters: ("A-Za-z_", "A-Za-z0-9_"))
}

extension Secret: CustomStringConvertible {
    /// The spelling in config. Tells where the secret is, not what.
    package var description: String {
        switch self {
        case .environment(let name): "env:\(name)"
        case .file(let path): "file:\(path)"
        }
    }
}
