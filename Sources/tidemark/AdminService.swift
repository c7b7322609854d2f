import FeatureModel
import Foundation
import Logging
import OnlineStore
import Ranking
import Recommend
import Serving
import Sync
import Synchronization

/// The admin listener of a serving daemon, as its config describes it.
final class AdminService: Sendable {
    private let config: AdminConfig
    private let address: NetworkAddress
    private let configPath: String
    private let access: AdminAccess
    private let security: ListenerSecurity?
    private let logger: Logger
    /// When the config in force was taken; microseconds since 1970.
    private let loadedAt: Mutex<Int64>

    /// `nil` where the config has no `admin:` or switches it off.
    init?(_ project: ServingProject, _ security: ServingAccess) {
        guard let config = project.config.admin, let address = config.http, let access = security.adminAccess else {
            return nil
        }
        self.config = config
        self.address = address
        self.access = access
        self.security = security.admin
        configPath = project.configPath
        logger = project.logger
        loadedAt = Mutex(SyncTime.real.wall())
    }

    /// Another config is in force from now on.
    func tookConfig() {
        loadedAt.withLock { $0 = SyncTime.real.wall() }
    }

    /// The listener.
    func listener(
        _ project: ServingProject, _ serving: ServingContext, _ store: any OnlineStore, _ reloader: ConfigReloader,
        gates: GateBook, models: ModelRegistry
    ) -> AdminListener {
        let panels = ServingPanels(serving, gates: gates)
        let process = ProcessInfo.processInfo
        let sources = AdminSources(
            project: project.served, store: store, owner: "\(process.hostName):\(process.processIdentifier)",
            wall: SyncTime.real.wall, breakers: panels, limits: panels,
            config: ReloadPanel(reloader: reloader, service: self), models: models)
        return AdminListener(
            address: address, access: access, audit: config.audit.map { ConfigFiles.resolve($0, from: configPath) },
            state: config.state.map { ConfigFiles.resolve($0, from: configPath) },
            sources: sources, registry: project.registry, security: security, logger: logger
        ) { [logger, config] endpoint in
            logger.info(
                "the admin listener listens",
                metadata: ["address": "\(endpoint)", "tokens": "\(config.tokens.count)"])
        }
    }

    /// The daemon's config for the admin listener.
    private struct ReloadPanel: ConfigPanel {
        let reloader: ConfigReloader
        let service: AdminService

        var reading: ConfigReading {
            let status = reloader.status
            return ConfigReading(
                hash: status.hash, generation: Int(clamping: status.generation),
                loadedAt: service.loadedAt.withLock { $0 }, document: reloader.current.document,
                problem: status.problem, waitsForRestart: status.waitingForRestart)
        }

        func reload() async -> ConfigReading {
            await reloader.reload()
            return reading
        }
    }
}
