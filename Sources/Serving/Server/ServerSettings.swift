package import FeatureModel

/// What the serving daemon goes by: where it listens, and the limit and deadline of everything.
package struct ServerSettings: Sendable, Hashable {
    /// Where it listens; port 0 takes a free one.
    package var address = NetworkAddress(host: "127.0.0.1", port: 0)
    /// Event loops, each with a connection to the store; ≥ 1.
    package var threads = 2
    /// The budget of a request that names none, from the first byte of its head.
    package var timeout = Duration.milliseconds(50)
    /// The longest budget a request may ask for.
    package var maximumTimeout = Duration.seconds(10)
    /// A call of the store that takes longer is slow, which the breaker counts; `nil` where none is.
    package var slowCall: Duration?
    /// How much of a budget is kept for encoding and writing the answer.
    package var reserve = Duration.milliseconds(1)
    /// Bytes of the request line and all headers together.
    package var headerBytes = 32 * 1_024
    /// How many headers a request may have.
    package var headers = 100
    /// Bytes of a request's body.
    package var bodyBytes = 4 * 1_024 * 1_024
    /// Entities of one lookup.
    package var entities = 10_000
    /// Features of one lookup.
    package var features = 2_000
    /// Values of one answer: entities × features.
    package var values = 1_000_000
    /// How long a request may take from its first byte to its last.
    package var requestTimeout = Duration.seconds(10)
    /// How long a connection may be quiet between two requests.
    package var idleTimeout = Duration.seconds(75)
    /// How long a client may leave an answer unread.
    package var writeTimeout = Duration.seconds(10)
    /// Open connections; more wait in the backlog of the listener.
    package var connections = 10_000
    /// How long it says that it is not ready before it stops to listen.
    package var unready = Duration.seconds(1)
    /// How long running requests may take to end after that.
    package var drain = Duration.seconds(10)

    /// How many lookups may be under way at once.
    package var maximumInFlight = ServeConfig.InFlight.adaptive
    /// Whether the Feast route says what Feast's server would say of values that aren't there.
    package var imitatesFeast = false

    /// How long a request may take before the log tells of it.
    package var slowRequest = Duration.seconds(1)

    package init() {}

    /// As the whole config says. `cores` is what `threads` is unless it is set.
    package init(_ config: Config, cores: Int) {
        self.init(config.serve, cores: cores)
        slowRequest = config.telemetry.slowRequest
    }

    /// As the config says. `cores` is what `threads` is unless it is set.
    package init(_ config: ServeConfig, cores: Int) {
        address = config.http
        threads = max(1, config.threads ?? cores)
        timeout = config.timeout
        maximumTimeout = config.maximumTimeout
        slowCall = config.breaker.slowCall
        headerBytes = config.limits.headerBytes
        headers = config.limits.headers
        bodyBytes = config.limits.body
        entities = config.limits.entities
        features = config.limits.features
        values = config.limits.values
        connections = config.limits.connections
        requestTimeout = config.client.request
        idleTimeout = config.client.idle
        writeTimeout = config.client.write
        maximumInFlight = config.maximumInFlight
        unready = config.unready
        drain = config.drain
        imitatesFeast = config.feastStatuses == .feast
    }
}
