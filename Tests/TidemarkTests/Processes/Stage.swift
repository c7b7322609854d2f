import FeatureModel
import Testing
import TidemarkTesting

/// A project of a test's own: a Redis, a source, a config, and the built `tidemark` to run on them.
struct Stage: Sendable {
    static let project = "bank"

    let redis: RedisServer
    let workdir: Workdir
    let source: any SourceDatabase
    let probe: StoreProbe

    /// Whether the built `tidemark` and a `redis-server` are here.
    static let isPossible: Bool = {
        let isPossible = DaemonProcess.tidemark != nil && RedisServer.isAvailable
        if !isPossible { print("tidemark is not built or redis-server is missing: process tests are SKIPPED") }
        return isPossible
    }()

    /// Sets the stage for the duration of `body`.
    static func with<Result>(
        _ kind: SourceKind, sync: String = "", ownServer: Bool = false,
        _ body: (Stage) async throws -> Result
    ) async throws -> Result {
        try await Workdir.with { workdir in
            try await RedisServer.with { redis in
                let source = try await kind.make(in: workdir, ownServer: ownServer)
                let stage = Stage(
                    redis: redis, workdir: workdir, source: source,
                    probe: try StoreProbe(redis, project: project))
                try stage.configure(sync: sync)
                do {
                    let result = try await body(stage)
                    await stage.close()
                    return result
                } catch {
                    await stage.close()
                    throw error
                }
            }
        }
    }

    private func close() async {
        await probe.close()
        await source.close()
    }

    /// Writes the config. The lease is short: tests wait for leases of the dead.
    private func configure(sync: String) throws {
        try workdir.write(
            """
            project: \(Self.project)
            schemas: definitions
            online_store: {url: "\(redis.url)", command_timeout: 500ms}
            sources:
              bank: {url: "\(source.url)"}
            sync:
              metrics: "off"
              lease: 1500ms
              retry: {initial: 20ms, maximum: 300ms}
            \(sync.split(separator: "\n").map { "  \($0)" }.joined(separator: "\n"))
            telemetry: {log_format: json}
            """, to: "tidemark.yaml")
    }

    /// Writes the definitions.
    func define(_ definitions: String) throws {
        try workdir.write(definitions, to: "definitions/bank.yaml")
    }

    // MARK: tidemark

    /// Starts `tidemark` with this project's config.
    func start(_ arguments: [String], environment: [String: String] = [:]) throws -> DaemonProcess {
        guard let program = DaemonProcess.tidemark else { throw BankError("tidemark is not built") }
        let config = workdir.file("tidemark.yaml")
        return try DaemonProcess(program, arguments + ["--config", config], environment: environment)
    }

    /// Runs `tidemark` to its end.
    func run(_ arguments: String..., environment: [String: String] = [:]) async throws -> DaemonProcess.Ending {
        try await start(arguments, environment: environment).ending()
    }

    /// Runs `tidemark` and requires one of the exit codes.
    @discardableResult
    func succeed(
        _ arguments: String..., codes: Set<Int32> = [0], location: SourceLocation = #_sourceLocation
    ) async throws -> DaemonProcess.Ending {
        let ending = try await start(arguments).ending()
        try #require(
            ending.code.map { codes.contains($0) } == true, "tidemark \(arguments): \(ending.story)",
            sourceLocation: location)
        return ending
    }

    /// Runs `tidemark` as a timer does: again, twice at most, when only the machine stood still for longer than a lease or a
    /// deadline of this stage. Whatever else fails is a failure.
    func succeedByTimer(
        _ arguments: String..., codes: Set<Int32> = [0], location: SourceLocation = #_sourceLocation
    ) async throws {
        for turn in 1...3 {
            let ending = try await start(arguments).ending()
            if let code = ending.code, codes.contains(code) { return }
            let isStandstill = ["[deadlineExceeded]", "[fenced]", "lease"].contains { ending.story.contains($0) }
            try #require(
                isStandstill && turn < 3, "tidemark \(arguments), turn \(turn): \(ending.story)",
                sourceLocation: location)
            print("turn \(turn) of tidemark \(arguments) met a standstill: \(ending.story)")
        }
    }

    /// Waits until a killed holder's lease of a view has expired, by the only clock that knows: the store's.
    func waitForLease(of view: String) async throws {
        for _ in 0..<100 {
            let remaining = try await probe.leaseRemaining(of: view)
            if remaining == .zero { return }
            try await Task.sleep(for: remaining)
        }
        throw BankError("somebody keeps the lease of \(view)")
    }
}
