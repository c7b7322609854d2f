package import FeatureModel
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import Logging
import NIOCore
package import OnlineStore
package import Recommend
import ServiceLifecycle
package import Serving
import ServingProtos
import Synchronization

/// The gRPC listener. On graceful shutdown it stops to listen, lets running calls end, and ends those that take too long.
package struct GRPCDaemon: Service {
    private let serving: ServingContext
    private let store: any OnlineStore
    private let recommender: Recommender
    private let settings: GRPCSettings
    private let version: String
    private let onListening: @Sendable (NetworkAddress) -> Void

    /// Why the address can't be listened on.
    package struct ListenError: Error, CustomStringConvertible {
        package let address: NetworkAddress
        /// Of the system; `nil` where it wasn't the system that refused.
        package let errnoCode: Int32?
        package let reason: String

        package var description: String { "can't listen on \(address): \(reason)" }
    }

    /// `store` is where rows are, `recommender` the one of HTTP. `version` is what GetFeastServingInfo says. `onListening` is
    /// called once, when connections are taken, with the port that it got.
    package init(
        _ serving: ServingContext, store: any OnlineStore, recommender: Recommender, settings: GRPCSettings,
        version: String, onListening: @escaping @Sendable (NetworkAddress) -> Void = { _ in }
    ) {
        self.serving = serving
        self.store = store
        self.recommender = recommender
        self.settings = settings
        self.version = version
        self.onListening = onListening
    }

    /// Serves until graceful shutdown.
    ///
    /// - Throws: `ListenError` when the address can't be listened on.
    package func run() async throws {
        let transport = HTTP2ServerTransport.Posix(
            address: try Self.resolve(settings.address), transportSecurity: .plaintext, config: configuration)
        let server = GRPCServer(
            transport: ShieldedTransport(wrapped: transport, messageBytes: settings.messageBytes), services: services)
        let stop = StopFlag()
        do {
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                tasks.addTask { try await server.serve() }
                tasks.addTask { [settings, onListening, stop] in
                    guard let address = try? await transport.listeningAddress else { return }
                    onListening(
                        NetworkAddress(
                            host: settings.address.host,
                            port: address.ipv4?.port ?? address.ipv6?.port ?? settings.address.port))
                    // Runs until the listener is gone, or says when its time is over.
                    do { try await gracefulShutdown() } catch { return }
                    stop.begin()
                    server.beginGracefulShutdown()
                    try? await Task.sleep(for: settings.drain)
                }
                try await tasks.next()
                tasks.cancelAll()
                try await tasks.waitForAll()
            }
        } catch {
            // What is cut off at the end of its time ends with an error of its own.
            if stop.hasBegun || Task.isCancelled { return }
            throw Self.listenError(error, settings.address)
        }
    }

    private var services: [any RegistrableRPCService] {
        let calls = CallGuard(serving, callsBeingRead: settings.callsBeingRead)
        let lookup = GRPCLookup(serving, store)
        let names = [
            Tidemark_V1_FeatureService.descriptor, Tidemark_V1_RecommendService.descriptor,
            Feast_Serving_ServingService.descriptor,
        ].map(\.fullyQualifiedService)
        return [
            FeatureServiceCalls(calls: calls, lookup: lookup),
            RecommendServiceCalls(calls: calls, intake: RecommendIntake(serving, recommender)),
            FeastServiceCalls(calls: calls, lookup: lookup, version: version),
            HealthCalls(serving, settings, services: names + [Grpc_Health_V1_Health.descriptor.fullyQualifiedService]),
        ]
    }

    private var configuration: HTTP2ServerTransport.Posix.Config {
        let connections = ConnectionLimit(settings.connections)
        return .defaults { config in
            config.rpc.maxRequestPayloadSize = 2 * settings.messageBytes
            config.http2.maxConcurrentStreams = settings.streamsPerConnection
            config.http2.targetWindowSize = 1 << 20
            config.connection.maxIdleTime = settings.idleTimeout
            config.connection.maxAge = settings.connectionAge
            config.connection.maxGraceTime = settings.drain
            config.connection.keepalive.time = .seconds(60)
            config.connection.keepalive.timeout = .seconds(20)
            config.connection.keepalive.clientBehavior.minPingIntervalWithoutCalls = .seconds(10)
            config.connection.keepalive.clientBehavior.allowWithoutCalls = true
            config.channelDebuggingCallbacks.onBindTCPListener = { [serving] listener in
                serving.listens(on: listener)
                return listener.eventLoop.makeSucceededVoidFuture()
            }
            let security = serving.security
            config.channelDebuggingCallbacks.onAcceptTCPConnection = { channel in
                do {
                    // Not the transport's own TLS: that one keeps the client authorities of its start for ever.
                    try security?.protect(channel, speaking: .http2)
                } catch {
                    return channel.eventLoop.makeFailedFuture(error)
                }
                return connections.accepted(channel)
            }
        }
    }

    // MARK: The address

    private static func resolve(_ address: NetworkAddress) throws -> GRPCNIOTransportCore.SocketAddress {
        let resolved: NIOCore.SocketAddress
        do {
            resolved = try .makeAddressResolvingHost(address.host, port: address.port)
        } catch {
            throw ListenError(address: address, errnoCode: nil, reason: "there is no such host")
        }
        switch resolved {
        case .v4: return .ipv4(host: resolved.ipAddress ?? address.host, port: address.port)
        case .v6: return .ipv6(host: resolved.ipAddress ?? address.host, port: address.port)
        case .unixDomainSocket: throw ListenError(address: address, errnoCode: nil, reason: "it is no host")
        }
    }

    private static func listenError(_ error: any Error, _ address: NetworkAddress) -> any Error {
        var cause: any Error = error
        while let outer = cause as? RuntimeError, let inner = outer.cause { cause = inner }
        guard let system = cause as? IOError else { return error }
        return ListenError(address: address, errnoCode: system.errnoCode, reason: "\(system)")
    }
}

/// Whether the end was asked for.
private final class StopFlag: Sendable {
    private let flag = Atomic(false)

    var hasBegun: Bool { flag.load(ordering: .relaxed) }

    func begin() { flag.store(true, ordering: .relaxed) }
}
