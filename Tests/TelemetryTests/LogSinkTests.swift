import Glibc
import Logging
import Telemetry
import Testing

@Suite(.timeLimit(.minutes(1))) struct LogSinkTests {
    private let dropped = MetricRegistry().counter(.logLinesDropped)

    private func logger(to descriptor: Int32, level: Logger.Level = .info) -> (Logger, LogSink) {
        let sink = LogSink(descriptor: descriptor, format: .json, level: level, dropped: dropped)
        return (Logger(label: "test", factory: { LineLogHandler(label: $0, sink: sink) }), sink)
    }

    @Test func aLineGoesThroughAPipe() throws {
        let (reader, writer) = try makePipe()
        defer { closeAll(reader, writer) }
        let (log, _) = logger(to: writer)
        log.info("hello", metadata: ["view": "v"])
        let text = readAvailable(reader)
        #expect(text.hasSuffix("\"logger\":\"test\",\"message\":\"hello\",\"view\":\"v\"}\n"))
        #expect(dropped.value == 0)
    }

    @Test func aFullPipeDropsAndCountsAndLaterOwnsUp() throws {
        let (reader, writer) = try makePipe()
        defer { closeAll(reader, writer) }
        let (log, _) = logger(to: writer)
        for number in 0..<5_000 { log.info("line \(number)") }
        #expect(dropped.value > 0 && dropped.value < 5_000)
        let lost = dropped.value
        let before = readAvailable(reader)
        #expect(UInt64(before.split(separator: "\n").count) == 5_000 - lost)
        log.info("after")
        let after = readAvailable(reader).split(separator: "\n")
        try #require(after.count == 2)
        #expect(after[0].contains("\"message\":\"log lines were dropped\",\"count\":\"\(lost)\""))
        #expect(after[1].contains("\"message\":\"after\""))
        #expect(dropped.value == lost)
    }

    @Test func theDescriptorOthersShareStaysBlocking() throws {
        let (reader, writer) = try makePipe()
        defer { closeAll(reader, writer) }
        _ = logger(to: writer)
        #expect(fcntl(writer, F_GETFL) & O_NONBLOCK == 0)
    }

    @Test func aPipeNobodyReadsEndsNothing() throws {
        let (reader, writer) = try makePipe()
        let (log, _) = logger(to: writer)
        close(reader)
        defer { close(writer) }
        for _ in 0..<10 { log.error("into the void") }
        #expect(dropped.value == 10)
    }

    @Test func aClosedDescriptorDropsAndCounts() throws {
        let (log, _) = logger(to: 1_000_000)
        log.error("nowhere to go")
        #expect(dropped.value == 1)
    }

    @Test func aFullDiskDropsAndCounts() throws {
        let full = unsafe open("/dev/full", O_WRONLY)
        try #require(full >= 0)
        defer { close(full) }
        let (log, _) = logger(to: full)
        log.error("no room")
        #expect(dropped.value == 1)
    }

    @Test func aFullSocketNeverCutsALine() throws {
        var ends: [Int32] = [-1, -1]
        try #require(unsafe socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0)
        defer { closeAll(ends[0], ends[1]) }
        let (log, _) = logger(to: ends[1])
        var text = ""
        for number in 0..<20_000 {
            log.info("line \(number)")
            // An odd amount now and then makes room for a part of a line.
            if number % 500 == 499 { text += readAvailable(ends[0], atMost: 10_007) }
        }
        for _ in 0..<3 {
            text += readAvailable(ends[0])
            log.info("the last")
        }
        text += readAvailable(ends[0])
        #expect(dropped.value > 0)
        let lines = text.split(separator: "\n")
        #expect(lines.allSatisfy { $0.hasPrefix("{\"time\":") && $0.hasSuffix("}") })
        #expect(text.contains("log lines were dropped"))
    }

    @Test func linesOfManyTasksDoNotMix() async throws {
        let template = "/tmp/tidemark-log-XXXXXX"
        var path = template.utf8CString.map { $0 }
        let file = unsafe mkstemp(&path)
        try #require(file >= 0)
        defer { close(file) }
        unsafe unlink(&path)
        let (log, _) = logger(to: file)
        await withTaskGroup(of: Void.self) { group in
            for task in 0..<8 {
                group.addTask { for number in 0..<200 { log.info("task \(task) line \(number)") } }
            }
        }
        lseek(file, 0, SEEK_SET)
        let lines = readAvailable(file, isFile: true).split(separator: "\n")
        #expect(lines.count == 1_600)
        #expect(lines.allSatisfy { $0.hasPrefix("{\"time\":") && $0.hasSuffix("}") })
        #expect(dropped.value == 0)
    }

    @Test func theSinksLevelChangesForAllWhoHaveNoneOfTheirOwn() throws {
        let (reader, writer) = try makePipe()
        defer { closeAll(reader, writer) }
        let (log, sink) = logger(to: writer, level: .warning)
        var own = log
        own.logLevel = .error
        log.info("no")
        sink.level = .debug
        log.debug("yes")
        own.debug("no")
        #expect(sink.level == .debug)
        let text = readAvailable(reader)
        #expect(text.contains("yes") && !text.contains("no\""))
    }

    @Test func metadataOfTheEventWinsOverProviderAndLogger() throws {
        let (reader, writer) = try makePipe()
        defer { closeAll(reader, writer) }
        let sink = LogSink(descriptor: writer, format: .text, level: .info, dropped: dropped)
        let provider = Logger.MetadataProvider { ["b": "provider", "c": "provider"] }
        var log = Logger(
            label: "test", factory: { LineLogHandler(label: $0, sink: sink, metadataProvider: provider) })
        log[metadataKey: "a"] = "logger"
        log[metadataKey: "b"] = "logger"
        log.info("m", metadata: ["c": "event"])
        #expect(log[metadataKey: "a"] == "logger")
        #expect(readAvailable(reader).hasSuffix("test: m a=logger b=provider c=event\n"))
    }

    private func makePipe() throws -> (reader: Int32, writer: Int32) {
        var ends: [Int32] = [-1, -1]
        try #require(unsafe pipe(&ends) == 0)
        return (ends[0], ends[1])
    }

    private func closeAll(_ descriptors: Int32...) {
        for descriptor in descriptors { close(descriptor) }
    }

    /// What can be read without waiting.
    private func readAvailable(_ descriptor: Int32, atMost limit: Int = .max, isFile: Bool = false) -> String {
        var content: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while content.count < limit {
            var request = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard unsafe isFile || poll(&request, 1, 0) == 1 else { break }
            let wanted = min(chunk.count, limit - content.count)
            let count = unsafe chunk.withUnsafeMutableBytes { unsafe read(descriptor, $0.baseAddress, wanted) }
            guard count > 0 else { break }
            content += chunk[..<count]
        }
        return String(decoding: content, as: UTF8.self)
    }
}
