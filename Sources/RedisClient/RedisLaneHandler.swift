internal import NIOCore

/// Writes the reads of a lane and forwards their answers on one channel. Lives on the channel's event loop.
final class RedisLaneHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// Requests are copied together up to here, so that those of one tick are one write.
    private static let writeBytes = 64 << 10

    private let limits: RedisConnection.Limits
    private let replies: LaneReplies
    private var reader: RESPReader
    private var queue: ExchangeQueue<LaneRead, NIODeadline>
    private var context: ChannelHandlerContext?
    private var unwritten = ByteBuffer()
    private var isPumpScheduled = false
    private var ending: RedisError?
    private weak var lane: RedisLane?

    init(limits: RedisConnection.Limits, lane: RedisLane?) throws(RedisError) {
        self.limits = limits
        self.lane = lane
        replies = LaneReplies(limits: limits.reply)
        reader = try RESPReader(replies, limits: limits.reply)
        queue = ExchangeQueue(limits: limits)
    }

    /// Whether a read would be sent now.
    var hasRoom: Bool { ending == nil && queue.hasRoom }

    /// How much is under way.
    var load: Int { queue.commandsOnWire + queue.count }

    /// When `expire` must be called again.
    var nextEvent: NIODeadline? { queue.nextEvent }

    /// Takes a read in, or says why not. It leaves with the others of this tick.
    func submit(_ read: LaneRead, now: NIODeadline) -> RedisError? {
        let refusal = queue.add(
            id: read.token, commands: read.commands, bytes: read.request.readableBytes, deadline: read.deadline,
            now: now, waiter: read)
        if refusal == nil { schedulePump() }
        return refusal
    }

    /// Leaves an orphan slot for a read on the wire. `false` when it isn't here.
    func abandon(_ token: UInt64) -> Bool {
        guard let read = queue.abandon(id: token) else { return false }
        read.forget()
        return true
    }

    /// Time passed.
    func expire(at now: NIODeadline) {
        let (expired, headIsOverdue) = queue.expire(at: now)
        for read in expired { read.finish(RedisError(.deadlineExceeded, "the server did not answer in time")) }
        if headIsOverdue {
            close(RedisError(.connectionClosed, "the connection was closed since the server does not answer"))
        }
    }

    /// Ends the connection; the lane gets back what is under way.
    func close(_ error: RedisError) {
        end(error)
        context?.close(promise: nil)
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        end(RedisError(.connectionClosed, "the connection was closed"))
        self.context = nil
    }

    func channelInactive(context: ChannelHandlerContext) {
        end(RedisError(.connectionClosed, "the server closed the connection"))
        context.fireChannelInactive()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if queue.isWaiting { schedulePump() }
        context.fireChannelWritabilityChanged()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        close(RedisError(.connectionClosed, "the connection broke", detail: "\(error)"))
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        while ending == nil, let slice = bytes.readSlice(length: min(bytes.readableBytes, RESPReader.sliceBytes)),
            slice.readableBytes > 0
        {
            do throws(RedisError) {
                try read(slice)
            } catch {
                // Only the read whose answer it was is to blame.
                blame(replies.read, error)
            }
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        if queue.isWaiting { schedulePump() }
        context.fireChannelReadComplete()
    }

    private func read(_ slice: ByteBuffer) throws(RedisError) {
        try feed(slice)
        repeat {
            replies.expect(queue.head)
            guard try reader.advance() else { return }
            replyCame()
        } while ending == nil
    }

    private func feed(_ slice: ByteBuffer) throws(RedisError) {
        var failure: RedisError?
        unsafe slice.withUnsafeReadableBytes { bytes in
            do throws(RedisError) { try unsafe reader.feed(bytes) } catch { failure = error }
        }
        if let failure { throw failure }
    }

    private func replyCame() {
        // An answer may have ended the lane from inside of the reader: then the queue is empty already.
        guard ending == nil, case .deliver(let read, let completes) = queue.replyArrived(), completes else { return }
        if let refusal = read.refusal {
            read.finish(refusal)
            if case .errorReply(let kind) = refusal.code, kind.isConnectionFatal {
                close(RedisError(.connectionClosed, "the connection was closed as useless", detail: refusal.detail))
            }
        } else if read.received == read.keys {
            read.finish(nil)
        } else {
            blame(read, RedisError(.malformedReply, "the answers have too few elements"))
        }
    }

    private func blame(_ read: LaneRead?, _ error: RedisError) {
        if let read {
            _ = queue.abandon(id: read.token)
            read.finish(error)
        }
        close(RedisError(.connectionClosed, "the connection was closed since the server is out of step"))
    }

    private func schedulePump() {
        guard !isPumpScheduled, let context, ending == nil else { return }
        isPumpScheduled = true
        // Runs at the end of this tick, after all channels that had something to read.
        context.eventLoop.assumeIsolated().execute { self.pump() }
    }

    /// Writes while there is room in the channel and in the window.
    func pump() {
        isPumpScheduled = false
        guard let context, ending == nil else { return }
        var wrote = false
        while context.channel.isWritable, gather() {
            context.write(wrapOutboundOut(unwritten), promise: nil)
            wrote = true
        }
        if wrote { context.flush() }
    }

    /// Fills `unwritten` with the next requests. `false` when there is none or no room.
    private func gather() -> Bool {
        // Takes the same memory again, unless the channel still holds it.
        unwritten.clear()
        while unwritten.readableBytes < Self.writeBytes, let read = queue.startNext() {
            read.wasSent = true
            unwritten.writeImmutableBuffer(read.request)
        }
        return unwritten.readableBytes > 0
    }

    private func end(_ error: RedisError) {
        guard ending == nil else { return }
        ending = error
        unwritten = ByteBuffer()
        let reads = queue.removeAll()
        guard let lane else {
            for read in reads { read.finish(error) }
            return
        }
        lane.connectionEnded(self, error, leaving: reads)
    }
}
