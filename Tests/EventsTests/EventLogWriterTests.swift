import Logging
import RedisClient
import Resilience
import ServiceLifecycle
import Synchronization
import Telemetry
import Testing
import TidemarkTesting

@testable import Events  // what a test waits for, it learns from the log's own counters

/// A log in front of a sink that fails and comes back: what is written, dropped, refused, logged.
@Suite(.timeLimit(.minutes(1))) struct EventLogWriterTests {
    /// A log whose writer's ticks are the test's, and whose waits between tries are remembered, not waited for.
    final class Stage: Sendable {
        let registry = MetricRegistry()
        let log: EventLog
        let waits = Mutex<[Duration]>([])
        let lines = Mutex<[String]>([])
        private let tried: AsyncStream<Void>
        private let trying: AsyncStream<Void>.Continuation

        init(limit: Int) {
            log = EventLog(name: "test", limit: limit, bytes: 1 << 20, registry: registry)
            (tried, trying) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .unbounded)
        }

        struct Handler: LogHandler {
            let stage: Stage
            var metadata: Logger.Metadata = [:]
            var logLevel = Logger.Level.info
            subscript(metadataKey key: String) -> Logger.Metadata.Value? {
                get { metadata[key] }
                set { metadata[key] = newValue }
            }

            func log(event: Logging.LogEvent) {
                stage.lines.withLock { $0.append("\(event.level): \(event.message)") }
            }
        }

        /// Runs beside the writer, which is told to end behind `body` and has written all it can then.
        func run(
            to sink: any EventSink, drain: Duration = .seconds(20), _ body: () async throws -> Void
        ) async throws {
            var settings = EventLogWriter.Settings()
            settings.interval = .milliseconds(1)
            settings.drain = drain
            settings.retries = .init(initial: .seconds(7), maximum: .seconds(60))
            let interval = settings.interval
            let clock = EventLogWriter.Clock(
                sleep: { [self] duration in
                    // Ticks and the last deadline are real; waits between tries are not.
                    if duration == interval || duration == drain { return try await Task.sleep(for: duration) }
                    waits.withLock { $0.append(duration) }
                    trying.yield()
                    try await Task.sleep(for: .microseconds(100))
                }, random: { 0.999 })
            let logger = Logger(label: "test") { _ in Handler(stage: self) }
            let writer = EventLogWriter(log, to: sink, settings, logger: logger, clock: clock)
            let group = ServiceGroup(
                services: [writer], logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                tasks.addTask { try await group.run() }
                try await body()
                await group.triggerGracefulShutdown()
                try await tasks.waitForAll()
            }
        }

        /// Returns when the sink has failed so many times more.
        func failures(_ count: Int) async {
            var iterator = tried.makeAsyncIterator()
            for _ in 0..<count { _ = await iterator.next() }
        }

        /// Returns when nothing waits.
        func isEmpty() async throws {
            while log.reading.unwritten > 0 || log.reading.isFailing { try await Task.sleep(for: .milliseconds(1)) }
        }

        func record(_ numbers: Range<Int>) {
            for event in EventFileTests.events(numbers) { log.record(event) }
        }

        func dropped(_ reason: String) -> UInt64 { registry.counter(.eventLogDropped, ["test", reason]).value }
        var written: UInt64 { registry.counter(.eventLogWritten, ["test"]).value }
        var failed: UInt64 { registry.counter(.eventLogFailures, ["test"]).value }
    }

    @Test func nothingIsLostAtTheEnd() async throws {
        try await Workdir.with { workdir in
            let stage = Stage(limit: 10_000)
            try await stage.run(to: EventFile(.init(path: workdir.file("log"), maximumBytes: 1 << 30, keep: 1))) {
                stage.record(0..<5_000)
            }
            #expect(try EventFileTests.read(workdir.file("log")) == EventFileTests.lines(0..<5_000))
            #expect(stage.written == 5_000 && stage.dropped("full") == 0 && stage.dropped("shutdown") == 0)
            #expect(stage.lines.withLock { $0 }.isEmpty)
            stage.record(0..<1)
            #expect(stage.dropped("shutdown") == 1)
        }
    }

    @Test(.enabled(if: SmallDisk.isPossible))
    func aFullDiskCostsTheOldestAndIsToldOnce() async throws {
        try await SmallDisk.with { disk in
            let stage = Stage(limit: 100)
            try disk.fill()
            try await stage.run(to: EventFile(.init(path: disk.file("log"), maximumBytes: 1 << 30, keep: 1))) {
                stage.record(0..<100)
                await stage.failures(3)
                #expect(stage.log.offer(EventFileTests.events(0..<1)) == .unavailable)
                stage.record(100..<350)
                await stage.failures(3)
                disk.empty()
                try await stage.isEmpty()
                #expect(stage.log.offer(EventFileTests.events(350..<351)) == .taken)
            }
            #expect(try EventFileTests.read(disk.file("log")) == EventFileTests.lines(250..<351))
            #expect(stage.dropped("full") == 250 && stage.written == 101 && stage.dropped("shutdown") == 0)
            #expect(stage.failed >= 6)
            let waits = stage.waits.withLock { $0 }
            #expect(waits.prefix(4).map { ($0 / .milliseconds(1)).rounded() } == [6_993, 13_986, 27_972, 55_944])
            #expect(waits.allSatisfy { $0 <= .seconds(60) })
            #expect(stage.lines.withLock { $0 }.count { $0.hasPrefix("error") } == 1)
            #expect(stage.lines.withLock { $0 }.count { $0.hasPrefix("info") } == 1)
        }
    }

    @Test func aSinkThatTakesNothingInTheEndIsGivenUpCountedAndTold() async throws {
        let stage = Stage(limit: 100)
        try await stage.run(
            to: EventFile(.init(path: "/dev/full", maximumBytes: 100, keep: 1)), drain: .milliseconds(50)
        ) {
            stage.record(0..<40)
        }
        #expect(stage.dropped("shutdown") == 40 && stage.written == 0)
        #expect(stage.lines.withLock { $0 }.contains { $0.hasPrefix("error: events are lost") })
    }

    // MARK: Redis

    private static func stream(_ redis: RedisServer, maximumLength: Int = 1_000_000) throws -> EventStream {
        var configuration = RedisClient.Configuration(topology: redis.topology)
        configuration.connections = 1
        configuration.connectsPerSecond = 1_000
        return EventStream(
            try RedisClient(configuration), key: "log", maximumLength: maximumLength, timeout: .seconds(2))
    }

    private static func entries(_ redis: RedisServer) async throws -> [String] {
        let client = try RedisClient(RedisClient.Configuration(topology: redis.topology))
        var pipeline = RedisPipeline()
        pipeline.append("XRANGE", .text("log"), .text("-"), .text("+"))
        let replies = try await client.send(pipeline, deadline: .now + .seconds(5), idempotent: true) { $0 }
        await client.close()
        return try replies[0].elements().map { entry in
            let fields = try entry.elements()[1].elements()
            #expect(try fields[0].bytes() == Array("event".utf8))
            return String(decoding: try fields[1].bytes() ?? [], as: UTF8.self)
        }
    }

    @Test(.enabled(if: RedisServer.isAvailable)) func aStreamHasAllOfThem() async throws {
        try await RedisServer.with { redis async throws in
            let stage = Stage(limit: 10_000)
            try await stage.run(to: Self.stream(redis)) { stage.record(0..<3_000) }
            #expect(try await Self.entries(redis) == EventFileTests.lines(0..<3_000))
        }
    }

    @Test(.enabled(if: RedisServer.isAvailable)) func aStreamIsCut() async throws {
        try await RedisServer.with { redis async throws in
            let stage = Stage(limit: 10_000)
            try await stage.run(to: Self.stream(redis, maximumLength: 200)) { stage.record(0..<3_000) }
            let entries = try await Self.entries(redis)
            // Redis cuts whole nodes, of 100 entries unless told otherwise.
            #expect((200...300).contains(entries.count) && entries.last == "{\"n\":2999}")
        }
    }

    @Test(.enabled(if: RedisServer.isAvailable)) func aRedisThatIsAwayCostsTheOldestOnly() async throws {
        try await RedisServer.with { redis async throws in
            let stage = Stage(limit: 100)
            try await stage.run(to: Self.stream(redis)) {
                stage.record(0..<10)
                try await stage.isEmpty()
                redis.stop(.kill)
                stage.record(10..<60)
                await stage.failures(2)
                stage.record(60..<260)
                await stage.failures(2)
                try redis.start(erasing: true)
                try await stage.isEmpty()
            }
            #expect(try await Self.entries(redis) == EventFileTests.lines(160..<260))
            #expect(stage.dropped("full") == 150 && stage.written == 110)
        }
    }

    @Test(.enabled(if: RedisServer.isAvailable)) func whatRedisRefusesComesLater() async throws {
        try await RedisServer.with { redis async throws in
            let client = try RedisClient(RedisClient.Configuration(topology: redis.topology))
            func send(_ name: StaticString, _ arguments: RedisPipeline.Argument...) async throws {
                var pipeline = RedisPipeline()
                pipeline.append(name, arguments)
                _ = try await client.send(pipeline, deadline: .now + .seconds(5), idempotent: true) { $0 }
            }
            try await send("SET", .text("log"), .text("not a stream"))
            let stage = Stage(limit: 100)
            try await stage.run(to: Self.stream(redis)) {
                stage.record(0..<50)
                await stage.failures(2)
                try await send("DEL", .text("log"))
                try await stage.isEmpty()
            }
            #expect(try await Self.entries(redis) == EventFileTests.lines(0..<50))
            await client.close()
        }
    }
}
