import Logging
import NIOCore
import OnlineStore
import RedisClient
import Telemetry

/// What the connections of one event loop share: the connection to the store, compiled plans, buffers, the date. Made and
/// used on its loop.
final class LoopRoom {
    /// How often connections are looked at and the date is made.
    private static let tick = TimeAmount.milliseconds(200)
    /// A connection that was idle for less isn't ended for others.
    private static let leastIdle = TimeAmount.seconds(1)
    /// How many are ended for others, a tick.
    private static let endedAtOnce = 32
    /// A buffer that grew beyond this isn't kept.
    private static let keptBufferBytes = 1 << 20
    private static let keptRows = 16

    let eventLoop: any EventLoop
    let serving: ServingContext
    let recommendations: RecommendIntake?
    /// Runs tasks on this loop.
    let executor: LoopExecutor
    private(set) var settings: LoopSettings
    private(set) var limits: WireLimits
    private var settingsGeneration: UInt64
    var ids = RequestIDs()
    var plans: PlanCache
    /// Where spans of this loop's requests go.
    let spans: SpanBuffer
    var log: RequestLog
    private var known = AccessCache()
    private(set) var date = HTTPDate.now
    private(set) var lane: RedisLane?
    private var spareBuffer = ByteBuffer()
    private var spareRequest = ByteBuffer()
    private var spareRows: [PackedRows] = []
    private var connections: [ObjectIdentifier: FastLaneHandler] = [:]
    private var ticker: RepeatedTask?
    private var beats: RepeatedTask?
    private var pulse = LoopPulse(at: .now())
    /// When the store last answered a lookup in time.
    var storeAnsweredAt = NIODeadline.uptimeNanoseconds(0)
    /// When the first lookup of the loop's turn was read.
    var turnBegan: NIODeadline?
    /// Lookups that wait for room.
    var line = WaitingLine<LookupCall>()
    /// Lookups that were read and are not answered.
    var active = 0
    /// Connections that aren't read until there is less to do.
    var held = CircularBuffer<FastLaneHandler>()
    /// Connections are released in batches: the number of the next, and of the latest for which the loop hasn't looked at its
    /// sockets yet.
    var nextBatch: UInt64 = 0
    var latestBatch: UInt64 = 0
    /// Whether the line moves on at the end of this turn, and whether it does so a little later.
    var movesAtTurnEnd = false
    var movesLater = false

    init(_ serving: ServingContext, eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
        self.serving = serving
        recommendations = serving.recommender.map { RecommendIntake(serving, $0) }
        executor = LoopExecutor(eventLoop)
        settingsGeneration = serving.settingsGeneration
        let live = serving.liveSettings
        settings = LoopSettings(live)
        limits = WireLimits(live)
        spans = serving.tracer.makeBuffer()
        log = RequestLog(serving.logger)
        plans = PlanCache(seed: .random(in: 0 ... .max))
        if let configuration = serving.laneConfiguration {
            do {
                lane = try RedisLane(configuration, eventLoop: eventLoop)
                lane?.connect()
            } catch {
                serving.logger.error("no connection to the store can be made", metadata: ["error": "\(error)"])
            }
        }
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        ticker = eventLoop.scheduleRepeatedTask(initialDelay: Self.tick, delay: Self.tick) { _ in bound.value.passed() }
        beats = eventLoop.scheduleRepeatedTask(initialDelay: LoopPulse.beat, delay: LoopPulse.beat) { _ in
            bound.value.feelPulse()
        }
    }

    /// Whether the loop has been behind itself while a request of now was under way: an answer of the store may have lain
    /// there unread then.
    func isBehind(at now: NIODeadline) -> Bool { pulse.isBehind(at: now, slack: settings.shortTurn) }

    private func feelPulse() { pulse.feel(at: .now(), slack: settings.shortTurn, timeout: settings.timeout) }

    /// When a request came, for all that is known, whose head is read now and whose first byte was at `first`.
    func arrival(
        of first: NIODeadline, at now: NIODeadline, quietSince: NIODeadline, on channel: any Channel
    ) -> NIODeadline {
        if turnBegan == nil { pulse.turn(at: now, timeout: settings.timeout) }
        return pulse.arrival(of: first, quietSince: quietSince) { LastReceipt.age(channel).map { now - $0 } }
    }

    private func passed() {
        followSettings()
        let now = HTTPDate.now
        if now.seconds != date.seconds { date = now }
        let instant = NIODeadline.now()
        if serving.wantsRoom { makeRoom(at: instant) }
        let isOver = serving.isOverdue
        for handler in connections.values {
            if isOver { handler.end() } else { handler.check(at: instant) }
        }
    }

    private func followSettings() {
        let generation = serving.settingsGeneration
        guard generation != settingsGeneration else { return }
        settingsGeneration = generation
        let live = serving.liveSettings
        settings = LoopSettings(live)
        limits = WireLimits(live)
    }

    /// Closes the connection to the store and stops the clock; lookups of connections that are still open fail.
    func close() {
        ticker?.cancel()
        ticker = nil
        beats?.cancel()
        beats = nil
        for handler in connections.values { handler.end() }
        held.removeAll()
        lane?.close()
        lane = nil
    }

    // MARK: Access

    /// Why a request may not have what it needs; `nil` when it may.
    func refusal(
        _ fields: HeadFields, _ need: AccessNeed, at now: NIODeadline, peer: () -> String
    ) -> AccessRefusal? {
        known.refusal(
            fields.authorization, count: fields.authorizations, need, serving.access, at: now, peer: peer)
    }

    // MARK: Connections

    func add(_ handler: FastLaneHandler) {
        connections[ObjectIdentifier(handler)] = handler
        serving.metrics.connections.add(1)
    }

    func remove(_ handler: FastLaneHandler) {
        guard connections.removeValue(forKey: ObjectIdentifier(handler)) != nil else { return }
        serving.metrics.connections.add(-1)
    }

    /// Ends those connections that have been idle for longest, so that others can come.
    private func makeRoom(at now: NIODeadline) {
        var longest: [(handler: FastLaneHandler, since: NIODeadline)] = []
        for handler in connections.values {
            guard let since = handler.idleSince, now - since >= Self.leastIdle else { continue }
            if longest.count == Self.endedAtOnce, since >= longest[longest.count - 1].since { continue }
            longest.insert((handler, since), at: longest.firstIndex { since < $0.since } ?? longest.count)
            if longest.count > Self.endedAtOnce { longest.removeLast() }
        }
        guard !longest.isEmpty else { return }
        serving.hasRoom()
        serving.metrics.connectionsEvicted.add(longest.count)
        for (handler, _) in longest { handler.end() }
    }

    // MARK: Buffers

    /// A buffer to write an answer into; give it back after the write, so that the next answer needs no memory of its own.
    func takeBuffer() -> ByteBuffer {
        let buffer = spareBuffer
        spareBuffer = ByteBuffer()
        return buffer
    }

    func giveBack(_ buffer: ByteBuffer) {
        if buffer.capacity <= Self.keptBufferBytes { spareBuffer = buffer }
    }

    /// Rows to fill; give them back after the answer. Only requests that are under way have some, not every connection.
    func takeRows() -> PackedRows { spareRows.popLast() ?? PackedRows(count: 0) }

    func giveBack(_ rows: PackedRows) {
        if spareRows.count < Self.keptRows { spareRows.append(rows) }
    }

    /// An empty buffer to write commands into; give it back when the lane has it.
    func takeRequestBuffer() -> ByteBuffer {
        var buffer = spareRequest
        spareRequest = ByteBuffer()
        buffer.clear()
        return buffer
    }

    func giveBackRequest(_ buffer: ByteBuffer) {
        if buffer.capacity <= Self.keptBufferBytes { spareRequest = buffer }
    }
}

/// The settings that handlers look at, in the loop's own units.
struct LoopSettings {
    let timeout: TimeAmount
    let maximumTimeout: TimeAmount
    /// A call of the store that takes longer is slow; `nil` where none is.
    let slowCall: TimeAmount?
    let reserve: TimeAmount
    let headerBytes: Int
    let bodyBytes: Int
    let values: Int
    let requestTimeout: TimeAmount
    let idleTimeout: TimeAmount
    let writeTimeout: TimeAmount
    let imitatesFeast: Bool
    let slowRequest: TimeAmount
    /// How long a lookup may wait for room; one that has less time than most waits for the same share of it.
    let patience: TimeAmount
    /// How long lookups may begin one after the other before the loop looks at its sockets again.
    let shortTurn: TimeAmount
    /// How long a connection that is ended may go on sending what nobody reads.
    let lingerTimeout = TimeAmount.seconds(2)

    /// How long a lookup with so much time may wait for room.
    static func patience(of time: TimeAmount) -> TimeAmount { .nanoseconds(time.nanoseconds / 5 * 2) }

    init(_ settings: ServerSettings) {
        timeout = TimeAmount(settings.timeout)
        maximumTimeout = TimeAmount(settings.maximumTimeout)
        slowCall = settings.slowCall.map { TimeAmount($0) }
        reserve = TimeAmount(settings.reserve)
        headerBytes = settings.headerBytes
        bodyBytes = settings.bodyBytes
        values = settings.values
        requestTimeout = TimeAmount(settings.requestTimeout)
        idleTimeout = TimeAmount(settings.idleTimeout)
        writeTimeout = TimeAmount(settings.writeTimeout)
        imitatesFeast = settings.imitatesFeast
        slowRequest = TimeAmount(settings.slowRequest)
        patience = min(Self.patience(of: timeout), .milliseconds(25))
        shortTurn = min(max(.milliseconds(1), TimeAmount(settings.timeout * 0.04)), .milliseconds(4))
    }
}

extension WireLimits {
    /// What the daemon's settings say about bodies.
    package init(_ settings: ServerSettings) {
        self.init()
        bodyBytes = settings.bodyBytes
        entities = settings.entities
        features = settings.features
    }
}
