import OnlineStore
import RedisClient
import Synchronization
import TidemarkTesting

extension StoreHome {
    /// A Redis server of its own for each test.
    static let redis = StoreHome(
        name: "Redis",
        missing: RedisServer.isAvailable ? nil : "redis-server is not installed",
        withStore: { body in
            try await OnlineStoreTests.withStore { store, server async throws in
                servers.withLock { $0[ObjectIdentifier(store)] = server }
                defer { servers.withLock { $0[ObjectIdentifier(store)] = nil } }
                try await body(store)
            }
        },
        loseSessions: { store in
            guard let store = store as? RedisStore else { return }
            let server = servers.withLock { $0[ObjectIdentifier(store)] }
            try await server?.command("CLIENT", "KILL", "TYPE", "normal")
        })

    /// The server behind each store that is open.
    private static let servers = Mutex<[ObjectIdentifier: RedisServer]>([:])
}
