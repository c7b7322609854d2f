import Logging
import OnlineStore
import ServiceLifecycle
import Serving
import Synchronization
import Telemetry
import TidemarkTesting

/// A daemon whose traces go to a collector of the test.
struct TracedStage: Sendable {
    let daemon: DaemonStage
    let receiver: OTLPReceiver
    let tracer: Tracer
    let registry: MetricRegistry

    static func with(
        ratio: Double = 0, usual: OTLPReceiver.Answer = .accepted,
        _ change: (inout DaemonStage.Options) -> Void = { _ in },
        _ body: @escaping @Sendable (TracedStage) async throws -> Void
    ) async throws {
        var options = DaemonStage.Options()
        change(&options)
        let registry = MetricRegistry()
        let tracer = Tracer(ratio: ratio, limit: 64, registry: registry)
        options.registry = registry
        options.tracer = tracer
        let made = options
        try await OTLPReceiver.with(usual: usual) { receiver in
            var settings = TraceSettings(endpoint: receiver.endpoint + "/v1/traces")
            settings.interval = .milliseconds(5)
            settings.timeout = .milliseconds(200)
            settings.attempts = 2
            settings.firstRetry = .milliseconds(1)
            settings.flush = .milliseconds(200)
            let exporter = TraceExporter(tracer, settings, registry: registry, logger: made.logger)
            let group = ServiceGroup(services: [exporter], logger: made.logger)
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                tasks.addTask { try await group.run() }
                try await DaemonStage.with(made) { daemon in
                    try await body(
                        TracedStage(daemon: daemon, receiver: receiver, tracer: tracer, registry: registry))
                }
                await group.triggerGracefulShutdown()
                try await tasks.waitForAll()
            }
        }
    }

    static let lookup =
        "{\"features\":[\"activity:activity_count\",\"profile:profile_word\"],\"entities\":[{\"user_id\":1},{\"user_id\":2}]}"

    static let caller = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
}

/// Log lines as they were asked for.
struct RecordedLog: LogHandler {
    struct Line: Sendable {
        let message: String
        let metadata: [String: String]
    }

    final class Lines: Sendable {
        private let lines = Mutex<[Line]>([])

        func append(_ line: Line) { lines.withLock { $0.append(line) } }
        var all: [Line] { lines.withLock { $0 } }
    }

    let lines: Lines
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.trace

    subscript(metadataKey key: String) -> Logger.MetadataValue? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        lines.append(
            Line(message: "\(event.message)", metadata: (event.metadata ?? [:]).mapValues { "\($0)" }))
    }
}
