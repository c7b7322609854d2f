import NIOCore

/// When the request that comes next began: written before the HTTP decoder, read behind it. Of one connection, on its loop.
final class ConnectionStart {
    /// When the first byte of a head came whose end has not; `nil` between two requests.
    var firstByteAt: NIODeadline?
    /// Bytes that came since, while no request is under way.
    var bytes = 0
    /// Since when the connection wasn't read because the loop had enough to do, and with which batch it was released.
    var hold: (since: NIODeadline, batch: UInt64)?
    /// Whether bytes that come now begin or continue a head.
    var awaitsHead = true

    /// Since when a request may have waited unread whose first byte was just read; ends the hold's story. What the loop didn't find
    /// when it looked at its sockets behind the release, in a batch before `latest`, came later.
    func takeHold(latest: UInt64) -> NIODeadline? {
        defer { hold = nil }
        return hold.flatMap { $0.batch >= latest ? $0.since : nil }
    }
}

/// Notes when a request's first byte comes. Stands before the HTTP decoder, which tells of a head only when it is complete.
final class FirstByteHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private let start: ConnectionStart

    init(_ start: ConnectionStart) {
        self.start = start
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if start.awaitsHead {
            if start.firstByteAt == nil { start.firstByteAt = .now() }
            start.bytes += unwrapInboundIn(data).readableBytes
        }
        context.fireChannelRead(data)
    }
}
