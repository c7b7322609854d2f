import NIOCore

/// When the request that comes next began: written before the HTTP decoder, read behind it. Of one connection, on its loop.
final class ConnectionStart {
    /// When the first byte of a head came whose end has not; `nil` between two requests.
    var firstByteAt: NIODeadline?
    /// Bytes that came since, while no request is under way.
    var bytes = 0
    /// From when until when the connection wasn't read because the loop had enough to do.
    var hold: (since: NIODeadline, until: NIODeadline)?
    /// Whether bytes that come now begin or continue a head.
    var awaitsHead = true

    /// Bytes that come so soon behind a hold came during it.
    private static let soon = TimeAmount.milliseconds(5)

    /// Since when a request may have waited unread whose first byte was read at an instant; ends the hold's story.
    func takeHold(before firstByte: NIODeadline) -> NIODeadline? {
        guard let hold else { return nil }
        self.hold = nil
        return firstByte - hold.until <= Self.soon ? hold.since : nil
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
