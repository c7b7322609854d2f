import OnlineStore
import RedisClient
import Testing
import TidemarkTesting

@Suite(.enabled(if: RedisServer.isAvailable, "redis-server is not installed"), .timeLimit(.minutes(1)))
struct RedisDiagnosisTests {
    private func grades(_ store: RedisStore) async throws -> [String: StoreFinding.Grade] {
        let findings = try await store.diagnose()
        for finding in findings { #expect(!finding.text.isEmpty) }
        return Dictionary(uniqueKeysWithValues: findings.map { ($0.check, $0.grade) })
    }

    @Test func soundServerIsGood() async throws {
        var options = RedisServer.Options()
        options.configuration = ["appendonly yes", "maxmemory 1gb", "maxmemory-policy noeviction"]
        try await withStore(options) { store, _ async throws in
            let grades = try await grades(store)
            let checks = [
                "version", "maxmemory-policy", "persistence", "role", "memory", "clock", "encryption", "permissions",
            ]
            #expect(grades == Dictionary(uniqueKeysWithValues: checks.map { ("redis.\($0)", .good) }))
            #expect(try await store.usedBytes() ?? 0 > 500_000)
        }
    }

    @Test func dangerousServerIsTold() async throws {
        var options = RedisServer.Options()
        options.configuration = ["maxmemory 1gb", "maxmemory-policy allkeys-lru"]
        try await withStore(options) { store, server async throws in
            try await server.command("REPLICAOF", "127.0.0.1", "1")
            let grades = try await grades(store)
            #expect(grades["redis.maxmemory-policy"] == .bad)
            #expect(grades["redis.role"] == .bad)
            #expect(grades["redis.persistence"] == .warning)
        }
    }

    @Test func fullMemoryIsTold() async throws {
        try await withStore { store, server async throws in
            #expect(try await grades(store)["redis.memory"] == .warning)
            try await server.command("CONFIG", "SET", "maxmemory", "1mb")
            #expect(try await grades(store)["redis.memory"] == .bad)
        }
    }

    @Test func missingPermissionsAreNamedEvenWithoutINFO() async throws {
        var options = RedisServer.Options()
        options.configuration = ["user limited on nopass ~* +@all -info -scan -hset"]
        try await RedisServer.with(options) { server in
            var endpoint = server.topology.primary
            (endpoint.user, endpoint.password) = ("limited", "any")
            let store = try await RedisStore(configuration: patientConfiguration(endpoint))
            let findings = try await store.diagnose()
            let text = findings.first { $0.check == "redis.permissions" }?.text
            #expect(text?.contains("+hset +scan +info") == true || text?.contains("+hset +info +scan") == true)
            await store.close()
        }
    }

    @Test func diagnosisLeavesNothingBehind() async throws {
        try await withStore { store, server async throws in
            _ = try await store.diagnose()
            #expect(try await server.command("DBSIZE").integer() == 0)
        }
    }
}
