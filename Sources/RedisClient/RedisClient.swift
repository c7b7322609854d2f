internal import NIOCore
internal import Synchronization

/// A few shared connections to the server that the topology names, and the maker of dedicated ones.
///
/// Connections are made when needed and again after they broke, under back-off and a limit of tries a second that
/// dedicated ones share. While a back-off runs, calls fail at once with the reason of the last failure.
package final class RedisClient: Sendable {
    /// How to connect, and how much at once.
    package struct Configuration: Sendable {
        package var topology: RedisTopology
        /// What `CLIENT LIST` shows.
        package var clientName = "tidemark"
        /// Loaded into the server's cache on each connect.
        package var scripts: [RedisScript] = []
        /// Shared connections.
        package var connections = 2
        /// Connections of each `RedisLane`: one or two.
        package var laneConnections = 1
        /// From the first packet to the end of the login.
        package var connectTimeout = Duration.seconds(1)
        /// Connection tries a second, of all kinds.
        package var connectsPerSecond = 10
        /// Dedicated connections that were given back and are kept for the next caller.
        package var spareConnections = 8
        package var limits = RedisConnection.Limits()

        package init(topology: RedisTopology) {
            self.topology = topology
        }
    }

    private enum Slot {
        /// → connecting
        case empty
        /// → ready, or empty when it fails
        case connecting(EventLoopFuture<RedisConnection>)
        /// → connecting when it is found closed
        case ready(RedisConnection)
    }

    private struct State {
        var slots: [Slot]
        var next = 0
        var reconnect: ReconnectMachine
        var dedicated: [RedisConnection] = []
        /// Those of `dedicated` that nobody uses.
        var spare: [RedisConnection] = []
        var isClosed = false
    }

    private enum Choice {
        case use(RedisConnection)
        case wait(EventLoopFuture<RedisConnection>)
        case connect(slot: Int, EventLoopPromise<RedisConnection>)
    }

    /// Where it connects to.
    package let endpoint: RedisEndpoint
    private let connector: RedisConnector
    private let spareConnections: Int
    private let state: Mutex<State>

    /// Connects to nothing yet. Throws `invalidConfiguration` for a CA file that can't be read.
    package init(_ configuration: Configuration) throws(RedisError) {
        endpoint = configuration.topology.primary
        connector = try RedisConnector(
            endpoint: endpoint, clientName: configuration.clientName, scripts: configuration.scripts,
            limits: configuration.limits, timeout: configuration.connectTimeout)
        spareConnections = configuration.spareConnections
        let slots = Array(repeating: Slot.empty, count: max(1, configuration.connections))
        let reconnect = ReconnectMachine(limits: .init(perSecond: max(1, configuration.connectsPerSecond)))
        state = Mutex(State(slots: slots, reconnect: reconnect))
    }

    /// Sends commands over a shared connection and decodes the replies: see `RedisConnection.send`. Those said to be
    /// `idempotent` are sent once more when the connection breaks before the answer.
    package func send<Answer>(
        _ pipeline: RedisPipeline, deadline: ContinuousClock.Instant, idempotent: Bool,
        decode: ([RedisReply]) throws(RedisError) -> Answer
    ) async throws(RedisError) -> Answer {
        do {
            return try await lease(deadline: deadline).send(pipeline, deadline: deadline, decode: decode)
        } catch {
            guard idempotent, error.code == .connectionClosed, ContinuousClock.now < deadline else { throw error }
        }
        return try await lease(deadline: deadline).send(pipeline, deadline: deadline, decode: decode)
    }

    /// A connection of the caller's own, who closes it or gives it back.
    package func makeConnection(deadline: ContinuousClock.Instant) async throws(RedisError) -> RedisConnection {
        if let spare = takeSpare() { return spare }
        try admit()
        let connection = try await value(of: connect(), by: deadline)
        let isClosed = state.withLock { state in
            state.dedicated.removeAll { !$0.isOpen }
            if !state.isClosed { state.dedicated.append(connection) }
            return state.isClosed
        }
        guard isClosed else { return connection }
        await connection.close()
        throw Self.closedError
    }

    /// Takes a dedicated connection back, for the next who asks for one: whoever works in short turns need not log in for
    /// each. Nothing may be under way on it.
    package func giveBack(_ connection: RedisConnection) async {
        let isKept = state.withLock { state in
            guard !state.isClosed, connection.isOpen, state.spare.count < spareConnections else { return false }
            state.spare.append(connection)
            return true
        }
        if !isKept { await connection.close() }
    }

    private func takeSpare() -> RedisConnection? {
        state.withLock { state in
            while let spare = state.spare.popLast() {
                if spare.isOpen { return spare }
            }
            return nil
        }
    }

    /// Closes every connection, dedicated ones too. Later calls fail with `clientClosed`.
    package func close() async {
        let (slots, dedicated) = state.withLock { state in
            state.isClosed = true
            defer {
                state.slots = state.slots.map { _ in .empty }
                state.dedicated = []
                state.spare = []
            }
            return (state.slots, state.dedicated)
        }
        for connection in dedicated { await connection.close() }
        for slot in slots {
            switch slot {
            case .empty: break
            case .ready(let connection): await connection.close()
            case .connecting(let future):
                // It is bounded by the connect timeout; whoever waits for it finds it closed.
                if let connection = try? await future.get() { await connection.close() }
            }
        }
    }

    private func lease(deadline: ContinuousClock.Instant) async throws(RedisError) -> RedisConnection {
        let choice: Result<Choice, RedisError> = state.withLock { state in
            guard !state.isClosed else { return .failure(Self.closedError) }
            return Self.choose(&state)
        }
        switch choice {
        case .failure(let error):
            throw error
        case .success(.use(let connection)):
            return connection
        case .success(.wait(let future)):
            return try await value(of: future, by: deadline)
        case .success(.connect(let slot, let promise)):
            let future = connect()
            future.whenComplete { [self] result in settle(slot, result) }
            future.cascade(to: promise)
            return try await value(of: promise.futureResult, by: deadline)
        }
    }

    private static func choose(_ state: inout State) -> Result<Choice, RedisError> {
        let first = state.next
        state.next = (state.next + 1) % state.slots.count
        var refusal: RedisError?
        var pending: EventLoopFuture<RedisConnection>?
        for offset in state.slots.indices {
            let index = (first + offset) % state.slots.count
            switch state.slots[index] {
            case .ready(let connection) where connection.isOpen: return .success(.use(connection))
            case .connecting(let future): pending = future
            case .ready, .empty:
                refusal = refuse(&state)
                guard refusal == nil else { continue }
                let promise = RedisConnector.makePromise()
                state.slots[index] = .connecting(promise.futureResult)
                return .success(.connect(slot: index, promise))
            }
        }
        // Others make a connection already: better to wait for theirs than for none.
        return pending.map { .success(.wait($0)) } ?? .failure(refusal ?? closedError)
    }

    private func settle(_ slot: Int, _ result: Result<RedisConnection, any Error>) {
        let leftover: RedisConnection? = state.withLock { state in
            guard case .success(let connection) = result else {
                if !state.isClosed { state.slots[slot] = .empty }
                return nil
            }
            guard !state.isClosed else { return connection }
            state.slots[slot] = .ready(connection)
            return nil
        }
        leftover?.close(Self.closedError)
    }

    private func admit() throws(RedisError) {
        let refusal = state.withLock { state in state.isClosed ? Self.closedError : Self.refuse(&state) }
        if let refusal { throw refusal }
    }

    /// Why no connection may be tried now, if so.
    private static func refuse(_ state: inout State) -> RedisError? {
        guard state.reconnect.admit(at: .now) != nil else { return nil }
        return state.reconnect.lastFailure
            ?? RedisError(.connectionFailed, "the limit of connection tries a second is reached")
    }

    private func connect() -> EventLoopFuture<RedisConnection> {
        let future = connector.connect()
        future.whenComplete { [self] result in
            let chance = Double.random(in: 0...1)
            state.withLock { state in
                switch result {
                case .success: state.reconnect.connected()
                case .failure(let error):
                    let error = error as? RedisError ?? RedisError(.connectionFailed, "no connection to the server")
                    state.reconnect.failed(error, at: .now, chance: chance)
                }
            }
        }
        return future
    }

    private static let closedError = RedisError(.clientClosed, "the client was closed")
}
