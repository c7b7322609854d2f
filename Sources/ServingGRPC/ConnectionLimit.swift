import NIOCore
import Synchronization

/// Closes connections above a number, at once.
final class ConnectionLimit: Sendable {
    private let limit: Int
    private let open = Atomic<Int>(0)

    init(_ limit: Int) {
        self.limit = limit
    }

    /// Takes a connection into account, to its end.
    func accepted(_ channel: any Channel) -> EventLoopFuture<Void> {
        let isOver = open.add(1, ordering: .relaxed).newValue > limit
        channel.closeFuture.whenComplete { _ in self.open.subtract(1, ordering: .relaxed) }
        if isOver { channel.close(promise: nil) }
        return channel.eventLoop.makeSucceededVoidFuture()
    }
}
