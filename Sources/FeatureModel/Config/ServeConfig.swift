/// The serving daemon: what stands under `serve`.
package struct ServeConfig: Hashable, Sendable {
    /// How many requests may be under way at once.
    package enum InFlight: Hashable, Sendable {
        /// As many as the daemon finds it can answer in good time.
        case adaptive
        /// Never more than this.
        case fixed(Int)
    }

    /// How the Feast routes word a value that is there but not usable.
    package enum FeastStatuses: String, CaseIterable, Sendable {
        /// As it is: too old reads OUTSIDE_MAX_AGE, missing NOT_FOUND.
        case honest
        /// As Feast's own server words it.
        case feast
    }

    /// Where HTTP is served. Port 0 takes a free one.
    package let http: NetworkAddress
    /// Where gRPC is served; `nil` for nowhere. Port 0 takes a free one.
    package let grpc: NetworkAddress?
    /// How many event loops serve; `nil` for one a core.
    package let threads: Int?
    /// The time a request has that brings no deadline of its own.
    package let timeout: Duration
    /// The longest deadline a request may bring.
    package let maximumTimeout: Duration
    package let maximumInFlight: InFlight
    package let limits: ServeLimits
    package let client: ServeClientConfig
    /// How long a stop may wait for requests under way.
    package let drain: Duration
    /// How long a stop says that the daemon isn't ready before it takes no more connections.
    package let unready: Duration
    /// How often the store is asked for another catalog or version.
    package let catalogRefresh: Duration
    package let feastStatuses: FeastStatuses
    /// When the store, or what recommendations depend on, is left alone for a while.
    package let breaker: ServeBreakerConfig
    /// How HTTP and gRPC are encrypted; `nil` for not at all.
    package let tls: ListenerTLSConfig?
    /// Who may ask for what.
    package let access: AccessConfig
    /// Feast's rows, in place of the online store; `nil` for our own.
    package let feast: FeastConfig?
}

/// When the store, or what recommendations depend on, is left alone for a while.
package struct ServeBreakerConfig: Hashable, Sendable {
    /// Failures in a row that open it.
    package let failures: Int
    /// The longest it stays open before a probe.
    package let open: Duration
    /// How long calls count for the shares.
    package let window: Duration
    /// Below so many calls in the window the shares decide nothing.
    package let minimumCalls: Int
    /// The share of failures that opens it, `0...1`.
    package let failureShare: Double
    /// The share of slow calls that opens it, `0...1`.
    package let slowShare: Double
    /// A lookup's call of the store that takes longer is slow; `nil` where none is.
    package let slowCall: Duration?
}

/// The largest request that is answered.
package struct ServeLimits: Hashable, Sendable {
    /// Bytes of a body.
    package let body: Int
    /// Bytes of the request line and all headers together.
    package let headerBytes: Int
    /// How many headers.
    package let headers: Int
    /// How many entities a request may name.
    package let entities: Int
    /// How many features a request may name.
    package let features: Int
    /// How many values an answer may have: entities × features.
    package let values: Int
    /// How many connections may be open.
    package let connections: Int
}

/// How long a client may keep its connection waiting.
package struct ServeClientConfig: Hashable, Sendable {
    /// From a request's first byte to its last.
    package let request: Duration
    /// Between two requests.
    package let idle: Duration
    /// The longest an answer may wait for the client to take more of it.
    package let write: Duration
}
