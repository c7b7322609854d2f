import FeatureModel
import OnlineStore
import RedisClient
import Testing
import TidemarkTesting

let space = KeySpace(project: "shop", viewKey: "activity", version: 3)

/// A store over a server of its own.
func withStore(
    _ options: RedisServer.Options = .init(), _ change: (inout RedisStore.Configuration) -> Void = { _ in },
    _ body: (RedisStore, RedisServer) async throws -> Void
) async throws {
    try await RedisServer.with(options) { server in
        var configuration = patientConfiguration(server.topology.primary)
        change(&configuration)
        let store = try await RedisStore(configuration: configuration)
        do { try await body(store, server) } catch {
            await store.close()
            throw error
        }
        await store.close()
    }
}

/// Limits of time that a busy machine doesn't reach.
func patientConfiguration(_ endpoint: RedisEndpoint) -> RedisStore.Configuration {
    var configuration = RedisStore.Configuration(project: "shop", topology: RedisTopology(endpoint))
    configuration.connectTimeout = .seconds(10)
    configuration.callTimeout = .seconds(20)
    configuration.writeTimeout = .seconds(20)
    configuration.connectsPerSecond = 1_000
    return configuration
}

/// A session under a lease of its own.
func withSession(
    _ options: RedisServer.Options = .init(), _ change: (inout RedisStore.Configuration) -> Void = { _ in },
    _ body: (any StoreSession, RedisStore, RedisServer) async throws -> Void
) async throws {
    try await withStore(options, change) { store, server async throws in
        try await body(try await session(store, owner: "a"), store, server)
    }
}

func session(_ store: RedisStore, owner: String) async throws -> any StoreSession {
    let lease = try #require(try await store.acquireLease("activity", owner: owner, duration: .seconds(60)))
    return try await store.openSession(lease)
}

func key(_ number: Int) -> EntityKey { EntityKey(canonical: "\(number)") }

/// The error that `body` throws, if it does.
func failure<Answer>(_ body: () async throws(StoreError) -> Answer) async -> StoreError? {
    do throws(StoreError) {
        _ = try await body()
        return nil
    } catch {
        return error
    }
}

/// The code of the error that `body` throws, if it does.
func code<Answer>(_ body: () async throws(StoreError) -> Answer) async -> StoreError.Code? {
    await failure(body)?.code
}
