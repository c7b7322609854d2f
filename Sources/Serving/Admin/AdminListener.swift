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
    private let changes: AdminChanges
    /// Every route: method and path.
    package let routes: [String]
    private let responder: RouterResponder<AdminContext>
    private let security: ListenerSecurity?
    private let acceptFailures: Counter
    private let logger: Logger
    private let onListening: @Sendable (NetworkAddress) -> Void

    /// Port 0 of `address` takes a free one. `audit` is the path of the audit file; `nil` keeps the log in memory alone.
    /// `state` is that of the file of idempotency keys; `nil` forgets them at the end. `onListening` is called once, when it
    /// listens.
    package init(
        address: NetworkAddress, access: AdminAccess, audit: String?, state: String? = nil, sources: AdminSources,
        registry: MetricRegistry, security: ListenerSecurity? = nil, logger: Logger,
        onListening: @escaping @Sendable (NetworkAddress) -> Void = { _ in }
    ) {
        self.address = address
        self.access = access
        self.security = security
        self.logger = logger
        self.onListening = onListening
        acceptFailures = registry.counter(.acceptFailures)
        self.audit = AuditLog(path: audit)
        let router = Router(context: AdminContext.self)
        router.add(middleware: AdminEnvelope(registry: registry, logger: logger))
        router.add(middleware: AdminHostGuard(access: access))
        router.add(middleware: AdminAuthentication(access: access))
        changes = AdminChanges(
            audit: self.audit, journal: state.map { AnswerJournal(path: $0) }, wall: sources.wall)
        AdminRoutes(sources: sources, access: access, changes: changes, audit: self.audit).add(to: router)
        routes = router.routes.map { "\($0.method.rawValue) \($0.path)" }
        responder = router.buildResponder()
    }

    package func run() async throws {
        await audit.recover()
        if let failure = audit.failure {
            logger.error("the audit log can't be written: changes are refused", metadata: ["error": "\(failure)"])
        }
        do {
            try await changes.recover()
        } catch {
            logger.error(
                "the file of idempotency keys can't be read: changes are refused while it can't be written",
                metadata: ["error": "\(error)"])
        }
        if access.settings.tokens.isEmpty {
            logger.notice("the admin listener has no tokens and refuses everything; `tidemark admin token` makes one")
        }
        let application = Application(
            responder: responder,
            server: HTTPServerBuilder { [security] in
                AdminChannel(responder: $0, security: security)
            },
            configuration: ApplicationConfiguration(
                address: .hostname(address.host, port: address.port), serverName: nil, backlog: 1_024,
                availableConnectionsDelegate: MaximumAvailableConnections(AdminLimits.connections)),
            onServerRunning: { [onListening, address, acceptFailures] channel in
                AcceptGuard.install(on: channel) { acceptFailures.add() }
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
