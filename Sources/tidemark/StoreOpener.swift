import FeastRows
import FeatureModel
import Foundation
import Logging
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

    /// Feast's rows, where the config says that they are served. Its registry must be there and have views to serve; its Redis
    /// may be down.
    static func openFeast(_ feast: FeastConfig, configPath: String, logger: Logger) async throws -> FeastStore {
        let topology = try topology(feast.store, configPath: configPath, what: "serve.feast.password")
        var redis = RedisClient.Configuration(topology: topology)
        redis.clientName = "tidemark-serve-feast"
        redis.connections = feast.store.maximumConnections
        redis.connectTimeout = feast.store.connectTimeout
        redis.limits.pipelineCommands = feast.store.pipelineCommands
        var configuration = FeastStore.Configuration(
            project: feast.project, registry: ConfigFiles.resolve(feast.registry, from: configPath), redis: redis)
        configuration.callTimeout = feast.store.commandTimeout
        configuration.keyVersion = FeastLayout.KeyVersion(rawValue: feast.keyVersion) ?? .v3
        configuration.versionedNames = feast.versionedNames
        let store = try FeastStore(configuration) { registry in
            let refused = registry.refused.merging(registry.refusedServices.map { ("service \($0.key)", $0.value) }) {
                $1
            }
            for (name, reason) in refused.sorted(by: { $0.key < $1.key }).prefix(100) {
                logger.warning(
                    "something of Feast's registry is not served", metadata: ["name": "\(name)", "reason": "\(reason)"])
            }
        }
        do throws(StoreError) {
            _ = try await store.viewNames()
        } catch {
            await store.close()
            throw UsageError("serve.feast: \(error.message): \(error.detail)")
        }
        return store
    }

    /// A client of its own for a stream of events: one connection.
    static func streamClient(_ store: StoreConfig, configPath: String, what: String) throws -> RedisClient {
        var redis = RedisClient.Configuration(
            topology: try topology(store, configPath: configPath, what: what))
        redis.clientName = "tidemark-events"
        redis.connections = 1
        redis.connectTimeout = store.connectTimeout
        redis.limits.pipelineCommands = max(1_024, store.pipelineCommands)
        return try RedisClient(redis)
    }

    private static func topology(_ store: StoreConfig, configPath: String, what: String) throws -> RedisTopology {
        var endpoint = try RedisTopology(url: store.url.text).primary
        endpoint.user = store.username ?? endpoint.user
        if let secret = store.password {
            endpoint.password = try ConfigFiles.resolve(secret, from: configPath, what: what)
        }
        if let caFile = store.caFile, endpoint.tls != nil {
            endpoint.tls?.caFile = ConfigFiles.resolve(caFile, from: configPath)
        }
        return RedisTopology(endpoint)
    }

    private static func redis(_ config: Config, configPath: String) throws -> RedisStore.Configuration {
        let store = config.onlineStore
        let topology = try topology(store, configPath: configPath, what: "online_store.password")
        var configuration = RedisStore.Configuration(project: config.project, topology: topology)
        configuration.connections = store.maximumConnections
        configuration.connectTimeout = store.connectTimeout
        configuration.callTimeout = store.commandTimeout
        configuration.pipelineBytes = store.pipelineBytes
        configuration.limits.pipelineCommands = store.pipelineCommands
        return configuration
    }
}
