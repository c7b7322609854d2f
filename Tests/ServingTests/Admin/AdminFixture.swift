import FeatureModel
import Logging
import OnlineStore
import Ranking
import Resilience
import ServiceLifecycle
import Serving
import Synchronization
import Telemetry
import TidemarkTesting

/// An admin listener on a free port over a store in memory, for the duration of a test.
struct AdminFixture: Sendable {
    static let tokens: [AdminScope: String] = [
        .read: AdminToken.make(), .operate: AdminToken.make(), .admin: AdminToken.make(),
    ]

    let client: AdminClient
    let access: AdminAccess
    let memory: MemoryStore
    let breakers: TestBreakers
    let config: TestConfig
    let log: LogLines
    let auditPath: String
    let registry: MetricRegistry
    let routes: [String]

    func token(_ scope: AdminScope) -> String { Self.tokens[scope] ?? "" }

    /// What the config would say with these limits.
    static func config(
        reads: Int = 10_000, changes: Int = 10_000, failures: Int = 10, hasTokens: Bool = true, hosts: [String] = []
    ) throws -> AdminConfig {
        let list = tokens.sorted { $0.key < $1.key }.map { scope, token in
            "{name: \(scope.rawValue)-token, sha256: \(AdminToken.sha256(token)), scopes: [\(scope.rawValue)]}"
        }
        let text = """
            project: shop
            online_store: {url: "redis://someone@127.0.0.1:6379/0", password: env:STORE_PASSWORD}
            sources: {shop: {url: "sqlite:shop.db"}}
            admin:
              http: 127.0.0.1:0
              hosts: [\(hosts.joined(separator: ", "))]
              tokens: [\(hasTokens ? list.joined(separator: ", ") : "")]
              rate: {reads: \(reads), changes: \(changes), failures: \(failures)}
            """
        let config = try Config.parse(file: "tidemark.yaml", text: Array(text.utf8))
        guard let admin = config.admin else { throw AdminClient.Broken(text: "no admin section") }
        return admin
    }

    /// Runs `body` against a listener.
    static func with(
        _ config: AdminConfig, store: (any OnlineStore)? = nil, audit: String? = nil,
        state: String? = nil, security: ListenerSecurity? = nil,
        _ body: @escaping @Sendable (AdminFixture) async throws -> Void
    ) async throws {
        try await Workdir.with { folder in
            let memory = MemoryStore()
            try await fill(CatalogFixture(store: memory))
            let (log, registry, breakers, panel) = (LogLines(), MetricRegistry(), TestBreakers(), TestConfig())
            let path = audit ?? folder.file("audit.jsonl")
            let (addresses, found) = AsyncStream.makeStream(
                of: NetworkAddress.self, bufferingPolicy: .bufferingNewest(1))
            let access = AdminAccess(
                try AdminSettings(config) { _, _ in throw AdminClient.Broken(text: "no secret") })
            let listener = AdminListener(
                address: NetworkAddress(host: "127.0.0.1", port: 0),
                access: access,
                audit: path, state: state,
                sources: AdminSources(
                    project: "shop", store: store ?? memory, owner: "test", wall: { 1_700_000_000_000_000 },
                    breakers: breakers, limits: breakers, config: panel, models: ModelRegistry(folders: [:])),
                registry: registry, security: security, logger: log.logger, onListening: { found.yield($0) })
            let group = ServiceGroup(
                configuration: .init(services: [listener], logger: Logger(label: "t") { _ in SwiftLogNoOpLogHandler() })
            )
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                tasks.addTask { try await group.run() }
                for await address in addresses {
                    let fixture = AdminFixture(
                        client: AdminClient(port: address.port), access: access, memory: memory,
                        breakers: breakers, config: panel, log: log, auditPath: path, registry: registry,
                        routes: listener.routes)
                    do {
                        try await body(fixture)
                    } catch {
                        await group.triggerGracefulShutdown()
                        throw error
                    }
                    break
                }
                await group.triggerGracefulShutdown()
                try await tasks.waitForAll()
            }
        }
    }

    /// Two views; `activity` has a version that is read, and a built one.
    private static func fill(_ catalog: CatalogFixture) async throws {
        try await catalog.publish(["activity", "prices"])
        try await catalog.fill(CatalogFixture.view("activity"))
        try await catalog.fill(CatalogFixture.view("prices"))
        try await catalog.fill(CatalogFixture.view("activity", ["views"]), activating: false)
        _ = try await catalog.documents.updateVersions(of: "activity") { $0.finishBuilding(2) }
        let space = KeySpace(project: "shop", viewKey: CatalogFixture.view("activity").key, version: 1)
        guard let lease = try await catalog.store.acquireLease("activity", owner: "sync", duration: .seconds(9)) else {
            return
        }
        let session = try await catalog.store.openSession(lease)
        var state = MarkerState(historyIdentity: "h", historyEnd: nil, phase: .following, cursor: "seq:42@17")
        state.sequence = 1
        try await session.advance(space, to: try state.marker())
        await session.close()
        try await catalog.store.releaseLease(lease)
    }

    func versions() async throws -> ViewVersions? { try await CatalogStore(memory).versions(of: "activity") }

    /// The lines of the audit file.
    func auditLines() throws -> [String] {
        let bytes = try AuditFile(path: auditPath).tail(1 << 20)
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init)
    }
}

/// Breakers and limits that a test looks into. It counts how often it was told to do something.
final class TestBreakers: BreakerPanel, LimitPanel {
    private let state = Mutex((name: "closed", calls: 0))

    var calls: Int { state.withLock { $0.calls } }

    func breakers() -> [BreakerReading] {
        [BreakerReading(name: "store", state: state.withLock { $0.name }, trips: 3)]
    }

    func set(
        _ name: String, _ override: OverridableBreaker.Override?
    ) -> (before: BreakerReading, after: BreakerReading)? {
        guard name == "store" else { return nil }
        return state.withLock { state in
            let before = BreakerReading(name: name, state: state.name, trips: 3)
            state.calls += 1
            state.name = override.map { "forced_\($0.rawValue)" } ?? "closed"
            return (before, BreakerReading(name: name, state: state.name, trips: 3))
        }
    }

    func limits() -> [LimitReading] { [LimitReading(name: "body", unit: "bytes", limit: 4_096, used: nil)] }
}

/// A config that is reloaded with success or not, as a test says.
final class TestConfig: ConfigPanel {
    private let state = Mutex((generation: 1, problem: String?.none))

    func fail(_ problem: String?) { state.withLock { $0.problem = problem } }

    var reading: ConfigReading {
        state.withLock {
            ConfigReading(
                hash: "00\($0.generation)", generation: $0.generation, loadedAt: 1, document: ["project": "shop"],
                problem: $0.problem)
        }
    }

    func reload() async -> ConfigReading {
        state.withLock { if $0.problem == nil { $0.generation += 1 } }
        return reading
    }
}

/// Every line that was logged, with its metadata.
final class LogLines: Sendable {
    private let lines = Mutex<[String]>([])

    var text: String { lines.withLock { $0.joined(separator: "\n") } }

    var logger: Logger { Logger(label: "test") { _ in Handler(lines: self) } }

    private struct Handler: LogHandler {
        let lines: LogLines
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.trace

        subscript(metadataKey key: String) -> Logger.MetadataValue? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            let line = "\(event.level) \(event.message) \(metadata) \(event.metadata ?? [:])"
            lines.lines.withLock { $0.append(line) }
        }
    }
}
