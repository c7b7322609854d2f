package import FeatureModel
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import NIOPosix
package import Recommend
import ServiceLifecycle
import Telemetry

/// The HTTP listener. On graceful shutdown it stops to listen, lets running requests end, and ends those that take too long.
///
/// Put a `DrainNotice` behind it in the group, so that load balancers hear of the end before it comes.
package struct ServingDaemon: Service {
    private let serving: ServingContext
    private let recommender: Recommender
    private let routes: [ServingRoute]
    private let onListening: @Sendable (NetworkAddress) -> Void

    /// `recommender` answers `/v1/recommend`; `routes` come on top of that, of lookups, health and metrics; `onListening` is called once, when connections are taken.
    package init(
        _ serving: ServingContext, recommender: Recommender, routes: [ServingRoute] = [],
        onListening: @escaping @Sendable (NetworkAddress) -> Void = { _ in }
    ) {
        self.serving = serving
        self.recommender = recommender
        self.routes = routes
        self.onListening = onListening
    }

    /// Every route that it answers: method and path.
    package var answered: [String] {
        let lane = LaneRoute.all.map { "POST \($0.label.name)" }
        return lane + (HealthRoutes(serving: serving).routes + routes).map { "\($0.method.rawValue) \($0.path)" }
    }

    /// Serves until graceful shutdown. Throws when the address can't be listened on.
    package func run() async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: max(1, serving.settings.threads))
        let outcome: Result<Void, any Error>
        do {
            try await serve(group)
            outcome = .success(())
        } catch {
            outcome = .failure(error)
        }
        await serving.runs.untilNone()
        await serving.closeRooms()
        try await group.shutdownGracefully()
        try outcome.get()
    }

    private func connectionLimit(_ settings: ServerSettings) -> Int {
        let (limit, open) = (ProcessMetrics.raiseDescriptorLimit(), ProcessMetrics.openDescriptors ?? 0)
        let connections = ConnectionRoom.connections(settings.connections, limit: limit, open: open)
        if connections < settings.connections {
            serving.logger.warning(
                "there are fewer descriptors than serve.limits.connections needs: fewer connections are taken",
                metadata: [
                    "connections": "\(connections)", "wanted": "\(settings.connections)", "descriptors": "\(limit)",
                ])
        }
        return connections
    }

    private func serve(_ group: MultiThreadedEventLoopGroup) async throws {
        let settings = serving.settings
        let serving = serving
        let connections = connectionLimit(settings)
        let host = settings.address.host
        let onListening = onListening
        let table = RouteTable(
            HealthRoutes(serving: serving).routes + routes,
            elsewhere: LaneRoute.all.map { (.post, $0.label.name) })
        // Its lines a connection and a start are of no use beside ours.
        var logger = serving.logger
        logger.logLevel = max(.warning, logger.logLevel)
        let application = Application(
            responder: table,
            server: HTTPServerBuilder { FastLaneChannel(serving: serving, responder: $0) },
            configuration: ApplicationConfiguration(
                address: .hostname(host, port: settings.address.port), serverName: nil, backlog: 4_096,
                availableConnectionsDelegate: ConnectionLimit(connections, serving)),
            onServerRunning: { channel in
                serving.listens(on: channel)
                onListening(NetworkAddress(host: host, port: channel.localAddress?.port ?? settings.address.port))
            },
            eventLoopGroupProvider: .shared(group), logger: logger)
        serving.recommends(by: recommender)
        // Every loop connects to the store before the first request needs it.
        for loop in group.makeIterator() { loop.execute { _ = serving.room(of: loop) } }
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await application.run() }
            tasks.addTask {
                // Runs until the listener is gone, or says when its time is over.
                try? await gracefulShutdown()
                serving.beginDrain()
                try? await Task.sleep(for: serving.liveSettings.drain)
                serving.endDrain()
            }
            try await tasks.next()
            tasks.cancelAll()
        }
    }
}

/// Says at the beginning of a graceful shutdown that the daemon isn't ready any more, and gives that word time to be heard. As
/// services are shut down one after the other, the last first, it stands behind what it holds open.
package struct DrainNotice: Service {
    private let serving: ServingContext

    package init(_ serving: ServingContext) {
        self.serving = serving
    }

    package func run() async throws {
        try await gracefulShutdown()
        serving.beginDrain()
        serving.logger.info("draining", metadata: ["unready_for": "\(serving.liveSettings.unready)"])
        try? await Task.sleep(for: serving.liveSettings.unready)
        await serving.closeDoor()
    }
}
