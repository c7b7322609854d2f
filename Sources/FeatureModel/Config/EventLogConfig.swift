/// A log of events: what stands under `exposures`, and under `events` beside `remember`.
package struct EventLogConfig: Hashable, Sendable {
    /// Where events go.
    package enum Destination: Hashable, Sendable {
        /// JSON lines, in a file that is rotated at so many bytes; so many old ones are kept.
        case file(path: String, maximumBytes: Int, keep: Int)
        /// A Redis stream of about so many entries.
        case stream(store: StoreConfig, key: String, maximumLength: Int)
    }

    package let destination: Destination
    /// The most events that wait to be written.
    package let queue: Int
    /// The most bytes that wait to be written.
    package let queueBytes: Int
}

/// The events that callers send: what stands under `events`.
package struct EventsConfig: Hashable, Sendable {
    package let log: EventLogConfig
    /// How many ids are remembered, so that an event that comes again is not stored again.
    package let remember: Int
}

extension ConfigShape {
    static let exposures = ObjectShape(
        name: "exposures",
        summary:
            "Where each recommendation is logged. Where it can't be, the oldest are dropped and counted.",
        fields: logFields, exactlyOne: ["file", "stream"])

    static let events = ObjectShape(
        name: "events",
        summary: "Where the events of POST /v1/events are stored. Where they can't be, the route answers 503.",
        fields: logFields + [
            Field(
                "remember", .integer(1...10_000_000),
                "How many ids this daemon remembers, so that an event that comes again is not stored again.",
                default: "100000")
        ], exactlyOne: ["file", "stream"])

    private static let logFields = [
        Field("file", .object(logFile), "JSON lines in a file."),
        Field("stream", .object(logStream), "Entries of a Redis stream, with the JSON in the field `event`."),
        Field("queue", .integer(1...10_000_000), "The most that wait to be written.", default: "10000"),
        Field("queue_bytes", .byteCount(65_536...4 << 30), "The most bytes that wait to be written.", default: "64MiB"),
    ]

    private static let logFile = ObjectShape(
        name: "event_file", summary: "JSON lines in a file.",
        fields: [
            Field("path", .text(path), "The file. Of this daemon alone.", required: true),
            Field(
                "max_bytes", .byteCount(4_096...1 << 40),
                "When it becomes PATH.1, that PATH.2, and so on.", default: "256MiB"),
            Field("keep", .integer(1...1_000), "How many old files are kept.", default: "4"),
        ])

    private static let logStream = ObjectShape(
        name: "event_stream", summary: "Entries of a Redis stream.",
        fields: [
            Field("store", .object(store), "The Redis of the stream.", default: "online_store"),
            Field("key", .text(streamKey), "The stream's key.", required: true),
            Field(
                "max_length", .integer(1...1_000_000_000),
                "About how many entries it keeps; the oldest leave, read or not.", default: "1000000"),
        ])

    private static let streamKey = TextRule(expected: "a key, at most 256 characters", maximumLength: 256)
}

extension ConfigReader {
    /// A log, with what is wrong with it reported. `nil` where there is none, or none that can be used.
    mutating func eventLog(_ node: YAMLNode?, at path: String, online: StoreConfig?) -> EventLogConfig? {
        guard let node else { return nil }
        var destination: EventLogConfig.Destination?
        if let file = node["file"], let name = file["path"]?.text {
            destination = .file(
                path: name, maximumBytes: Int(file["max_bytes"]?.byteCount ?? 256 << 20),
                keep: Self.count(file["keep"], 4))
        } else if let stream = node["stream"], let key = stream["key"]?.text {
            let own = stream["store"]
            guard let store = own == nil ? online : store(own, at: "\(path).stream.store", urlKey: "url") else {
                return nil
            }
            guard store.url.scheme.isRedis else {
                diagnostics.report(
                    (own ?? stream).place, "\(path).stream.store",
                    found: own == nil
                        ? "nothing, and an online_store that is no Redis" : "\(store.url.scheme.rawValue):",
                    expected: "a Redis: {url: redis://HOST:PORT/DB}")
                return nil
            }
            destination = .stream(store: store, key: key, maximumLength: Self.count(stream["max_length"], 1_000_000))
        }
        return destination.map {
            EventLogConfig(
                destination: $0, queue: Self.count(node["queue"], 10_000),
                queueBytes: Int(node["queue_bytes"]?.byteCount ?? 64 << 20))
        }
    }

    /// What callers' events need beside their log.
    mutating func events(_ node: YAMLNode?, online: StoreConfig?, exposures: EventLogConfig?) -> EventsConfig? {
        guard let log = eventLog(node, at: "events", online: online) else { return nil }
        if case .file(let path, _, _) = log.destination, case .file(path, _, _) = exposures?.destination,
            let place = node?["file"]?["path"]?.place
        {
            diagnostics.report(
                place, "events.file.path", found: Text.quoted(path), expected: "another file than exposures.file.path")
        }
        return EventsConfig(log: log, remember: Self.count(node?["remember"], 100_000))
    }
}
