import Events
import Glibc
import Testing
import TidemarkTesting

/// A file as a sink, on real disks: rotation, a full disk, a crash before, others who move it.
@Suite(.timeLimit(.minutes(1))) struct EventFileTests {
    static func events(_ numbers: Range<Int>) -> [QueuedEvent] {
        numbers.map { QueuedEvent(Array("{\"n\":\($0)}".utf8)) }
    }

    static func lines(_ numbers: Range<Int>) -> [String] { numbers.map { "{\"n\":\($0)}" } }

    /// The lines of a file; nothing where there is none. Nothing must stand behind the last line feed.
    static func read(_ path: String) throws -> [String] {
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return [] }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 65_536)
        while case let count = unsafe Glibc.read(descriptor, &part, part.count), count > 0 {
            bytes += part.prefix(count)
        }
        try #require(bytes.isEmpty || bytes.last == UInt8(ascii: "\n"), "\(path) ends within a line")
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init)
    }

    private static func with(
        _ maximumBytes: Int = 1_000, keep: Int = 2, _ body: (Workdir, EventFile) async throws -> Void
    ) async throws {
        try await Workdir.with { workdir in
            let sink = EventFile(.init(path: workdir.file("log"), maximumBytes: maximumBytes, keep: keep))
            try await body(workdir, sink)
            await sink.close()
        }
    }

    @Test func linesAreAppendedAndAnotherProcessGoesOn() async throws {
        try await Self.with { workdir, sink in
            try await sink.write(Self.events(0..<3))
            #expect(try Self.read(workdir.file("log")) == Self.lines(0..<3))
            await sink.close()
            let next = EventFile(.init(path: workdir.file("log"), maximumBytes: 1_000, keep: 2))
            try await next.write(Self.events(3..<5))
            #expect(try Self.read(workdir.file("log")) == Self.lines(0..<5))
            await next.close()
        }
    }

    @Test func aFullFileMakesRoomAndOnlySoManyOldOnesStay() async throws {
        // Lines of 8 bytes with their feed: four a file.
        try await Self.with(35, keep: 2) { workdir, sink in
            try await sink.write(Self.events(0..<10))
            #expect(try Self.read(workdir.file("log.2")) == Self.lines(0..<4))
            #expect(try Self.read(workdir.file("log.1")) == Self.lines(4..<8))
            #expect(try Self.read(workdir.file("log")) == Self.lines(8..<10))
            // 9 bytes from here on: the two that are there leave room for two.
            try await sink.write(Self.events(10..<14))
            #expect(try Self.read(workdir.file("log.2")) == Self.lines(4..<8))
            #expect(try Self.read(workdir.file("log.1")) == Self.lines(8..<12))
            #expect(try Self.read(workdir.file("log")) == Self.lines(12..<14))
            #expect(try Self.read(workdir.file("log.3")).isEmpty)
        }
    }

    @Test func aLineLongerThanAFileHasOneAlone() async throws {
        try await Self.with(20, keep: 5) { workdir, sink in
            let long = QueuedEvent(Array("{\"long\":\"\(String(repeating: "x", count: 50))\"}".utf8))
            try await sink.write(Self.events(0..<1) + [long] + Self.events(1..<2))
            #expect(try Self.read(workdir.file("log.2")) == Self.lines(0..<1))
            #expect(try Self.read(workdir.file("log.1")).map(\.count) == [61])
            #expect(try Self.read(workdir.file("log")) == Self.lines(1..<2))
        }
    }

    @Test func aLineThatACrashHasCutStaysAlone() async throws {
        try await Self.with { workdir, sink in
            try workdir.write("{\"n\":0}\n{\"n\":", to: "log")
            try await sink.write(Self.events(1..<3))
            #expect(try Self.read(workdir.file("log")) == ["{\"n\":0}", "{\"n\":"] + Self.lines(1..<3))
        }
    }

    @Test func whoMovesOrDeletesTheFileGetsANewOne() async throws {
        try await Self.with { workdir, sink in
            try await sink.write(Self.events(0..<1))
            let moved = unsafe rename(workdir.file("log"), workdir.file("moved"))
            #expect(moved == 0)
            try await sink.write(Self.events(1..<2))
            let deleted = unsafe unlink(workdir.file("log"))
            #expect(deleted == 0)
            try await sink.write(Self.events(2..<3))
            #expect(try Self.read(workdir.file("moved")) == Self.lines(0..<1))
            #expect(try Self.read(workdir.file("log")) == Self.lines(2..<3))
        }
    }

    @Test func twoProcessesDoNotWriteOneFile() async throws {
        try await Self.with { workdir, sink in
            try await sink.write(Self.events(0..<1))
            let second = EventFile(.init(path: workdir.file("log"), maximumBytes: 1_000, keep: 2))
            let failure = await #expect(throws: EventSinkFailure.self) {
                try await second.write(Self.events(1..<3))
            }
            #expect(failure?.unwritten == [0, 1] && failure?.description == "another process writes it")
            await sink.close()
            try await second.write(Self.events(1..<3))
            #expect(try Self.read(workdir.file("log")) == Self.lines(0..<3))
            await second.close()
        }
    }

    @Test(arguments: ["/dev/full", "/dev/null", "/proc/self/nothing/log"])
    func whatIsNoFileIsRefusedAndLeftAlone(path: String) async throws {
        let sink = EventFile(.init(path: path, maximumBytes: 10, keep: 1))
        for _ in 0..<3 {
            let failure = await #expect(throws: EventSinkFailure.self) { try await sink.write(Self.events(0..<9)) }
            #expect(failure?.unwritten == Array(0..<9))
        }
        await sink.close()
        let isThere = unsafe access("\(path).1", F_OK) == 0
        #expect(!isThere)
    }

    @Test(.enabled(if: SmallDisk.isPossible))
    func aFullDiskLeavesNoPartOfALineAndTakesTheRestLater() async throws {
        try await SmallDisk.with { disk in
            let sink = EventFile(.init(path: disk.file("log"), maximumBytes: 10 << 20, keep: 1))
            try await sink.write(Self.events(0..<10))
            try disk.fill()
            let failure = await #expect(throws: EventSinkFailure.self) { try await sink.write(Self.events(10..<5_000)) }
            #expect(failure?.unwritten == Array(0..<4_990), "\(String(describing: failure))")
            #expect(try Self.read(disk.file("log")) == Self.lines(0..<10))
            disk.empty()
            try await sink.write(Self.events(10..<5_000))
            #expect(try Self.read(disk.file("log")) == Self.lines(0..<5_000))
            await sink.close()
        }
    }
}
