import HummingbirdCore
import Logging
import NIOCore
import NIOHTTP1
import NIOHTTPTypesHTTP1

/// The pipeline of an admin connection: encryption where there is to be some, HTTP/1.1, the rules of framing, then Hummingbird.
struct AdminChannel: ServerChildChannel, HTTPChannelHandler {
    typealias Value = HTTP1Channel.Value

    let responder: HTTPChannelHandler.Responder
    let security: ListenerSecurity?

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
        channel.eventLoop.makeCompletedFuture {
            let pipeline = channel.pipeline.syncOperations
            if let security { try security.protect(channel, speaking: .http1) }
            var limits = NIOHTTPDecoderLimitConfiguration()
            limits.maxHeaderFieldSize = AdminLimits.headerBytes
            limits.maxHeaderListSize = AdminLimits.headerBytes
            limits.maxHeaderFieldCount = 64
            try pipeline.addHandlers([
                HTTPResponseEncoder(),
                ByteToMessageHandler(
                    HTTPRequestDecoder(leftOverBytesStrategy: .dropBytes, limitConfiguration: limits)),
                FramingHandler(),
                HTTP1ToHTTPServerCodec(secure: security != nil),
                HTTPConnectionStateHandler(idleTimeout: .seconds(AdminLimits.idleSeconds), logger: logger),
            ])
            return try NIOAsyncChannel(
                wrappingChannelSynchronously: channel, configuration: .init(isOutboundHalfClosureEnabled: true))
        }
    }

    func handle(value: Value, logger: Logger) async { await handleHTTP(asyncChannel: value, logger: logger) }
}

/// Refuses requests whose end somebody on the way may find elsewhere, by the rules that lookups have: what stands behind such a one is
/// read by nobody. The answer comes behind those of the requests before it, and ends the connection.
private final class FramingHandler: ChannelDuplexHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart
    typealias OutboundIn = HTTPServerResponsePart
    typealias OutboundOut = HTTPServerResponsePart

    private var underWay = 0
    private var isInBody = false
    private var refusal: ErrorAnswer?

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard refusal == nil else { return }
        switch unwrapInboundIn(data) {
        case .head(let head):
            if let refusal = Self.refusal(of: head) {
                self.refusal = refusal
                return answer(context)
            }
            underWay += 1
            isInBody = true
        case .body: break
        case .end: isInBody = false
        }
        context.fireChannelRead(data)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard refusal == nil else { return }
        guard error is HTTPParserError, !isInBody else {
            // In the midst of a body the connection just ends: Hummingbird would answer a second time to a request that was
            // answered by its head.
            return context.fireErrorCaught(isInBody ? ChannelError.inputClosed : error)
        }
        refusal = ErrorBody.problem(.malformed, "the request is no HTTP/1.1")
        answer(context)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        let isEnd = if case .end = unwrapOutboundIn(data) { true } else { false }
        context.write(data, promise: promise)
        guard isEnd else { return }
        underWay -= 1
        answer(context)
    }

    private func answer(_ context: ChannelHandlerContext) {
        guard let refusal, underWay == 0 else { return }
        underWay = -1
        let head = HTTPResponseHead(
            version: .http1_1, status: .badRequest,
            headers: [
                "content-type": refusal.contentType, "content-length": "\(refusal.body.readableBytes)",
                "connection": "close",
            ])
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        context.write(wrapOutboundOut(.body(.byteBuffer(refusal.body))), promise: nil)
        let loopBound = NIOLoopBound(context, eventLoop: context.eventLoop)
        // Closing both ways would reset the connection under the answer while requests behind it are unread.
        context.writeAndFlush(wrapOutboundOut(.end(nil))).whenComplete { _ in
            loopBound.value.close(mode: .output, promise: nil)
        }
    }

    private static func refusal(of head: HTTPRequestHead) -> ErrorAnswer? {
        switch HeadFields(head.headers, isOld: head.version != .http1_1).fault {
        case let fault? where fault == .transferEncoding || fault == .host:
            ErrorBody.problem(fault.problem, fault.words)
        default: nil
        }
    }
}
