import Events
import FeatureModel
import Logging
import Recommend
import RedisClient
import ServiceLifecycle
import Serving
import Telemetry

/// The logs of exposures and of callers' events, as a config describes them.
struct EventHome: Sendable {
    /// Told of each recommendation; `nil` where they are not logged.
    let expose: (@Sendable (Exposure) -> Void)?
    /// Takes callers' events; `nil` where none are taken.
    let intake: EventIntake?
    /// What writes them. To be told of the end behind all that adds to them; each may take `drain` then.
    let writers: [any Service]

    /// Throws `UsageError` for a password or a CA file that can't be read.
    init(_ config: Config, configPath: String, registry: MetricRegistry, logger: Logger) throws {
        var writers: [any Service] = []
        func open(_ name: String, _ config: EventLogConfig, drain: Duration) throws -> EventLog {
            let log = EventLog(name: name, limit: config.queue, bytes: config.queueBytes, registry: registry)
            var settings = EventLogWriter.Settings()
            settings.drain = drain
            let sink = try Self.sink(config.destination, what: name, configPath: configPath)
            writers.append(EventLogWriter(log, to: sink, settings, logger: logger))
            return log
        }
        let drain = config.serve.drain
        if let exposures = config.exposures {
            let log = try open("exposures", exposures, drain: drain)
            expose = { exposure in log.record(QueuedEvent(size: exposure.size) { exposure.json }) }
        } else {
            expose = nil
        }
        if let events = config.events {
            let log = try open("events", events.log, drain: drain)
            intake = EventIntake(log, remember: events.remember, registry: registry)
        } else {
            intake = nil
        }
        self.writers = writers
    }

    private static func sink(
        _ destination: EventLogConfig.Destination, what: String, configPath: String
    ) throws -> any EventSink {
        switch destination {
        case .file(let path, let maximumBytes, let keep):
            return EventFile(
                .init(path: ConfigFiles.resolve(path, from: configPath), maximumBytes: maximumBytes, keep: keep))
        case .stream(let store, let key, let maximumLength):
            let client = try StoreOpener.streamClient(
                store, configPath: configPath, what: "\(what).stream.store.password")
            return EventStream(
                client, key: key, maximumLength: maximumLength, timeout: store.connectTimeout + store.commandTimeout)
        }
    }
}
