import HummingbirdCore
import Logging
import NIOCore
import NIOHTTP1
import NIOHTTPTypes
import NIOHTTPTypesHTTP1

/// The pipeline of a connection: HTTP/1.1, then the fast lane, then Hummingbird for what the lane passes on.
///
/// The lane stands before the conversion to `HTTPTypes`, which costs more than a lookup's own work.
struct FastLaneChannel: ServerChildChannel, HTTPChannelHandler {
    typealias Value = NIOAsyncChannel<HTTPRequestPart, HTTPResponsePart>

    let serving: ServingContext
    let responder: HTTPChannelHandler.Responder

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
        channel.eventLoop.makeCompletedFuture {
            let pipeline = channel.pipeline.syncOperations
            if let security = serving.security { try security.protect(channel, speaking: .http1) }
            let start = ConnectionStart()
            var limits = NIOHTTPDecoderLimitConfiguration()
            let settings = serving.liveSettings
            limits.maxHeaderFieldSize = settings.headerBytes
            limits.maxHeaderListSize = settings.headerBytes
            limits.maxHeaderFieldCount = settings.headers
            try pipeline.addHandlers([
                FirstByteHandler(start),
                HTTPResponseEncoder(),
                ByteToMessageHandler(
                    HTTPRequestDecoder(leftOverBytesStrategy: .dropBytes, limitConfiguration: limits)),
                FastLaneHandler(room: serving.room(of: channel.eventLoop), start: start),
                HTTP1ToHTTPServerCodec(secure: serving.security != nil),
                // Its idle time would not see the lookups; the lane keeps the time for it.
                HTTPConnectionStateHandler(idleTimeout: nil, logger: logger),
            ])
            return try NIOAsyncChannel(
                wrappingChannelSynchronously: channel, configuration: .init(isOutboundHalfClosureEnabled: true))
        }
    }

    func handle(value: Value, logger: Logger) async {
        await handleHTTP(asyncChannel: value, logger: logger)
    }
}
