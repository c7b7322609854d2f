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
    private let logger: Logger
    /// When the config in force was taken; microseconds since 1970.
    private let loadedAt: Mutex<Int64>

    /// `nil` where the config has no `admin:` or switches it off. Throws `UsageError` for a hash that can't be read or is none.
    init?(_ project: ServingProject) throws {
        guard let config = project.config.admin, let address = config.http else { return nil }
        self.config = config
        self.address = address
        configPath = project.configPath
        logger = project.logger
        access = AdminAccess(try Self.settings(config, project.configPath))
        loadedAt = Mutex(SyncTime.real.wall())
    }

    /// Goes by another config's tokens and limits; without an `admin:` in it by no token. Tokens that can't be read leave the
    /// old ones in force.
    func apply(_ config: Config) {
        loadedAt.withLock { $0 = SyncTime.real.wall() }
        do {
            access.apply(try Self.settings(config.admin ?? AdminConfig.closed, configPath))
        } catch {
            logger.error("the tokens of admin: are not taken; the old ones stay", metadata: ["error": "\(error)"])
        }
    }

    /// The listener.
    func listener(
        _ project: ServingProject, _ serving: ServingContext, _ store: any OnlineStore, _ reloader: ConfigReloader,
        gates: GateBook, models: ModelRegistry
    ) -> AdminListener {
        let panels = ServingPanels(serving, gates: gates)
        let process = ProcessInfo.processInfo
        let sources = AdminSources(
            project: project.config.project, store: store, owner: "\(process.hostName):\(process.processIdentifier)",
            wall: SyncTime.real.wall, breakers: panels, limits: panels,
            config: ReloadPanel(reloader: reloader, service: self), models: models)
        return AdminListener(
            address: address, access: access, audit: config.audit.map { ConfigFiles.resolve($0, from: configPath) },
            sources: sources, registry: project.registry, logger: logger
        ) { [logger, config] endpoint in
            logger.info(
                "the admin listener listens",
                metadata: ["address": "\(endpoint)", "tokens": "\(config.tokens.count)"])
        }
    }

    private static func settings(_ config: AdminConfig, _ configPath: String) throws -> AdminSettings {
        do {
            return try AdminSettings(config) { secret, what in
                try ConfigFiles.resolve(secret, from: configPath, what: what)
            }
        } catch let error as AdminSettingsError {
            throw UsageError(error.description)
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
