internal import NIOCore

/// Writes pipelines and hands out replies on one channel. Lives on the channel's event loop.
final class RedisChannelHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// One pipeline and who waits for its replies.
    final class Exchange {
        let id: UInt64
        let pipeline: RedisPipeline
        let promise: EventLoopPromise<[RedisReply]>
        let deadline: ContinuousClock.Instant
        var replies: [RedisReply] = []
        var replyBytes = 0

        init(
            id: UInt64, pipeline: RedisPipeline, promise: EventLoopPromise<[RedisReply]>,
            deadline: ContinuousClock.Instant
        ) {
            self.id = id
            self.pipeline = pipeline
            self.promise = promise
            self.deadline = deadline
        }
    }

    /// Bytes handed to the channel at once; between two of them the channel may say that it is full.
    private static let writeSliceBytes = 64 << 10

    private let limits: RedisConnection.Limits
    private var reader: ReplyReader
    private var queue: ExchangeQueue<Exchange, ContinuousClock.Instant>
    private var context: ChannelHandlerContext?
    /// What is left to write of the newest pipeline on the wire.
    private var unwritten = ByteBuffer()
    private var timer: (at: ContinuousClock.Instant, task: Scheduled<Void>)?
    private var ending: RedisError?

    init(limits: RedisConnection.Limits) throws(RedisError) {
        self.limits = limits
        reader = try ReplyReader(limits: limits.reply)
        queue = ExchangeQueue(limits: limits)
    }

    /// Whether every reply came and no byte beyond them: another handler may take over.
    var isIdle: Bool { queue.count == 0 && reader.isDrained && ending == nil }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        end(RedisError(.connectionClosed, "the connection was closed"))
        self.context = nil
    }

    /// Takes a pipeline in; its promise is kept whatever happens.
    func submit(_ exchange: Exchange) {
        if let ending { return exchange.promise.fail(ending) }
        guard exchange.pipeline.count > 0 else { return exchange.promise.succeed([]) }
        let refusal = queue.add(
            id: exchange.id, commands: exchange.pipeline.count, bytes: exchange.pipeline.byteCount,
            deadline: exchange.deadline, now: .now, waiter: exchange)
        if let refusal { return exchange.promise.fail(refusal) }
        exchange.replies.reserveCapacity(exchange.pipeline.count)
        arm(at: exchange.deadline)
        if context?.channel.isActive == true { pump() }
    }

    /// The waiter of a pipeline was cancelled.
    func abandon(_ id: UInt64) {
        queue.abandon(id: id)?.promise.fail(RedisError(.cancelled, "the waiting task was cancelled"))
    }

    /// Ends the connection; everyone who waits gets the error.
    func close(_ error: RedisError) {
        end(error)
        context?.close(promise: nil)
    }

    func channelActive(context: ChannelHandlerContext) {
        pump()
        context.fireChannelActive()
    }

    func channelInactive(context: ChannelHandlerContext) {
        end(RedisError(.connectionClosed, "the server closed the connection"))
        context.fireChannelInactive()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        pump()
        context.fireChannelWritabilityChanged()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        close(RedisError(.connectionClosed, "the connection broke", detail: "\(error)"))
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        do throws(RedisError) {
            while ending == nil, let slice = bytes.readSlice(length: min(bytes.readableBytes, ReplyReader.sliceBytes)),
                slice.readableBytes > 0
            {
                try read(slice)
            }
        } catch {
            close(error)
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        pump()
        context.fireChannelReadComplete()
    }

    private func read(_ slice: ByteBuffer) throws(RedisError) {
        try feed(slice)
        while ending == nil, let (reply, byteCount) = try reader.next() {
            switch queue.replyArrived() {
            case .deliver(let exchange, let completes):
                exchange.replies.append(reply)
                exchange.replyBytes += byteCount
                guard exchange.replyBytes <= limits.reply.totalBytes else {
                    let error = RedisError(.replyTooLarge, "the replies to one pipeline exceed the limit")
                    // With its last reply it left the queue, so that closing would not find it.
                    if completes { exchange.promise.fail(error) }
                    throw error
                }
                if completes { exchange.promise.succeed(exchange.replies) }
            case .swallow: break
            case .unexpected: throw RedisError(.malformedReply, "the server sent a reply that nobody asked for")
            }
        }
    }

    private func feed(_ slice: ByteBuffer) throws(RedisError) {
        var failure: RedisError?
        unsafe slice.withUnsafeReadableBytes { bytes in
            do throws(RedisError) { try unsafe reader.feed(bytes) } catch { failure = error }
        }
        if let failure { throw failure }
    }

    /// Writes while there is room in the channel and in the window.
    private func pump() {
        guard let context, ending == nil, context.channel.isActive else { return }
        var wrote = false
        while context.channel.isWritable {
            if unwritten.readableBytes == 0 {
                guard let exchange = queue.startNext() else { break }
                unwritten = exchange.pipeline.buffer
            }
            let length = min(unwritten.readableBytes, Self.writeSliceBytes)
            guard let slice = unwritten.readSlice(length: length) else { break }
            if unwritten.readableBytes == 0 { unwritten = ByteBuffer() }
            context.write(wrapOutboundOut(slice), promise: nil)
            wrote = true
        }
        if wrote { context.flush() }
    }

    /// Makes sure that `timePassed` runs at `instant` or before.
    private func arm(at instant: ContinuousClock.Instant) {
        guard let context, ending == nil else { return }
        if let timer, timer.at <= instant { return }
        timer?.task.cancel()
        let delay = max(.zero, ContinuousClock.now.duration(to: instant))
        let task = context.eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(delay)) { self.timePassed() }
        timer = (instant, task)
    }

    private func timePassed() {
        timer = nil
        guard ending == nil else { return }
        let (expired, headIsOverdue) = queue.expire(at: .now)
        let error = RedisError(.deadlineExceeded, "the server did not answer in time")
        for exchange in expired { exchange.promise.fail(error) }
        if headIsOverdue {
            close(RedisError(.connectionClosed, "the connection was closed since the server does not answer"))
        } else if let next = queue.nextEvent {
            arm(at: next)
        }
    }

    private func end(_ error: RedisError) {
        guard ending == nil else { return }
        ending = error
        timer?.task.cancel()
        timer = nil
        unwritten = ByteBuffer()
        for exchange in queue.removeAll() { exchange.promise.fail(error) }
    }
}
