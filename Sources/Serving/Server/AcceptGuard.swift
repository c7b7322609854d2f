import Glibc
import NIOCore

/// Keeps a listener calm that can't take the next connection, for lack of descriptors or memory. Stands first in the listener's
/// pipeline, on its loop.
///
/// NIO's listener goes on to look for connections at once when an accept fails, since nothing was read: that takes a core for as long as
/// the shortage lasts. Here it doesn't look for a while, and what comes meanwhile waits in the kernel's backlog.
final class AcceptGuard: ChannelDuplexHandler {
    typealias InboundIn = any Channel
    typealias InboundOut = any Channel
    typealias OutboundIn = Never

    /// How long it doesn't look.
    private static let pause = TimeAmount.milliseconds(100)

    private let onShortage: @Sendable () -> Void
    private var isPaused = false

    /// `onShortage` is called, on the loop, for each connection that could not be taken.
    init(onShortage: @escaping @Sendable () -> Void) {
        self.onShortage = onShortage
    }

    /// Puts one before everything else of a listener.
    static func install(on listener: any Channel, onShortage: @escaping @Sendable () -> Void) {
        listener.eventLoop.execute {
            // A listener that is gone needs none.
            try? listener.pipeline.syncOperations.addHandler(AcceptGuard(onShortage: onShortage), position: .first)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard let error = error as? IOError else { return context.fireErrorCaught(error) }
        switch error.errnoCode {
        case EMFILE, ENFILE, ENOBUFS, ENOMEM: pause(context)
        // That client left; NIO's own back-off would make the next wait for a second.
        case ECONNABORTED: break
        default: context.fireErrorCaught(error)
        }
    }

    func read(context: ChannelHandlerContext) {
        // What was asked for is done at the end of the pause.
        if !isPaused { context.read() }
    }

    private func pause(_ context: ChannelHandlerContext) {
        onShortage()
        guard !isPaused else { return }
        isPaused = true
        // The one way to make the selector let go of it.
        try? context.channel.syncOptions?.setOption(.autoRead, value: false)
        context.eventLoop.assumeIsolated().scheduleTask(in: Self.pause) { [self] in
            isPaused = false
            // Fails when the listener is closed.
            try? context.channel.syncOptions?.setOption(.autoRead, value: true)
        }
    }
}
