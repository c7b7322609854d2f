package import Logging

/// The log handler of the house: one bounded line an event, into a shared `LogSink`.
///
/// Metadata of the event wins over that of the provider, which wins over that of the logger.
package struct LineLogHandler: LogHandler {
    private let label: String
    private let sink: LogSink
    private var ownLevel: Logger.Level?
    package var metadata: Logger.Metadata = [:]
    package var metadataProvider: Logger.MetadataProvider?

    package init(label: String, sink: LogSink, metadataProvider: Logger.MetadataProvider? = nil) {
        self.label = label
        self.sink = sink
        self.metadataProvider = metadataProvider
    }

    /// The sink's level, unless this logger was given one.
    package var logLevel: Logger.Level {
        get { ownLevel ?? sink.level }
        set { ownLevel = newValue }
    }

    /// One field of this logger's own metadata.
    package subscript(metadataKey key: String) -> Logger.MetadataValue? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    /// Writes one line, or drops it.
    package func log(event: LogEvent) {
        var merged = metadata
        if let provider = metadataProvider { merged.merge(provider.get()) { $1 } }
        if let own = event.metadata { merged.merge(own) { $1 } }
        sink.write(
            LogLine.encode(
                sink.format, limit: sink.lineLimit, at: LogLine.now(), level: event.level, label: label,
                message: event.message.description, error: event.error.map { "\($0)" }, metadata: merged))
    }
}
