package import NIOCore
internal import Resilience

/// Pipelined reads over one or two connections of one event loop, without a hop, task or promise a read.
///
/// Not Sendable: made, used and closed on its loop. Connections are made when needed and again after they broke, under
/// back-off and a limit of tries a second. A read waits for a connection that is being made, and for the next try if that
/// comes before its deadline; it outlives one failed try at most. When a connection dies, a read that got nothing yet is
/// sent once more, within a retry budget; all others end with `connectionClosed`.
package final class RedisLane {
    private enum Slot {
        /// → connecting
        case empty
        /// → ready, or empty when it fails
        case connecting
        /// → empty when the connection ends
        case ready(RedisLaneHandler)
    }

    /// No read waits for longer, whatever its deadline.
    private static let longestRead = TimeAmount.hours(1)
    /// Deadlines that pass within this are seen to together: each look at them walks the queue, and when the server falls
    /// silent under load all of them pass.
    private static let timerPause = TimeAmount.milliseconds(1)
    /// Shorter than that of a client that may wait: a server that came back should be in use soon.
    private static let longestPause = Duration.milliseconds(500)

    private let eventLoop: any EventLoop
    private let connector: RedisConnector
    private var slots: [Slot]
    /// Reads without a connection. Nothing is ever on the wire in it.
    private var parked: ExchangeQueue<LaneRead, NIODeadline>
    private var reconnect: ReconnectMachine
    private var budget: RetryBudget
    private var lastToken: UInt64 = 0
    private var timer: (at: NIODeadline, task: Scheduled<Void>)?
    private var staysConnected = false
    private var isClosed = false

    /// Connects to nothing yet. Throws `invalidConfiguration` for a CA file that can't be read.
    package init(_ configuration: RedisClient.Configuration, eventLoop: any EventLoop) throws(RedisError) {
        self.eventLoop = eventLoop
        connector = try RedisConnector(
            endpoint: configuration.topology.primary, clientName: configuration.clientName, scripts: [],
            limits: configuration.limits, timeout: configuration.connectTimeout)
        slots = Array(repeating: .empty, count: min(max(1, configuration.laneConnections), 2))
        parked = ExchangeQueue(limits: configuration.limits)
        reconnect = ReconnectMachine(
            limits: .init(longestPause: Self.longestPause, perSecond: max(1, configuration.connectsPerSecond)))
        // A connection that dies leaves a window full of reads, so that is the burst.
        let burst = Double(configuration.limits.waitingPipelines)
        budget = RetryBudget(.init(ratio: 0.1, minimumPerSecond: 1, capacity: burst), at: .now)
    }

    /// Whether a read would be sent now: connected, and the window has room.
    package var isReady: Bool {
        slots.contains { if case .ready(let handler) = $0 { handler.hasRoom } else { false } }
    }

    /// Connects now, and from now on again whenever a connection ends, without waiting for a read.
    package func connect() {
        eventLoop.assertInEventLoop()
        staysConnected = true
        stayConnected()
    }

    /// Sends MGET commands that are encoded already; `keys` elements must come back over `commands` MGETs. Reads of one
    /// tick of the loop leave in one write.
    ///
    /// Errors: `overloaded`, `requestTooLarge` and `clientClosed` before anything is sent, maybe before this returns;
    /// `connectionFailed` or the server's refusal of the login; `deadlineExceeded`, after which a late reply reaches
    /// nobody; `connectionClosed`; `malformedReply` and `replyTooLarge`, after which the connection is closed;
    /// `errorReply`.
    /// - Returns: A token for `abandon`.
    @discardableResult
    package func read(
        _ request: ByteBuffer, commands: Int, keys: Int, deadline: NIODeadline, receiver: any RedisLaneReceiver
    ) -> UInt64 {
        eventLoop.assertInEventLoop()
        let now = NIODeadline.now()
        lastToken += 1
        let read = LaneRead(
            token: lastToken, request: request, commands: commands, keys: keys,
            deadline: min(deadline, now + Self.longestRead), receiver: receiver)
        if isClosed {
            read.finish(Self.closedError)
        } else if commands < 1 {
            read.finish(nil)
        } else {
            budget.attemptBegan()
            place(read, now: now)
        }
        return read.token
    }

    /// Sends what was read in this tick so far; otherwise that happens at its end.
    package func flush() {
        eventLoop.assertInEventLoop()
        for case .ready(let handler) in slots { handler.pump() }
    }

    /// Nobody wants the answer any more: the receiver hears nothing from now on. No harm if the read is over.
    package func abandon(_ token: UInt64) {
        eventLoop.assertInEventLoop()
        if let read = parked.abandon(id: token) { return read.forget() }
        for case .ready(let handler) in slots where handler.abandon(token) { return }
    }

    /// Closes the connections; reads under way and later ones end with `clientClosed`.
    package func close() {
        eventLoop.assertInEventLoop()
        guard !isClosed else { return }
        isClosed = true
        timer?.task.cancel()
        timer = nil
        for case .ready(let handler) in slots { handler.close(Self.closedError) }
        for read in parked.removeAll() { read.finish(Self.closedError) }
    }

    /// A connection is gone, with these reads under way.
    func connectionEnded(_ handler: RedisLaneHandler, _ error: RedisError, leaving reads: [LaneRead]) {
        for index in slots.indices {
            if case .ready(let other) = slots[index], other === handler { slots[index] = .empty }
        }
        let now = NIODeadline.now()
        let instant = ContinuousClock.now
        for read in reads {
            if !isClosed, now < read.deadline, mayRepeat(read, at: instant) {
                place(read, now: now)
            } else {
                read.finish(error)
            }
        }
        stayConnected()
    }

    private func stayConnected() {
        guard staysConnected, !isClosed, let nextTry = fillSlot() else { return }
        arm(at: nextTry)
    }

    private func mayRepeat(_ read: LaneRead, at instant: ContinuousClock.Instant) -> Bool {
        guard read.wasSent else { return true }
        guard !read.wasRetried, read.received == 0, read.refusal == nil, budget.mayRetry(at: instant) else {
            return false
        }
        read.wasRetried = true
        read.wasSent = false
        return true
    }

    /// Gives a read to the connection with the least to do, or lets it wait for one.
    private func place(_ read: LaneRead, now: NIODeadline) {
        var best: RedisLaneHandler?
        var hasEmptySlot = false
        for slot in slots {
            switch slot {
            case .ready(let handler): if handler.load < best?.load ?? .max { best = handler }
            case .connecting: break
            case .empty: hasEmptySlot = true
            }
        }
        let nextTry = hasEmptySlot ? fillSlot() : nil
        let refusal: RedisError?
        if let best {
            refusal = best.submit(read, now: now)
        } else if let nextTry, read.deadline <= nextTry {
            refusal =
                reconnect.lastFailure
                ?? RedisError(.connectionFailed, "the limit of connection tries a second is reached")
        } else {
            refusal = parked.add(
                id: read.token, commands: read.commands, bytes: read.request.readableBytes, deadline: read.deadline,
                now: now, waiter: read)
            if let nextTry { arm(at: nextTry) }
        }
        if let refusal { return read.finish(refusal) }
        arm(at: read.deadline)
    }

    /// Begins to connect if a slot is empty and none connects already. Returns when to try again if that must wait.
    private func fillSlot() -> NIODeadline? {
        var empty: Int?
        for (index, slot) in slots.enumerated() {
            switch slot {
            case .empty: empty = index
            case .connecting: return nil
            case .ready: break
            }
        }
        guard let empty else { return nil }
        let now = ContinuousClock.now
        if let later = reconnect.admit(at: now) { return .now() + TimeAmount(now.duration(to: later)) }
        slots[empty] = .connecting
        connector.connect(on: eventLoop).assumeIsolated().whenComplete { self.connected(slot: empty, $0) }
        return nil
    }

    private func connected(slot: Int, _ result: Result<RedisConnection, any Error>) {
        slots[slot] = .empty
        do {
            let connection = try result.get()
            if isClosed { return connection.close(Self.closedError) }
            let handler = try RedisLaneHandler(limits: connector.limits, lane: self)
            try connection.handOver(to: handler)
            slots[slot] = .ready(handler)
            reconnect.connected()
            let now = NIODeadline.now()
            for read in parked.removeAll() { place(read, now: now) }
        } catch {
            let error = error as? RedisError ?? RedisError(.connectionFailed, "no connection to the server")
            reconnect.failed(error, at: .now, chance: .random(in: 0...1))
            // Those that came before this try waited long enough.
            for read in parked.removeAll() { read.finish(error) }
        }
        stayConnected()
    }

    /// Makes sure that `timePassed` runs at `instant` or before.
    private func arm(at instant: NIODeadline) {
        if let timer, timer.at <= instant { return }
        guard !isClosed else { return }
        timer?.task.cancel()
        let task = eventLoop.assumeIsolated().scheduleTask(deadline: instant) { [weak self] () -> Void in
            self?.timePassed()
        }
        timer = (instant, task)
    }

    private func timePassed() {
        timer = nil
        let now = NIODeadline.now()
        let late = parked.expire(at: now).expired
        for read in late { read.finish(RedisError(.deadlineExceeded, "no connection in time")) }
        for case .ready(let handler) in slots { handler.expire(at: now) }
        var next = parked.nextEvent
        if next != nil || staysConnected, let nextTry = fillSlot() { next = min(next ?? nextTry, nextTry) }
        for case .ready(let handler) in slots {
            if let event = handler.nextEvent { next = min(next ?? event, event) }
        }
        if let next { arm(at: max(next, now + Self.timerPause)) }
    }

    private static let closedError = RedisError(.clientClosed, "the client was closed")
}
