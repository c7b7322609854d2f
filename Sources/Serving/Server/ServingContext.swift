package import Logging
package import NIOCore
import NIOPosix
package import OnlineStore
import Recommend
package import RedisClient
import Resilience
import Synchronization
package import Telemetry

/// What all event loops and routes of the serving daemon share.
package final class ServingContext: Sendable {
    /// What it was started with.
    package let settings: ServerSettings
    package let admission: AdmissionGate
    /// For recommendations, which take so much longer than lookups that one limit could not tell load from their mix.
    package let recommending: AdmissionGate
    let runs = RunsUnderWay()
    package let metrics: ServingMetrics
    package let gate: StoreGate
    package let logger: Logger
    package let catalog: CatalogWatcher
    /// Which requests are traced.
    package let tracer: Tracer
    /// What a read of the store is called in a trace.
    package let storeSpan: StoreSpan
    /// Where rows are when no lane reaches them.
    let store: any OnlineStore
    /// How each event loop connects to Redis; `nil` for a store that isn't Redis.
    let laneConfiguration: RedisClient.Configuration?
    /// Who may ask for what, over HTTP and gRPC.
    package let access: DataAccess
    /// How HTTP and gRPC are encrypted; `nil` for not at all.
    package let security: ListenerSecurity?
    private let live: Mutex<ServerSettings>
    private let liveGeneration = Atomic<UInt64>(0)
    private let draining = Atomic(false)
    private let overdue = Atomic(false)
    private let fullness = Atomic(false)
    private let listeners = Mutex<[ObjectIdentifier: any Channel]>([:])
    private let rooms = Mutex<[ObjectIdentifier: NIOLoopBound<LoopRoom>]>([:])
    private let turn = Atomic<Int>(0)
    private let givenRecommender = Mutex<Recommender?>(nil)

    package init(
        settings: ServerSettings, metrics: ServingMetrics, gate: StoreGate, catalog: CatalogWatcher,
        store: any OnlineStore, lane: RedisClient.Configuration?, security: ListenerSecurity? = nil,
        access: DataAccess = DataAccess(), tracer: Tracer = .none, logger: Logger
    ) {
        self.settings = settings
        self.access = access
        self.security = security
        live = Mutex(settings)
        admission = AdmissionGate(
            settings.maximumInFlight, timeout: settings.timeout, threads: settings.threads,
            refusals: metrics.registry.counter(.admissionRefusals, ["limit"]),
            delays: metrics.registry.counter(.admissionRefusals, ["delay"]))
        recommending = AdmissionGate(
            settings.maximumInFlight, timeout: settings.timeout, threads: settings.threads,
            refusals: metrics.registry.counter(.admissionRefusals, ["limit"]))
        self.metrics = metrics
        self.gate = gate
        self.catalog = catalog
        self.store = store
        laneConfiguration = lane
        self.tracer = tracer
        storeSpan = StoreSpan(store, lane?.topology.primary)
        self.logger = logger
        let breaker = metrics.registry.gauge(.breakerState, ["store"])
        metrics.registry.addCollector { [weak self] in
            guard let self else { return }
            breaker.set(self.gate.metric)
            self.metrics.ready.set(self.readiness.isReady)
        }
        collectControlMetrics()
    }

    /// The settings in force.
    package var liveSettings: ServerSettings { live.withLock { $0 } }

    /// Grows with each change of `liveSettings`.
    var settingsGeneration: UInt64 { liveGeneration.load(ordering: .acquiring) }

    /// Puts other settings in force, while requests are under way and without a word to them: the admission limit at once, the
    /// rest with the next turn of each loop's clock. Address, threads and number of connections stay as they were.
    package func reconfigure(_ settings: ServerSettings) {
        live.withLock { live in
            live = settings
            liveGeneration.add(1, ordering: .acquiringAndReleasing)
        }
        admission.configure(settings.maximumInFlight, timeout: settings.timeout)
        recommending.configure(settings.maximumInFlight, timeout: settings.timeout)
    }

    /// Whether it is on its way to its end: it takes what still comes, and tells clients to go.
    package var isDraining: Bool { draining.load(ordering: .relaxed) }

    /// Whether requests under way are ended now.
    var isOverdue: Bool { overdue.load(ordering: .relaxed) }

    /// Begins the end: not ready from now on.
    package func beginDrain() {
        draining.store(true, ordering: .relaxed)
        metrics.ready.set(false)
    }

    /// Connections come from there, too, until it is closed.
    package func listens(on channel: any Channel) {
        let id = ObjectIdentifier(channel)
        listeners.withLock { $0[id] = channel }
        AcceptGuard.install(on: channel) {
            self.metrics.acceptFailures.add()
            self.wantRoom()
        }
        channel.closeFuture.whenComplete { _ in self.listeners.withLock { $0[id] = nil } }
    }

    /// There is no room for the next connection: with their next tick loops end some that are idle.
    func wantRoom() { fullness.store(true, ordering: .relaxed) }

    /// Whether connections wait for room.
    var wantsRoom: Bool { fullness.load(ordering: .relaxed) }

    /// A connection was taken, or others were ended for those that wait.
    func hasRoom() {
        if fullness.load(ordering: .relaxed) { fullness.store(false, ordering: .relaxed) }
    }

    /// Lets no new connection begin, and gives those that did the time to be accepted.
    package func closeDoor() async {
        var isClosed = false
        for listener in listeners.withLock({ Array($0.values) }) {
            if await ListenerFilter.close(listener) { isClosed = true }
        }
        if isClosed { try? await Task.sleep(for: Self.acceptTime) }
    }

    /// How long connections that clients hold for open may need until they are accepted, and an idle connection is kept for a
    /// request that is on its way.
    static let acceptTime = Duration.milliseconds(100)

    /// Ends what is still under way.
    func endDrain() {
        overdue.store(true, ordering: .relaxed)
    }

    /// The room of the loop that calls.
    func room(of eventLoop: any EventLoop) -> LoopRoom {
        eventLoop.preconditionInEventLoop()
        let id = ObjectIdentifier(eventLoop)
        if let room = rooms.withLock({ $0[id] }) { return room.value }
        let room = LoopRoom(self, eventLoop: eventLoop)
        let bound = NIOLoopBound(room, eventLoop: eventLoop)
        rooms.withLock { $0[id] = bound }
        return room
    }

    /// Who answers recommendations; `nil` before there is one.
    var recommender: Recommender? { givenRecommender.withLock { $0 } }

    /// To be called before the first room is made.
    func recommends(by recommender: Recommender) { givenRecommender.withLock { $0 = recommender } }

    /// The room of the loop that calls; `nil` for who isn't called by one of these loops.
    func ownRoom() -> LoopRoom? {
        guard let loop = MultiThreadedEventLoopGroup.currentEventLoop else { return nil }
        return rooms.withLock { $0[ObjectIdentifier(loop)] }?.value
    }

    /// Some loop's room, one after the other, for work that comes from no loop; `nil` before there is one. To be looked into on
    /// its loop only.
    func anyRoom() -> NIOLoopBound<LoopRoom>? {
        let next = turn.wrappingAdd(1, ordering: .relaxed).newValue & .max
        return rooms.withLock { rooms in
            guard !rooms.isEmpty else { return nil }
            return rooms.values[rooms.values.index(rooms.values.startIndex, offsetBy: next % rooms.count)]
        }
    }

    /// Closes every loop's connection to the store.
    func closeRooms() async {
        let rooms = self.rooms.withLock { Array($0.values) }
        for room in rooms {
            _ = try? await room.eventLoop.submit { room.value.close() }.get()
        }
    }
}
