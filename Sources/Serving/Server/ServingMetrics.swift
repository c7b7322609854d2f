import NIOCore
package import OnlineStore
package import Telemetry

/// The route label of an HTTP request.
enum RouteLabel: Int, CaseIterable {
    case lookup, feastLookup, recommend, events, push, write, materialize, materializeIncremental, health, metrics,
        openAPI, other

    init(path: String) {
        switch path.prefix(while: { $0 != "?" }) {
        case "/v1/lookup": self = .lookup
        case "/get-online-features": self = .feastLookup
        case "/v1/recommend": self = .recommend
        case "/v1/events": self = .events
        case "/push": self = .push
        case "/write-to-online-store": self = .write
        case "/materialize": self = .materialize
        case "/materialize-incremental": self = .materializeIncremental
        case "/health", "/livez", "/readyz", "/v2/health/live", "/v2/health/ready": self = .health
        case "/metrics": self = .metrics
        case "/openapi.json": self = .openAPI
        default: self = .other
        }
    }

    /// Whether a trace may begin here: not where machines ask every few seconds.
    var beginsTraces: Bool {
        switch self {
        case .health, .metrics, .openAPI, .other: false
        case .lookup, .feastLookup, .recommend, .events, .push, .write, .materialize, .materializeIncremental: true
        }
    }

    /// What a request of it asks of a token.
    var need: AccessNeed {
        switch self {
        case .lookup, .feastLookup, .recommend: .read
        case .events, .push, .write, .materialize, .materializeIncremental: .write
        case .health, .metrics, .openAPI: .nothing
        // The router may understand a path that isn't understood here.
        case .other: .everything
        }
    }

    /// Whether errors are worded as Feast's server does.
    var isFeast: Bool {
        switch self {
        case .feastLookup, .push, .write, .materialize, .materializeIncremental: true
        case .lookup, .recommend, .events, .health, .metrics, .openAPI, .other: false
        }
    }

    var name: String {
        switch self {
        case .lookup: "/v1/lookup"
        case .feastLookup: "/get-online-features"
        case .recommend: "/v1/recommend"
        case .events: "/v1/events"
        case .push: "/push"
        case .write: "/write-to-online-store"
        case .materialize: "/materialize"
        case .materializeIncremental: "/materialize-incremental"
        case .health: "health"
        case .metrics: "/metrics"
        case .openAPI: "/openapi.json"
        case .other: "other"
        }
    }
}

/// How a lookup ended.
enum LookupOutcome: Int, CaseIterable {
    /// Every view was read.
    case ok
    /// Some view could not be read, and the answer says so.
    case degraded
    /// The request can't be answered as it is.
    case invalid
    /// There was too much to do already.
    case refused
    /// The client was gone before the answer.
    case abandoned

    var name: String {
        switch self {
        case .ok: "ok"
        case .degraded: "degraded"
        case .invalid: "invalid"
        case .refused: "refused"
        case .abandoned: "abandoned"
        }
    }
}

/// The serving daemon's metrics, bound once.
package final class ServingMetrics: Sendable {
    package let registry: MetricRegistry
    /// HTTP requests under way.
    let inFlight: Gauge
    let connections: Gauge
    let ready: Gauge
    let plansCompiled: Counter
    /// Connections that could not be taken.
    let acceptFailures: Counter
    /// Idle connections that were ended for others.
    let connectionsEvicted: Counter
    private let requests: [[Counter]]
    private let durations: [[Histogram]]
    private let refusals: [Counter]
    private let storeErrors: [StoreError.Code: Counter]

    package init(registry: MetricRegistry) {
        self.registry = registry
        inFlight = registry.gauge(.httpInFlight)
        connections = registry.gauge(.httpConnections)
        ready = registry.gauge(.servingReady)
        plansCompiled = registry.counter(.lookupPlansCompiled)
        acceptFailures = registry.counter(.acceptFailures)
        connectionsEvicted = registry.counter(.connectionsEvicted)
        requests = RouteLabel.allCases.map { route in
            (1...5).map { registry.counter(.httpRequests, [route.name, "\($0)xx"]) }
        }
        durations = LookupRoute.allCases.map { route in
            LookupOutcome.allCases.map { registry.histogram(.lookupDurationSeconds, [route.label.name, $0.name]) }
        }
        refusals = AccessRefusal.reasons.map { registry.counter(.accessRefusals, ["http", $0]) }
        storeErrors = Dictionary(
            uniqueKeysWithValues: StoreError.Code.allCases.map { ($0, registry.counter(.storeErrors, [$0.rawValue])) })
        inFlight.set(0)
        connections.set(0)
    }

    /// Counts an answer by its status.
    func answered(_ route: RouteLabel, _ status: Int) {
        requests[route.rawValue][min(max(status / 100, 1), 5) - 1].add()
    }

    /// Counts a request that its token kept out.
    func refused(_ refusal: AccessRefusal) {
        refusals[refusal.index].add()
    }

    /// Observes how long a lookup took. `trace` is its span, where it is recorded.
    func lookupEnded(_ route: LookupRoute, _ outcome: LookupOutcome, after time: TimeAmount, trace: TraceContext?) {
        let histogram = durations[route.rawValue][outcome.rawValue]
        let seconds = Double(max(0, time.nanoseconds)) / 1e9
        guard let trace else { return histogram.observe(seconds: seconds) }
        histogram.observe(seconds: seconds, of: trace)
    }

    /// Counts a failed call of the store.
    package func storeFailed(_ code: StoreError.Code) {
        storeErrors[code]?.add()
    }
}
