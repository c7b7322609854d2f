import NIOCore
import NIOPosix

/// Sends requests when they are due and notes what becomes of them. On one event loop.
final class Generator {
    /// How many connections are opened at once.
    private static let connecting = 64
    /// Requests that are due within this leave together.
    private static let tick = TimeAmount.microseconds(200)
    /// How long behind its deadline an answer is still waited for at the end.
    private static let patience = TimeAmount.seconds(3)
    private static let reconnectPause = TimeAmount.milliseconds(5)

    let plan: LoadPlan
    private let eventLoop: any EventLoop
    private var phases: [Phase] = []
    private var idle = CircularBuffer<LoadConnection>()
    private var due = CircularBuffer<(at: NIODeadline, phase: Int)>()
    private var nextDue = NIODeadline.now()
    private var nextRequest = 0
    private var busy = 0
    private var isAsking = false
    private var isOver = false
    private var refusedConnections = 0
    private var ending: EventLoopPromise<Void>?

    init(_ plan: LoadPlan, eventLoop: any EventLoop) {
        self.plan = plan
        self.eventLoop = eventLoop
    }

    // MARK: The run

    /// Opens the connections.
    func connect() -> EventLoopFuture<Void> {
        let promise = eventLoop.makePromise(of: Void.self)
        open(plan.connections, promise)
        return promise.futureResult
    }

    private func open(_ rest: Int, _ promise: EventLoopPromise<Void>) {
        guard rest > 0 else { return promise.succeed(()) }
        let batch = (0..<min(rest, Self.connecting)).map { _ in makeConnection() }
        EventLoopFuture.andAllSucceed(batch, on: eventLoop).assumeIsolated().whenComplete { [self] result in
            switch result {
            case .success: open(rest - batch.count, promise)
            case .failure(let error): promise.fail(error)
            }
        }
    }

    func begin(phase name: String) {
        let now = NIODeadline.now()
        if !phases.isEmpty { phases[phases.count - 1].end(at: now) }
        phases.append(Phase(name, at: now, deadline: plan.deadline))
        guard !isAsking else { return }
        isAsking = true
        nextDue = now
        if plan.interval != nil { return passed() }
        let ready = idle
        idle.removeAll()
        for connection in ready { send(on: connection, due: now, phase: phases.count - 1) }
    }

    /// Asks no more, waits for what is under way, and returns what was seen.
    func end() -> EventLoopFuture<[Summary]> {
        let now = NIODeadline.now()
        if !phases.isEmpty { phases[phases.count - 1].end(at: now) }
        isOver = true
        let promise = eventLoop.makePromise(of: Void.self)
        ending = promise
        let timer = eventLoop.assumeIsolated().scheduleTask(in: plan.deadline + Self.patience) { [self] () -> Void in
            ending = nil
            promise.succeed(())
        }
        endIfDone()
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        return promise.futureResult.map {
            timer.cancel()
            return bound.value.summaries()
        }
    }

    private func summaries() -> [Summary] {
        let now = NIODeadline.now()
        for request in due { phases[request.phase].count(.unsent, due: request.at, now: now) }
        // Whoever is still out has no answer; the latest phase stands for all.
        for _ in 0..<busy { phases[phases.count - 1].count(.unanswered, due: now, now: now) }
        return phases.map { $0.summary() }
    }

    private func endIfDone() {
        guard isOver, busy == 0, let ending else { return }
        self.ending = nil
        ending.succeed(())
    }

    // MARK: The clock

    private func passed() {
        guard !isOver, let interval = plan.interval else { return }
        let now = NIODeadline.now()
        while nextDue <= now {
            due.append((nextDue, phases.count - 1))
            nextDue = nextDue + interval
        }
        sendDue(now)
        eventLoop.assumeIsolated().scheduleTask(deadline: max(nextDue, now + Self.tick)) { [self] () -> Void in passed()
        }
    }

    private func sendDue(_ now: NIODeadline) {
        while let first = due.first {
            if now - first.at > plan.poolPatience {
                due.removeFirst()
                phases[first.phase].count(.unsent, due: first.at, now: now)
                continue
            }
            guard let connection = idle.popFirst() else { return }
            due.removeFirst()
            send(on: connection, due: first.at, phase: first.phase)
        }
    }

    private func send(on connection: LoadConnection, due: NIODeadline, phase: Int) {
        nextRequest = nextRequest + 1 == plan.requests.exchanges.count ? 0 : nextRequest + 1
        busy += 1
        connection.send(nextRequest, due: due, phase: phase)
    }

    // MARK: Connections

    private func makeConnection() -> EventLoopFuture<Void> {
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        return ClientBootstrap(group: eventLoop)
            .connectTimeout(.seconds(5))
            .channelOption(.socketOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(LoadConnection(bound.value))
                }
            }
            .connect(host: "127.0.0.1", port: plan.port).map { _ in }
    }

    /// A connection may be used.
    func isIdle(_ connection: LoadConnection) {
        guard isAsking, !isOver else { return idle.append(connection) }
        let now = NIODeadline.now()
        if plan.interval == nil { return send(on: connection, due: now, phase: phases.count - 1) }
        idle.append(connection)
        sendDue(now)
    }

    /// The request of a connection is over.
    func ended(
        _ request: LoadConnection.Request, _ verdict: Verdict, status: Int? = nil
    ) {
        busy -= 1
        let now = NIODeadline.now()
        if let status {
            phases[request.phase].answered(
                verdict, status: status, due: request.due, sent: request.sent, now: now)
        } else {
            phases[request.phase].count(verdict.fate, due: request.due, now: now)
        }
        endIfDone()
    }

    /// A connection is gone: another takes its place.
    func isGone(_ connection: LoadConnection) {
        idle.removeAll { $0 === connection }
        reconnect()
    }

    private func reconnect() {
        guard !isOver else { return }
        makeConnection().assumeIsolated().whenFailure { [self] _ in
            refusedConnections += 1
            eventLoop.assumeIsolated().scheduleTask(in: Self.reconnectPause) { [self] () -> Void in reconnect() }
        }
    }
}
