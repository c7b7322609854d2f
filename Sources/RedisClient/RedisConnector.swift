internal import Glibc
internal import NIOCore
internal import NIOPosix
internal import NIOSSL

/// Makes connections ready for use: encrypted, authenticated, in their database, with the scripts loaded.
struct RedisConnector: Sendable {
    let endpoint: RedisEndpoint
    let clientName: String
    let scripts: [RedisScript]
    let limits: RedisConnection.Limits
    /// From the first packet to the last reply of the handshake.
    let timeout: Duration
    private let tls: NIOSSLContext?

    /// Reads the CA file; throws `invalidConfiguration` when it can't.
    init(
        endpoint: RedisEndpoint, clientName: String, scripts: [RedisScript], limits: RedisConnection.Limits,
        timeout: Duration
    ) throws(RedisError) {
        self.endpoint = endpoint
        self.clientName = clientName
        self.scripts = scripts
        self.limits = limits
        self.timeout = timeout
        tls = try endpoint.tls.map { options throws(RedisError) in try Self.makeContext(options) }
    }

    /// Connects on a loop of the shared group. Bounded by `timeout`.
    func connect() -> EventLoopFuture<RedisConnection> {
        connect(on: MultiThreadedEventLoopGroup.singleton.next())
    }

    /// Connects on this loop. Bounded by `timeout`.
    func connect(on loop: any EventLoop) -> EventLoopFuture<RedisConnection> {
        _ = ignoresBrokenPipes
        let deadline = ContinuousClock.now + timeout
        let bootstrap = ClientBootstrap(group: loop)
            .connectTimeout(TimeAmount(timeout))
            .channelOption(.socketOption(.tcp_nodelay), value: isTCP ? 1 : 0)
            .channelOption(.writeBufferWaterMark, value: .init(low: 128 << 10, high: 512 << 10))
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try addHandlers(to: channel) }
            }
        let channel =
            switch endpoint.address {
            case .host(let host, let port): bootstrap.connect(host: host, port: port)
            case .unixSocket(let path): bootstrap.connect(unixDomainSocketPath: path)
            }
        return channel.flatMapErrorThrowing { error in
            if let error = error as? RedisError { throw error }
            throw RedisError(
                .connectionFailed, "no connection to the server", detail: "\(endpoint): \(Self.reason(error))")
        }.flatMap { channel in
            greet(channel, deadline: deadline)
        }
    }

    /// Why a connection could not be made, in the system's words.
    private static func reason(_ error: any Error) -> String {
        switch error {
        case let error as IOError: unsafe String(cString: strerror(error.errnoCode))
        case is ChannelError: "no answer in time"
        case let error as NIOConnectionError:
            error.connectionErrors.first.map { reason($0.error) } ?? "the host's name is not known"
        default: "\(error)"
        }
    }

    private var isTCP: Bool {
        if case .host = endpoint.address { true } else { false }
    }

    private func addHandlers(to channel: any Channel) throws {
        if let tls {
            let serverName: String? =
                if case .host(let host, _) = endpoint.address, !isIPAddress(host) { host } else { nil }
            try channel.pipeline.syncOperations.addHandler(
                NIOSSLClientHandler(context: tls, serverHostname: serverName))
        }
        try channel.pipeline.syncOperations.addHandler(RedisChannelHandler(limits: limits))
    }

    /// Sends the handshake as one pipeline and closes the channel unless the server accepts it.
    private func greet(_ channel: any Channel, deadline: ContinuousClock.Instant) -> EventLoopFuture<RedisConnection> {
        let connection: RedisConnection
        do {
            let handler = try channel.pipeline.syncOperations.handler(type: RedisChannelHandler.self)
            connection = RedisConnection(channel: channel, handler: NIOLoopBound(handler, eventLoop: channel.eventLoop))
        } catch {
            // The server hung up before the connection was ours: its handler is gone with the channel.
            return channel.eventLoop.makeFailedFuture(
                RedisError(.connectionFailed, "the server closed the connection at once"))
        }
        return connection.start(0, handshake, deadline: deadline).flatMapThrowing { replies in
            try checkHandshake(replies)
            return connection
        }.flatMapErrorThrowing { error in
            let error = error as? RedisError ?? RedisError(.connectionFailed, "the handshake failed")
            connection.close(error)
            throw error.asConnectFailure
        }
    }

    private var handshake: RedisPipeline {
        var pipeline = RedisPipeline()
        if let password = endpoint.password {
            pipeline.append("AUTH", endpoint.user.map { [.text($0), .text(password)] } ?? [.text(password)])
        }
        if endpoint.database != 0 { pipeline.append("SELECT", .integer(Int64(endpoint.database))) }
        pipeline.append("CLIENT", .text("SETNAME"), .text(clientName))
        for script in scripts { pipeline.append("SCRIPT", .text("LOAD"), .text(script.source)) }
        return pipeline
    }

    private func checkHandshake(_ replies: [RedisReply]) throws(RedisError) {
        var replies = replies[...]
        if endpoint.password != nil, case .error(let reply)? = replies.popFirst() {
            // The text may echo what was sent, so the kind alone is told.
            let kind = reply.kind == .other ? .wrongpass : reply.kind
            throw RedisError(.errorReply(kind), "the server refuses user and password", detail: kind.rawValue)
        }
        if endpoint.database != 0 { try replies.popFirst()?.check() }
        for reply in replies {
            // Name and scripts are best effort: an ACL may forbid either, and a script call brings its source if needed.
            guard case .error(let error) = reply, error.kind != .noperm, error.kind != .other else { continue }
            throw RedisError(error)
        }
    }

    private static func makeContext(_ options: RedisEndpoint.TLS) throws(RedisError) -> NIOSSLContext {
        var configuration = TLSConfiguration.makeClientConfiguration()
        if let file = options.caFile { configuration.trustRoots = .file(file) }
        configuration.certificateVerification = options.verifies ? .fullVerification : .none
        do {
            return try NIOSSLContext(configuration: configuration)
        } catch {
            throw RedisError(.invalidConfiguration, "the CA file cannot be used", detail: "\(error)")
        }
    }
}

extension RedisError {
    /// A connection that never came to be took no effect anywhere.
    fileprivate var asConnectFailure: RedisError {
        switch code {
        case .connectionClosed, .deadlineExceeded, .malformedReply, .replyTooLarge:
            RedisError(.connectionFailed, message, detail: detail)
        case .connectionFailed, .requestTooLarge, .overloaded, .cancelled, .errorReply, .invalidConfiguration,
            .clientClosed:
            self
        }
    }
}

private func isIPAddress(_ host: String) -> Bool {
    (try? SocketAddress(ipAddress: host, port: 0)) != nil
}

/// A peer that goes away while we write must be an error of that connection, not the end of the process.
private let ignoresBrokenPipes: Bool = {
    signal(SIGPIPE, SIG_IGN)
    return true
}()

extension RedisConnector {
    /// A promise for a connection that others may wait for too.
    static func makePromise() -> EventLoopPromise<RedisConnection> {
        MultiThreadedEventLoopGroup.singleton.any().makePromise()
    }
}
