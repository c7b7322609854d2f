import FeatureModel
import Glibc
import Logging
import Serving
import Synchronization
import Telemetry
import Testing
import TidemarkTesting

/// A config file that changes under a daemon: what is right takes force whole, what is wrong changes nothing.
@Suite(.timeLimit(.minutes(2))) struct ConfigReloaderTests {
    /// A config file of a test's own and a reloader over it.
    private struct Bench {
        let file: ConfigFile
        let clock = ManualClock()
        let registry = MetricRegistry()
        let applied = Applied()
        /// What the config names beside itself.
        let named = Named()
        let hangups: AsyncStream<Void>.Continuation
        let reloader: ConfigReloader

        init(_ text: String) throws {
            let file = ConfigFile(text)
            self.file = file
            let bytes = Array(text.utf8)
            let (stream, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
            hangups = continuation
            let (applied, named) = (applied, named)
            reloader = ConfigReloader(
                config: try Config.parse(file: "tidemark.yaml", text: bytes), text: bytes, hangups: stream,
                clock: clock.serving(), logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
                registry: registry, read: { try file.read() },
                prepare: { config in
                    await named.pass()
                    let take = try named.take()
                    return {
                        take()
                        applied.add(config)
                    }
                }, refresh: { _ in try named.isNew ? named.take() : nil })
        }

        func count(_ outcome: ConfigReloader.Outcome) -> Int {
            Int(registry.counter(.configReloads, [outcome.rawValue]).value)
        }
    }

    /// What stands for the file: replaced whole, read whole, or gone.
    private final class ConfigFile: Sendable {
        struct Gone: Error, CustomStringConvertible { var description: String { "tidemark.yaml is not there" } }
        private let text: Mutex<String?>
        init(_ text: String) { self.text = Mutex(text) }
        func write(_ text: String?) { self.text.withLock { $0 = text } }
        func read() throws -> [UInt8] {
            guard let text = text.withLock({ $0 }) else { throw Gone() }
            return Array(text.utf8)
        }
    }

    /// Stands for certificates and secrets: what there is, and what is in force.
    private final class Named: Sendable {
        struct Unusable: Error, CustomStringConvertible { var description: String { "server.pem: not a certificate" } }
        private let state = Mutex((found: String?.some("a"), inForce: "a"))
        private let held = Mutex<(entered: AsyncStream<Void>.Continuation, gate: AsyncStream<Void>)?>(nil)

        /// Holds the next preparation until the gate is finished; the stream tells when it has come.
        func holdNext() -> (entered: AsyncStream<Void>, gate: AsyncStream<Void>.Continuation) {
            let (entered, told) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
            let (gate, opener) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
            held.withLock { $0 = (told, gate) }
            return (entered, opener)
        }
        func pass() async {
            guard
                let (entered, gate) = held.withLock({ held in
                    defer { held = nil }; return held
                })
            else { return }
            entered.yield()
            for await _ in gate {}
        }
        var inForce: String { state.withLock { $0.inForce } }
        var isNew: Bool { get throws { try found() != inForce } }
        func write(_ text: String?) { state.withLock { $0.found = text } }
        func take() throws -> @Sendable () -> Void {
            let text = try found()
            return { self.state.withLock { $0.inForce = text } }
        }
        private func found() throws -> String {
            guard let text = state.withLock({ $0.found }) else { throw Unusable() }
            return text
        }
    }

    private final class Applied: Sendable {
        private let timeouts = Mutex<[Duration]>([])
        func add(_ config: Config) { timeouts.withLock { $0.append(config.serve.timeout) } }
        var all: [Duration] { timeouts.withLock(\.self) }
    }

    private static func config(_ timeout: Int, _ more: String = "", http: String = "127.0.0.1:0") -> String {
        """
        project: shop
        online_store: {url: "redis://127.0.0.1:6379/0"}
        sources: {shop: {url: "sqlite:shop.db"}}
        serve: {http: "\(http)", timeout: \(timeout)ms\(more)}
        """
    }

    @Test func whatIsRightTakesForce() async throws {
        let bench = try Bench(Self.config(10))
        let before = bench.reloader.status.hash
        #expect(bench.registry.render(.prometheus).contains("tidemark_config_info{hash=\"\(before)\"} 1"))
        #expect(await bench.reloader.reload() == .unchanged)
        bench.file.write(Self.config(20))
        #expect(await bench.reloader.reload() == .applied)
        #expect(bench.reloader.current.serve.timeout == .milliseconds(20))
        #expect(bench.applied.all == [.milliseconds(20)])
        let status = bench.reloader.status
        #expect(status.generation == 2)
        #expect(status.hash != before)
        #expect(status.problem == nil)
        #expect(status.waitingForRestart.isEmpty)
        let page = bench.registry.render(.prometheus)
        #expect(page.contains("tidemark_config_info{hash=\"\(status.hash)\"} 1"))
        #expect(!page.contains(before))
        #expect(page.contains("tidemark_config_reloads_total{outcome=\"applied\"} 1"))
        #expect(page.contains("tidemark_config_generation 2"))
    }

    @Test func whatIsWrongChangesNothingAndSaysWhy() async throws {
        let bench = try Bench(Self.config(10))
        bench.file.write(Self.config(20, ", drain: 1ms"))
        #expect(await bench.reloader.reload() == .refused)
        #expect(bench.reloader.status.problem?.contains("tidemark.yaml:4: serve.drain: found 1ms") == true)
        bench.file.write(nil)
        #expect(await bench.reloader.reload() == .unreadable)
        #expect(bench.reloader.status.problem == "tidemark.yaml is not there")
        #expect(bench.reloader.current.serve.timeout == .milliseconds(10))
        #expect(bench.reloader.status.generation == 1)
        #expect(bench.applied.all.isEmpty)
        bench.file.write(Self.config(10))
        #expect(await bench.reloader.reload() == .unchanged)
        #expect(bench.reloader.status.problem == nil)
        let outcomes: [ConfigReloader.Outcome] = [.refused, .unreadable, .applied]
        #expect(outcomes.map { bench.count($0) } == [1, 1, 0])
    }

    @Test func aConfigThatNamesWhatCannotBeUsedIsNotTakenUntilItCan() async throws {
        let bench = try Bench(Self.config(10))
        bench.named.write(nil)
        bench.file.write(Self.config(20))
        #expect(await bench.reloader.reload() == .refused)
        #expect(bench.reloader.status.problem == "server.pem: not a certificate")
        #expect(bench.applied.all.isEmpty && bench.named.inForce == "a")
        #expect(bench.count(.refused) == 1)
        // Nobody touches the config: what it names is put right.
        bench.named.write("b")
        #expect(await bench.reloader.reload() == .applied)
        #expect(bench.applied.all == [.milliseconds(20)] && bench.named.inForce == "b")
        #expect(bench.reloader.status.problem == nil)
    }

    @Test func whatTheConfigNamesIsTakenWithoutAChangeOfTheConfig() async throws {
        let bench = try Bench(Self.config(10))
        bench.named.write("b")
        #expect(await bench.reloader.reload() == .applied)
        #expect(bench.named.inForce == "b" && bench.applied.all.isEmpty)
        #expect(bench.reloader.status.generation == 1, "the config is the same")
        #expect(await bench.reloader.reload() == .unchanged)
        bench.named.write(nil)
        #expect(await bench.reloader.reload() == .refused)
        #expect(bench.reloader.status.problem == "server.pem: not a certificate" && bench.named.inForce == "b")
        bench.named.write("b")
        #expect(await bench.reloader.reload() == .unchanged)
        #expect(bench.reloader.status.problem == nil)
    }

    @Test func ofTwoLooksAtOnceOneTakesTheConfig() async throws {
        let bench = try Bench(Self.config(10))
        let service = Task { try await bench.reloader.run() }
        try await bench.clock.waitForSleepers(1)
        bench.file.write(Self.config(20))
        let (entered, gate) = bench.named.holdNext()
        let reload = Task { await bench.reloader.reload() }
        for await _ in entered { break }
        bench.clock.advance(by: .seconds(1))
        try await bench.clock.waitForSleepers(1)
        gate.finish()
        // The second look has overtaken the first, which says so.
        #expect(await reload.value == .unchanged)
        #expect(bench.applied.all == [.milliseconds(20)] && bench.reloader.status.generation == 2)
        service.cancel()
        try await service.value
    }

    @Test func whatNeedsARestartIsNamedUntilItIsTakenBack() async throws {
        let bench = try Bench(Self.config(10))
        bench.file.write(Self.config(20, ", threads: 7, limits: {connections: 5}", http: "127.0.0.1:1"))
        #expect(await bench.reloader.reload() == .applied)
        #expect(
            bench.reloader.status.waitingForRestart == ["serve.http", "serve.threads", "serve.limits.connections"])
        #expect(bench.applied.all == [.milliseconds(20)], "the rest takes force")
        bench.file.write(Self.config(20))
        await bench.reloader.reload()
        #expect(bench.reloader.status.waitingForRestart.isEmpty)
        bench.file.write(
            Self.config(20) + "\ntelemetry: {slow_request: 5s, traces: {endpoint: \"http://a:1\", sample_ratio: 1}}")
        #expect(await bench.reloader.reload() == .applied)
        #expect(bench.reloader.status.waitingForRestart == ["telemetry.traces.endpoint"])
        bench.file.write(Self.config(20) + "\nmodels: {ctr: {path: models/ctr}}")
        #expect(await bench.reloader.reload() == .applied)
        #expect(bench.reloader.status.waitingForRestart == ["models"])
    }

    @Test func aHalfWrittenFileIsNotTaken() async throws {
        let bench = try Bench(Self.config(10))
        let service = Task { try await bench.reloader.run() }
        func tick() async throws {
            try await bench.clock.waitForSleepers(1)
            bench.clock.advance(by: .seconds(1))
            try await bench.clock.waitForSleepers(1)
        }
        // Cut off behind `serve:` it would be valid, with every default.
        bench.file.write(Self.config(20).split(separator: "{http")[0] + "{}")
        try await tick()
        #expect(bench.reloader.status.generation == 1)
        bench.file.write(Self.config(20))
        try await tick()
        #expect(bench.reloader.status.generation == 1)
        try await tick()
        #expect(bench.reloader.status.generation == 2)
        #expect(bench.applied.all == [.milliseconds(20)])
        bench.file.write(Self.config(30, ", tiemout: 5ms"))
        for _ in 0..<4 { try await tick() }
        #expect(bench.reloader.status.problem?.contains("tiemout") == true)
        #expect(bench.count(.refused) == 1, "said once, not each second")
        bench.file.write(nil)
        for _ in 0..<3 { try await tick() }
        #expect(bench.count(.unreadable) == 1)
        #expect(bench.reloader.current.serve.timeout == .milliseconds(20))
        service.cancel()
        try await service.value
    }

    @Test func aHangupIsObeyedAtOnce() async throws {
        let bench = try Bench(Self.config(10))
        let service = Task { try await bench.reloader.run() }
        bench.file.write(Self.config(20))
        bench.hangups.yield()
        while bench.reloader.status.generation == 1 { await Task.yield() }
        #expect(bench.applied.all == [.milliseconds(20)])
        service.cancel()
        try await service.value
    }

    @Test func ofManyReloadsTheLastValidFileWinsAndReadersSeeWholeOnes() async throws {
        let bench = try Bench(Self.config(10))
        let valid = Set([10] + Array(100..<400))
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                var last: UInt64 = 0
                while !Task.isCancelled {
                    let generation = bench.reloader.status.generation
                    #expect(generation >= last)
                    last = generation
                    let serve = bench.reloader.current.serve
                    #expect(valid.contains { Duration.milliseconds($0) == serve.timeout })
                    #expect(serve.drain == serve.timeout * 2 || serve.timeout == .milliseconds(10))
                    await Task.yield()
                }
            }
            for number in 100..<400 {
                let text = Self.config(number, ", drain: \(2 * number)ms")
                switch number % 3 {
                case 0: bench.file.write(text)
                case 1: bench.file.write(String(text.dropLast(1)))
                default: bench.file.write(Self.config(number, ", drain: 1ms"))
                }
                let outcome = await bench.reloader.reload()
                #expect((outcome == .applied) == (number % 3 == 0))
            }
            group.cancelAll()
            try await group.waitForAll()
        }
        #expect(bench.reloader.current.serve.timeout == .milliseconds(399))
        #expect(bench.reloader.status.generation == 101)
        #expect(bench.applied.all.last == .milliseconds(399))
        #expect(bench.applied.all.count == 100)
        #expect(bench.count(.refused) == 200)
    }
}
