internal import NIOCore

/// One connection through a proxy, on its loop.
final class ProxyLink {
    private let room: ProxyRoom
    private let client: any Channel
    private var server: (any Channel)?
    /// What waits for the connection to the server, or for the end of a silence.
    private var requests = CircularBuffer<ByteBuffer>()
    private var replies = CircularBuffer<(due: NIODeadline, bytes: ByteBuffer)>()
    private var heldRequestBytes = 0
    private var heldReplyBytes = 0
    private var timer: Scheduled<Void>?
    /// Bytes of replies until the cut.
    private var bytesLeft = Int.max
    private var isEnded = false

    init(_ client: any Channel, room: ProxyRoom) {
        self.client = client
        self.room = room
        applyCut()
    }

    func connected(_ channel: any Channel) {
        guard !isEnded else { return channel.close(promise: nil) }
        server = channel
        pumpRequests()
    }

    func modeChanged() {
        if room.mode == .reset || room.mode == .refuse { return end(resetting: true) }
        applyCut()
        // What waits for its time waits no longer, and what comes next doesn't pass it.
        let now = NIODeadline.now()
        for index in replies.indices where replies[index].due > now { replies[index].due = now }
        pumpRequests()
        pumpReplies()
    }

    private func applyCut() {
        if case .cut(let bytes) = room.mode { bytesLeft = max(0, bytes) } else { bytesLeft = .max }
    }

    // MARK: Bytes

    func requestCame(_ bytes: ByteBuffer) {
        requests.append(bytes)
        heldRequestBytes += bytes.readableBytes
        pumpRequests()
        if heldRequestBytes > FaultProxy.heldBytes { client.setReading(false) }
    }

    func replyCame(_ bytes: ByteBuffer) {
        var due = NIODeadline.now()
        if case .delay(let delay) = room.mode { due = due + delay }
        if let last = replies.last { due = max(due, last.due) }
        replies.append((due, bytes))
        heldReplyBytes += bytes.readableBytes
        pumpReplies()
        if heldReplyBytes > FaultProxy.heldBytes { server?.setReading(false) }
    }

    private func pumpRequests() {
        guard room.mode != .silent, let server, !isEnded, !requests.isEmpty else { return }
        while let bytes = requests.popFirst() { server.write(bytes, promise: nil) }
        server.flush()
        if heldRequestBytes > FaultProxy.heldBytes { client.setReading(true) }
        heldRequestBytes = 0
    }

    private func pumpReplies() {
        guard room.mode != .silent, !isEnded else { return }
        let now = NIODeadline.now()
        let wasFull = heldReplyBytes > FaultProxy.heldBytes
        while !isEnded, let first = replies.first, first.due <= now {
            replies.removeFirst()
            heldReplyBytes -= first.bytes.readableBytes
            forward(first.bytes)
        }
        client.flush()
        if wasFull, heldReplyBytes <= FaultProxy.heldBytes { server?.setReading(true) }
        if let next = replies.first, timer == nil, !isEnded {
            timer = room.eventLoop.assumeIsolated().scheduleTask(deadline: next.due) { [self] () -> Void in
                timer = nil
                pumpReplies()
            }
        }
    }

    private func forward(_ bytes: ByteBuffer) {
        var bytes = bytes
        switch room.mode {
        case .bytewise:
            while let byte = bytes.readSlice(length: 1) { client.writeAndFlush(byte, promise: nil) }
        case .cut where bytes.readableBytes >= bytesLeft:
            guard let part = bytes.readSlice(length: bytesLeft) else { return }
            client.writeAndFlush(part, promise: nil)
            end(resetting: false)
        default:
            if bytesLeft != .max { bytesLeft -= bytes.readableBytes }
            client.write(bytes, promise: nil)
        }
    }

    // MARK: Ends

    /// Closes both sides.
    func end(resetting: Bool = false) {
        guard !isEnded else { return }
        isEnded = true
        timer?.cancel()
        timer = nil
        requests.removeAll()
        replies.removeAll()
        if resetting { client.closeWithReset() } else { client.close(promise: nil) }
        server?.close(promise: nil)
        room.remove(self)
    }
}

extension Channel {
    fileprivate func setReading(_ isReading: Bool) {
        setOption(.autoRead, value: isReading).whenFailure { _ in }
    }
}

/// Brings what comes on one side of a link to it.
final class ProxyHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    enum Side {
        case client
        case server
    }

    private let link: ProxyLink
    private let side: Side

    init(_ link: ProxyLink, side: Side) {
        self.link = link
        self.side = side
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch side {
        case .client: link.requestCame(unwrapInboundIn(data))
        case .server: link.replyCame(unwrapInboundIn(data))
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        link.end(resetting: side == .server)
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        link.end(resetting: true)
    }
}
