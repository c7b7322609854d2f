package import NIOCore
internal import NIOPosix
package import RedisClient

/// A TCP proxy that treats what passes as a test or a run of `ops/faults` says, changed while connections are open.
///
/// Everything happens on one event loop of its own, so `change` is in force for every connection when its future is
/// fulfilled. It holds back at most `heldBytes` a connection and direction; beyond that it doesn't read.
package final class FaultProxy: Sendable {
    /// What it does with connections and bytes.
    package enum Mode: Sendable, Hashable {
        /// Bytes pass.
        case pass
        /// Replies come that much later, in their order.
        case delay(TimeAmount)
        /// Connections are taken, and no byte passes either way; what was held back passes when this ends.
        case silent
        /// Connections break with RST, open ones now and new ones at once.
        case reset
        /// Nobody listens, and open connections break.
        case refuse
        /// Replies leave byte by byte, each in a packet of its own.
        case bytewise
        /// Each connection breaks after so many more bytes of replies, mostly in the middle of one.
        case cut(afterBytes: Int)
    }

    /// The most that is held back of one direction of a connection.
    static let heldBytes = 4 << 20

    /// Where it listens, on 127.0.0.1.
    package let port: Int
    private let group: MultiThreadedEventLoopGroup
    private let room: NIOLoopBound<ProxyRoom>

    /// Runs `body` beside a proxy in front of `target`.
    package static func with<Result>(
        to target: RedisEndpoint.Address, _ body: (FaultProxy) async throws -> Result
    ) async throws -> Result {
        let proxy = try await onOwnThread { try FaultProxy(to: target) }
        do {
            let result = try await body(proxy)
            await proxy.close()
            return result
        } catch {
            await proxy.close()
            throw error
        }
    }

    /// Begins to listen on a free port. Blocks the thread for that; call `close` at the end.
    package init(to target: RedisEndpoint.Address) throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        do {
            let bound = try loop.submit { NIOLoopBound(ProxyRoom(target, eventLoop: loop), eventLoop: loop) }.wait()
            port = try loop.flatSubmit { bound.value.listen(port: 0) }.wait()
            room = bound
        } catch {
            try group.syncShutdownGracefully()
            throw error
        }
        self.group = group
    }

    /// The proxy as a server of Redis.
    package var topology: RedisTopology {
        RedisTopology(RedisEndpoint(address: .host("127.0.0.1", port: port)))
    }

    /// Changes what it does, for open connections too.
    package func change(to mode: Mode) -> EventLoopFuture<Void> {
        group.next().flatSubmit { [room] in room.value.change(to: mode) }
    }

    /// Changes what it does, and waits until it is in force.
    package func set(_ mode: Mode) async throws { try await change(to: mode).get() }

    /// How many connections are open.
    package func connections() async throws -> Int {
        try await group.next().submit { [room] in room.value.linkCount }.get()
    }

    /// Ends every connection and the listener.
    package func close() async {
        do {
            try await group.next().flatSubmit { [room] in room.value.close() }.get()
            try await group.shutdownGracefully()
        } catch {
            print("the proxy did not end in good order: \(error)")
        }
    }
}
