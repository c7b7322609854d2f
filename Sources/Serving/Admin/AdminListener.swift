package import FeatureModel
import Glibc
import HTTPTypes
import Hummingbird
import HummingbirdCore
package import Logging
import NIOCore
package import OnlineStore
package import Ranking
import ServiceLifecycle
package import Telemetry

/// What the admin listener shows and acts on.
package struct AdminSources: Sendable {
    package let project: String
    package let store: any OnlineStore
    /// Names this process where a lease is held.
    package let owner: String
    /// Microseconds since 1970.
    package let wall: @Sendable () -> Int64
    package var breakers: (any BreakerPanel)?
    package var limits: (any LimitPanel)?
    package var config: (any ConfigPanel)?
    package var models: ModelRegistry?

    package init(
        project: String, store: any OnlineStore, owner: String, wall: @escaping @Sendable () -> Int64,
        breakers: (any BreakerPanel)? = nil, limits: (any LimitPanel)? = nil, config: (any ConfigPanel)? = nil,
        models: ModelRegistry? = nil
    ) {
        self.project = project
        self.store = store
        self.owner = owner
        self.wall = wall
        self.breakers = breakers
        self.limits = limits
        self.config = config
        self.models = models
    }
}

/// The admin listener: a port of its own, bearer tokens, rate limits, idempotency keys and an audit log.
///
/// Without tokens it answers everything with 401. It ends with graceful shutdown: requests under way are answered.
package final class AdminListener: Service {
    private let address: NetworkAddress
    private let access: AdminAccess
    private let audit: AuditLog
    private let responder: RouterResponder<AdminContext>
    private let logger: Logger
    private let onListening: @Sendable (NetworkAddress) -> Void

    /// Port 0 of `address` takes a free one. `audit` is the path of the audit file; `nil` keeps the log in memory alone.
    /// `onListening` is called once, when it listens.
    package init(
        address: NetworkAddress, access: AdminAccess, audit: String?, sources: AdminSources,
        registry: MetricRegistry, logger: Logger,
        onListening: @escaping @Sendable (NetworkAddress) -> Void = { _ in }
    ) {
        self.address = address
        self.access = access
        self.logger = logger
        self.onListening = onListening
        self.audit = AuditLog(path: audit)
        let router = Router(context: AdminContext.self)
        router.add(middleware: AdminEnvelope(registry: registry, logger: logger))
        router.add(middleware: AdminHostGuard(access: access))
        router.add(middleware: AdminAuthentication(access: access))
        let routes = AdminRoutes(
            sources: sources, access: access, changes: AdminChanges(audit: self.audit, wall: sources.wall),
            audit: self.audit)
        routes.add(to: router)
        responder = router.buildResponder()
    }

    package func run() async throws {
        await audit.recover()
        if let failure = audit.failure {
            logger.error("the audit log can't be written: changes are refused", metadata: ["error": "\(failure)"])
        }
        if access.settings.tokens.isEmpty {
            logger.notice("the admin listener has no tokens and refuses everything; `tidemark admin token` makes one")
        }
        let channel = HTTP1Channel.Configuration(
            idleTimeout: .seconds(AdminLimits.idleSeconds),
            httpDecoderConfiguration: .init(
                maxHeaderFieldSize: AdminLimits.headerBytes, maxHeaderListSize: AdminLimits.headerBytes,
                maxHeaderFieldCount: 64))
        let application = Application(
            responder: responder, server: .http1(configuration: channel),
            configuration: ApplicationConfiguration(
                address: .hostname(address.host, port: address.port), serverName: nil, backlog: 1_024,
                availableConnectionsDelegate: MaximumAvailableConnections(AdminLimits.connections)),
            onServerRunning: { [onListening, address] channel in
                onListening(NetworkAddress(host: address.host, port: channel.localAddress?.port ?? address.port))
            }, logger: logger)
        do {
            try await application.run()
        } catch let error as IOError {
            throw AdminListenError(address: address, code: error.errnoCode)
        }
    }
}

/// The admin listener's address can't be listened on.
package struct AdminListenError: Error, CustomStringConvertible {
    let address: NetworkAddress
    let code: CInt

    package var description: String {
        if code == EADDRINUSE { return "\(address) is taken by another process; stop that one, or set admin.http" }
        return "can't listen on \(address) (admin.http): \(unsafe String(cString: strerror(code)))"
    }
}
