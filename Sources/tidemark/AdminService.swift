import FeatureModel
import Foundation
import OnlineStore
import Serving
import Sync

/// The admin listener of a serving daemon, as its config describes it.
enum AdminService {
    /// The listener; `nil` where the config has no `admin:` or switches it off.
    ///
    /// - Throws: `UsageError` for a hash that can't be read or is none.
    static func make(
        _ project: ServingProject, _ serving: ServingContext, _ store: any OnlineStore
    ) throws -> AdminListener? {
        guard let config = project.config.admin, let address = config.http else { return nil }
        let panels = ServingPanels(serving)
        let process = ProcessInfo.processInfo
        let sources = AdminSources(
            project: project.config.project, store: store, owner: "\(process.hostName):\(process.processIdentifier)",
            wall: SyncTime.real.wall, breakers: panels, limits: panels)
        return AdminListener(
            address: address, settings: try settings(config, project.configPath),
            audit: config.audit.map { ConfigFiles.resolve($0, from: project.configPath) }, sources: sources,
            registry: project.registry, logger: project.logger
        ) { endpoint in
            project.logger.info(
                "the admin listener listens",
                metadata: ["address": "\(endpoint)", "tokens": "\(config.tokens.count)"])
        }
    }

    /// What of the config may change while it runs, with every hash read.
    static func settings(_ config: AdminConfig, _ configPath: String) throws -> AdminSettings {
        do {
            return try AdminSettings(config) { secret, what in
                try ConfigFiles.resolve(secret, from: configPath, what: what)
            }
        } catch let error as AdminSettingsError {
            throw UsageError(error.description)
        }
    }
}
