internal import NIOCore
internal import NIOPosix
internal import RedisClient

/// The listener of a proxy and its connections, on the proxy's loop.
final class ProxyRoom {
    let eventLoop: any EventLoop
    private(set) var mode = FaultProxy.Mode.pass
    private let target: RedisEndpoint.Address
    private var listener: (any Channel)?
    private var port = 0
    private var links: [ObjectIdentifier: ProxyLink] = [:]

    init(_ target: RedisEndpoint.Address, eventLoop: any EventLoop) {
        self.target = target
        self.eventLoop = eventLoop
    }

    var linkCount: Int { links.count }

    /// Listens; returns the port.
    func listen(port: Int) -> EventLoopFuture<Int> {
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        return ServerBootstrap(group: eventLoop)
            .serverChannelOption(.backlog, value: 256)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.socketOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try bound.value.accept(channel) }
            }
            .bind(host: "127.0.0.1", port: port)
            .map { channel in
                let room = bound.value
                room.listener = channel
                room.port = channel.localAddress?.port ?? port
                return room.port
            }
    }

    func change(to mode: FaultProxy.Mode) -> EventLoopFuture<Void> {
        self.mode = mode
        for link in Array(links.values) { link.modeChanged() }
        guard mode == .refuse else {
            return listener == nil ? listen(port: port).map { _ in } : eventLoop.makeSucceededVoidFuture()
        }
        guard let listener else { return eventLoop.makeSucceededVoidFuture() }
        self.listener = nil
        return listener.close()
    }

    func close() -> EventLoopFuture<Void> {
        for link in Array(links.values) { link.end() }
        guard let listener else { return eventLoop.makeSucceededVoidFuture() }
        self.listener = nil
        return listener.close()
    }

    func remove(_ link: ProxyLink) { links[ObjectIdentifier(link)] = nil }

    private func accept(_ client: any Channel) throws {
        if mode == .reset { return client.closeWithReset() }
        let link = ProxyLink(client, room: self)
        links[ObjectIdentifier(link)] = link
        try client.pipeline.syncOperations.addHandler(ProxyHandler(link, side: .client))
        let bound = NIOLoopBound(link, eventLoop: eventLoop)
        let bootstrap = ClientBootstrap(group: eventLoop)
            .connectTimeout(.seconds(5))
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(ProxyHandler(bound.value, side: .server))
                }
            }
        let connected =
            switch target {
            case .host(let host, let port):
                bootstrap.channelOption(.socketOption(.tcp_nodelay), value: 1).connect(host: host, port: port)
            case .unixSocket(let path): bootstrap.connect(unixDomainSocketPath: path)
            }
        connected.assumeIsolated().whenComplete { result in
            switch result {
            case .success(let channel): link.connected(channel)
            // As if nobody listened.
            case .failure: link.end(resetting: true)
            }
        }
    }
}

extension Channel {
    /// Closes so that the other side sees the connection broken; a Unix socket is closed as always.
    func closeWithReset() {
        guard let options = self as? any SocketOptionProvider else { return close(promise: nil) }
        options.setSoLinger(linger(l_onoff: 1, l_linger: 0)).whenComplete { _ in self.close(promise: nil) }
    }
}
