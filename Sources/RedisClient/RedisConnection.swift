internal import NIOCore
internal import Synchronization

/// One connection to one server. Pipelines of many tasks may be on their way at once; each gets its own replies.
///
/// Owned by whoever made it, who closes it. A cancelled or late `send` leaves the connection in step.
package final class RedisConnection: Sendable {
    /// What a connection holds at most. Beyond it a call is refused before anything is sent.
    package struct Limits: Hashable, Sendable {
        /// Commands of one pipeline.
        package var pipelineCommands = 16_384
        /// Bytes of one pipeline.
        package var pipelineBytes = 64 << 20
        /// Commands sent and not yet answered; a pipeline waits for room. The first one may be larger.
        package var commandsOnWire = 8_192
        /// Bytes sent and not yet answered in full; a pipeline waits for room. The first one may be larger.
        package var bytesOnWire = 4 << 20
        /// Pipelines that wait for room.
        package var waitingPipelines = 1_024
        /// Bytes of pipelines that wait for room.
        package var waitingBytes = 64 << 20
        /// How long after the deadline of the oldest pipeline the connection is given up.
        package var headGrace = Duration.seconds(2)
        package var reply = RedisReplyLimits()

        package init() {}
    }

    let channel: any Channel
    private let handler: NIOLoopBound<RedisChannelHandler>
    private let identifiers = Atomic<UInt64>(0)

    init(channel: any Channel, handler: NIOLoopBound<RedisChannelHandler>) {
        self.channel = channel
        self.handler = handler
    }

    /// Whether it still is of use.
    package var isOpen: Bool { channel.isActive }

    /// Sends commands and waits for one reply each, in order. Error replies are replies, not errors.
    ///
    /// A script that the server forgot is sent again with its source, that call alone. An error reply that makes the
    /// connection useless closes it.
    package func send(
        _ pipeline: RedisPipeline, deadline: ContinuousClock.Instant
    ) async throws(RedisError) -> [RedisReply] {
        try await submit(pipeline, deadline: deadline).replies()
    }

    /// Sends commands and lets `decode` make sense of the replies. Where it can't (`malformedReply`), the connection is
    /// closed: who answers out of step once is never trusted again.
    package func send<Answer>(
        _ pipeline: RedisPipeline, deadline: ContinuousClock.Instant,
        decode: ([RedisReply]) throws(RedisError) -> Answer
    ) async throws(RedisError) -> Answer {
        try await submit(pipeline, deadline: deadline).replies(decode)
    }

    /// Puts commands on their way, in the order of the calls, and returns at once.
    package func submit(_ pipeline: RedisPipeline, deadline: ContinuousClock.Instant) -> RedisExchange {
        let id = identifiers.wrappingAdd(1, ordering: .relaxed).newValue
        return RedisExchange(
            connection: self, id: id, pipeline: pipeline, deadline: deadline,
            future: start(id, pipeline, deadline: deadline))
    }

    /// Closes the connection; everyone who waits gets `clientClosed`.
    package func close() async {
        close(RedisError(.clientClosed, "the connection was closed by its owner"))
        do { try await channel.closeFuture.get() } catch { return }
    }

    func start(
        _ id: UInt64, _ pipeline: RedisPipeline, deadline: ContinuousClock.Instant
    ) -> EventLoopFuture<[RedisReply]> {
        precondition(pipeline.isComplete, "a command lacks arguments")
        let promise = channel.eventLoop.makePromise(of: [RedisReply].self)
        let handler = handler
        channel.eventLoop.execute {
            handler.value.submit(.init(id: id, pipeline: pipeline, promise: promise, deadline: deadline))
        }
        return promise.futureResult
    }

    /// Gives the channel to another handler, on its event loop. Throws `malformedReply` unless everything that was asked is
    /// answered and nothing else came.
    func handOver(to successor: RedisLaneHandler) throws {
        let operations = channel.pipeline.syncOperations
        let predecessor = handler.value
        guard channel.isActive, predecessor.isIdle else {
            let error = RedisError(.malformedReply, "the connection is not in step after the handshake")
            predecessor.close(error)
            throw error
        }
        try operations.addHandler(successor)
        // Leaves at once, since it is asked on the loop.
        operations.removeHandler(predecessor, promise: nil)
    }

    func abandon(_ id: UInt64) {
        let handler = handler
        channel.eventLoop.execute { handler.value.abandon(id) }
    }

    func close(_ error: RedisError) {
        let handler = handler
        channel.eventLoop.execute { handler.value.close(error) }
    }
}

/// A pipeline on its way. Someone should ask for its replies; nothing is lost but the answer if nobody does.
package struct RedisExchange: Sendable {
    let connection: RedisConnection
    let id: UInt64
    let pipeline: RedisPipeline
    let deadline: ContinuousClock.Instant
    let future: EventLoopFuture<[RedisReply]>

    /// Waits for the replies: see `RedisConnection.send`.
    package func replies() async throws(RedisError) -> [RedisReply] {
        var replies = try await wait()
        var forgotten: Set<Int> = []
        for (index, reply) in replies.enumerated() {
            guard case .error(let error) = reply else { continue }
            if error.kind == .noscript { forgotten.insert(index) }
            if error.kind.isConnectionFatal {
                connection.close(
                    RedisError(.connectionClosed, "the connection was closed as useless", detail: error.text))
            }
        }
        guard !forgotten.isEmpty else { return replies }
        let (again, positions) = pipeline.evaluating(forgotten)
        let answers = try await connection.submit(again, deadline: deadline).wait()
        for (position, answer) in zip(positions, answers) { replies[position] = answer }
        return replies
    }

    /// Waits for the replies and decodes them: see `RedisConnection.send`.
    package func replies<Answer>(
        _ decode: ([RedisReply]) throws(RedisError) -> Answer
    ) async throws(RedisError) -> Answer {
        let replies = try await replies()
        do {
            return try decode(replies)
        } catch {
            if error.code == .malformedReply { connection.close(error) }
            throw error
        }
    }

    private func wait() async throws(RedisError) -> [RedisReply] {
        do {
            return try await withTaskCancellationHandler {
                try await future.get()
            } onCancel: {
                connection.abandon(id)
            }
        } catch let error as RedisError {
            throw error
        } catch {
            throw RedisError(.connectionClosed, "the connection broke", detail: "\(error)")
        }
    }
}
