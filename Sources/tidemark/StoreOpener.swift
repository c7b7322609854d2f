import FeatureModel
import Foundation
import OnlineStore
import RedisClient

/// Opens the store that a config names: the one place that knows all homes of rows.
enum StoreOpener {
    static func open(_ config: Config, configPath: String) async throws -> any OnlineStore {
        let store = config.onlineStore
        switch store.url.scheme {
        case .memory:
            throw UsageError(
                "online_store: memory: lives only inside one process and serves tests; use redis://… or sqlite:PATH")
        case .sqlite:
            return try await SQLiteStore(
                path: ConfigFiles.resolve(store.url.path, from: configPath), project: config.project)
        case .redis, .rediss, .redisUnix, .redisSentinel, .redisCluster:
            return try await RedisStore(configuration: redis(config, configPath: configPath))
        }
    }

    /// How an event loop of the serving daemon connects to the store; `nil` for a store that isn't Redis.
    static func laneConfiguration(_ config: Config, configPath: String) throws -> RedisClient.Configuration? {
        switch config.onlineStore.url.scheme {
        case .memory, .sqlite: return nil
        case .redis, .rediss, .redisUnix, .redisSentinel, .redisCluster: break
        }
        let store = try redis(config, configPath: configPath)
        var lane = RedisClient.Configuration(topology: store.topology)
        lane.clientName = "tidemark-serve"
        lane.connectTimeout = store.connectTimeout
        lane.connectsPerSecond = store.connectsPerSecond
        lane.limits = store.limits
        return lane
    }

    private static func redis(_ config: Config, configPath: String) throws -> RedisStore.Configuration {
        let store = config.onlineStore
        var endpoint = try RedisTopology(url: store.url.text).primary
        endpoint.user = store.username ?? endpoint.user
        if let secret = store.password {
            endpoint.password = try ConfigFiles.resolve(secret, from: configPath, what: "online_store.password")
        }
        if let caFile = store.caFile, endpoint.tls != nil {
            endpoint.tls?.caFile = ConfigFiles.resolve(caFile, from: configPath)
        }
        var configuration = RedisStore.Configuration(project: config.project, topology: RedisTopology(endpoint))
        configuration.connections = store.maximumConnections
        configuration.connectTimeout = store.connectTimeout
        configuration.callTimeout = store.commandTimeout
        configuration.pipelineBytes = store.pipelineBytes
        configuration.limits.pipelineCommands = store.pipelineCommands
        return configuration
    }
}
