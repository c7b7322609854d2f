import HummingbirdCore
import Logging
import NIOCore

/// Hummingbird's own pipeline behind encryption, where there is to be some.
struct SecuredChannel: ServerChildChannel, HTTPChannelHandler {
    typealias Value = HTTP1Channel.Value

    let wrapped: HTTP1Channel
    let security: ListenerSecurity?

    var responder: HTTPChannelHandler.Responder { wrapped.responder }

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
        guard let security else { return wrapped.setup(channel: channel, logger: logger) }
        return channel.eventLoop.makeCompletedFuture {
            try security.protect(channel, speaking: .http1)
        }.flatMap { wrapped.setup(channel: channel, logger: logger) }
    }

    func handle(value: Value, logger: Logger) async { await wrapped.handle(value: value, logger: logger) }
}
