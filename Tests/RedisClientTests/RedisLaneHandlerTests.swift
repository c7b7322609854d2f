import NIOCore
import NIOEmbedded
import Testing
import TidemarkTesting

// The handler has no package API: it lives inside of a lane.
@testable import RedisClient

/// The lane's handler with a server that a test plays by hand, so that time and slices are exact.
struct RedisLaneHandlerTests {
    /// One channel, the handler on it, and what was written to the server.
    private final class Wire {
        let channel = EmbeddedChannel()
        let handler: RedisLaneHandler
        var now = NIODeadline.uptimeNanoseconds(1_000_000_000)
        private var lastToken: UInt64 = 0

        init(_ change: (inout RedisConnection.Limits) -> Void = { _ in }) throws {
            var limits = RedisConnection.Limits()
            change(&limits)
            handler = try RedisLaneHandler(limits: limits, lane: nil)
            try channel.pipeline.syncOperations.addHandler(handler)
            channel.connect(to: try SocketAddress(unixDomainSocketPath: "/peer"), promise: nil)
        }

        @discardableResult
        func submit(
            _ keys: [[String]], within: TimeAmount = .seconds(1), _ collector: LaneCollector
        ) -> (token: UInt64, refusal: RedisError.Code?) {
            lastToken += 1
            let read = LaneRead(
                token: lastToken, request: mget(keys), commands: keys.count, keys: keys.map(\.count).reduce(0, +),
                deadline: now + within, receiver: collector)
            return (lastToken, handler.submit(read, now: now)?.code)
        }

        /// Ends the tick; returns the writes.
        func tick() throws -> [ByteBuffer] {
            channel.embeddedEventLoop.run()
            var writes: [ByteBuffer] = []
            while let next = try channel.readOutbound(as: ByteBuffer.self) { writes.append(next) }
            return writes
        }

        func receive(_ bytes: some Sequence<UInt8>) throws {
            try channel.writeInbound(ByteBuffer(bytes: bytes))
        }
    }

    @Test func readsOfOneTickLeaveInOneWrite() throws {
        let wire = try Wire()
        let keys = [[["a"]], [["b", "c"], ["d"]], [["e"]]]
        for read in keys { wire.submit(read, LaneCollector()) }
        let writes = try wire.tick()
        #expect(writes == [keys.map { mget($0) }.reduce(into: ByteBuffer()) { $0.writeImmutableBuffer($1) }])
        #expect(try wire.tick().isEmpty)
    }

    @Test func windowHoldsBackWhatItHasNoRoomFor() throws {
        let wire = try Wire {
            $0.commandsOnWire = 2
            $0.waitingPipelines = 2
        }
        let collectors = (0..<4).map { _ in LaneCollector() }
        wire.submit([["a"], ["b"]], collectors[0])
        #expect(try wire.tick() == [mget([["a"], ["b"]])])
        #expect(!wire.handler.hasRoom)
        wire.submit([["c"]], collectors[1])
        wire.submit([["d"]], collectors[2])
        #expect(wire.submit([["e"]], collectors[3]).refusal == .overloaded)
        #expect(try wire.tick().isEmpty)
        try wire.receive(answer(["1"]).utf8)
        #expect(try wire.tick() == [mget([["c"]])])
        try wire.receive((answer(["2"]) + answer(["3"])).utf8)
        #expect(try wire.tick() == [mget([["d"]])])
        try wire.receive(answer(["4"]).utf8)
        #expect(collectors.prefix(3).map(\.outcome.elements) == [bytes(["1", "2"]), bytes(["3"]), bytes(["4"])])
        #expect(wire.handler.hasRoom)
    }

    @Test func replySplitAtEveryBoundaryIsTheSame() throws {
        let text = Array((answer(["a\r\n", nil, ""]) + answer(["d"]) + answer(["e"])).utf8)
        for split in 0...text.count {
            let wire = try Wire()
            let (first, second) = (LaneCollector(), LaneCollector())
            wire.submit([["a", "b", "c"], ["d"]], first)
            wire.submit([["e"]], second)
            _ = try wire.tick()
            try wire.receive(text[..<split])
            try wire.receive(text[split...])
            #expect(first.outcome == LaneOutcome(elements: bytes(["a\r\n", nil, "", "d"])))
            #expect(second.outcome == LaneOutcome(elements: bytes(["e"])))
        }
    }

    @Test(arguments: [
        ("+OK\r\n", RedisError.Code.malformedReply), (":1\r\n", .malformedReply), ("$1\r\na\r\n", .malformedReply),
        ("$-1\r\n", .malformedReply), ("*-1\r\n", .malformedReply), ("*0\r\n", .malformedReply),
        ("*1\r\n$1\r\na\r\n", .malformedReply), ("*3\r\n", .malformedReply), ("*1000000000\r\n", .malformedReply),
        ("*2\r\n*1\r\n", .malformedReply), ("*2\r\n:1\r\n", .malformedReply), ("*2\r\n+OK\r\n", .malformedReply),
        ("*2\r\n$1\r\na\r\n*1\r\n", .malformedReply), ("*2\r\n$1\r\nabc", .malformedReply),
        ("!\r\n", .malformedReply), ("HTTP/1.1 400 Bad Request\r\n\r\n", .malformedReply),
        ("*2\r\n$99999999999\r\n", .replyTooLarge), ("*2\r\n$11\r\n", .replyTooLarge),
        ("*2\r\n$10\r\n0123456789\r\n$10\r\n0123456789\r\n", .replyTooLarge),
        ("+" + String(repeating: "x", count: 40_000), .replyTooLarge),
    ])
    func foreignReplyBlamesItsReadAndClosesTheConnection(_ reply: String, _ code: RedisError.Code) throws {
        let wire = try Wire {
            $0.reply.bulkBytes = 10
            $0.reply.totalBytes = 15
        }
        let (culprit, bystander) = (LaneCollector(), LaneCollector())
        wire.submit([["a", "b"]], culprit)
        wire.submit([["c"]], bystander)
        _ = try wire.tick()
        try wire.receive(reply.utf8)
        #expect(culprit.outcome.error == code)
        #expect(bystander.outcome.error == .connectionClosed)
        #expect(!wire.channel.isActive)
        #expect(!wire.handler.hasRoom)
    }

    @Test func elementsOfOneCommandAreNotThoseOfAnother() throws {
        for (first, second) in [(["1"], ["2", "3"]), (["1", "2", "3"], []), (["1", "2"], ["3", "4"])] {
            let wire = try Wire()
            let collector = LaneCollector()
            wire.submit([["a", "b"], ["c"]], collector)
            _ = try wire.tick()
            try wire.receive((answer(first) + answer(second)).utf8)
            #expect(collector.outcome.error == .malformedReply)
            #expect(collector.outcome.elements == (first.count == 2 ? bytes(["1", "2"]) : []))
        }
    }

    @Test func replyThatNobodyAskedForClosesTheConnection() throws {
        let wire = try Wire()
        let collector = LaneCollector()
        wire.submit([["a"]], collector)
        _ = try wire.tick()
        try wire.receive((answer(["1"]) + answer(["2"])).utf8)
        #expect(collector.outcome == LaneOutcome(elements: bytes(["1"])))
        #expect(!wire.channel.isActive)
    }

    @Test func refusedCommandDeliversNothingAfterIt() throws {
        let wire = try Wire()
        let (refused, next) = (LaneCollector(), LaneCollector())
        wire.submit([["a"], ["b"], ["c"]], refused)
        wire.submit([["d"]], next)
        _ = try wire.tick()
        try wire.receive((answer(["1"]) + "-LOADING Redis is loading\r\n" + answer(["3"]) + answer(["4"])).utf8)
        #expect(refused.outcome == LaneOutcome(elements: bytes(["1"]), error: .errorReply(.loading)))
        #expect(next.outcome == LaneOutcome(elements: bytes(["4"])))
        #expect(wire.channel.isActive)
    }

    @Test(arguments: [
        ("-MASTERDOWN Link with MASTER is down\r\n", RedisErrorReply.Kind.masterdown, false),
        ("-NOAUTH Authentication required.\r\n", .noauth, false), ("-OOM command not allowed\r\n", .oom, true),
        ("*1\r\n-BUSY a script runs\r\n", .busy, true), ("-NOPERM no\r\n", .noperm, true),
    ])
    func errorReplyClosesTheConnectionIfItIsOfNoUse(
        _ reply: String, _ kind: RedisErrorReply.Kind, _ staysOpen: Bool
    ) throws {
        let wire = try Wire()
        let (refused, next) = (LaneCollector(), LaneCollector())
        wire.submit([["a"]], refused)
        wire.submit([["b"]], next)
        _ = try wire.tick()
        try wire.receive(reply.utf8)
        #expect(refused.outcome.error == .errorReply(kind))
        #expect(wire.channel.isActive == staysOpen)
        #expect(next.isFinished != staysOpen)
    }

    @Test func onlyAnOverdueHeadClosesTheConnection() throws {
        let wire = try Wire { $0.headGrace = .seconds(2) }
        let (late, next) = (LaneCollector(), LaneCollector())
        wire.submit([["a", "b"]], within: .seconds(1), late)
        wire.submit([["c"]], within: .seconds(9), next)
        _ = try wire.tick()
        try wire.receive("*2\r\n$1\r\na".utf8)
        wire.now = wire.now + .seconds(1)
        wire.handler.expire(at: wire.now)
        #expect(late.outcome.error == .deadlineExceeded)
        try wire.receive("\r\n$1\r\nb\r\n\(answer(["3"]))".utf8)
        #expect(late.outcome.elements.isEmpty)
        #expect(next.outcome == LaneOutcome(elements: bytes(["3"])))
        let silent = LaneCollector()
        wire.submit([["d"]], within: .seconds(1), silent)
        _ = try wire.tick()
        wire.handler.expire(at: wire.now + .seconds(1))
        #expect(silent.outcome.error == .deadlineExceeded)
        #expect(wire.channel.isActive)
        wire.handler.expire(at: wire.now + .seconds(3))
        #expect(!wire.channel.isActive)
    }

    @Test(arguments: SeededGenerator.seeds(30))
    func randomEventsNeverShiftAnAnswer(_ seed: UInt64) throws {
        print("RedisLaneHandler seed \(seed)")
        var random = SeededGenerator(seed: seed)
        let wire = try Wire {
            $0.commandsOnWire = 12
            $0.waitingPipelines = 16
            $0.headGrace = .seconds(1_000)
        }
        var reads: [(token: UInt64, keys: [[String]], collector: LaneCollector, isAbandoned: Bool)] = []
        var server = LaneServer()
        var delivered = 0
        for step in 0..<2_000 {
            switch random.below(10) {
            case 0..<3:
                let keys = (0...random.below(3)).map { row in (0...random.below(4)).map { "\(step).\(row).\($0)" } }
                let collector = LaneCollector()
                let within = TimeAmount.milliseconds(Int64(1 + random.below(400)))
                let (token, refusal) = wire.submit(keys, within: within, collector)
                if refusal == nil { reads.append((token, keys, collector, false)) }
            case 3:
                guard let index = reads.indices.randomElement(using: &random) else { break }
                if wire.handler.abandon(reads[index].token) {
                    #expect(!reads[index].collector.isFinished)
                    reads[index].isAbandoned = true
                }
            case 4:
                wire.now = wire.now + .milliseconds(Int64(random.below(40)))
                wire.handler.expire(at: wire.now)
            case 5..<7:
                for write in try wire.tick() { server.receive(write, &random) }
            default:
                try wire.receive(server.send(upTo: random.below(400)))
            }
        }
        for _ in 0..<100 {
            for write in try wire.tick() { server.receive(write, &random) }
            try wire.receive(server.send(upTo: .max))
        }
        #expect(wire.channel.isActive)
        for read in reads {
            let expected = bytes(read.keys.flatMap { $0.map(value(of:)) })
            let outcome = read.collector.outcome
            #expect(read.collector.isFinished != read.isAbandoned)
            #expect(Array(expected.prefix(outcome.elements.count)) == outcome.elements)
            if read.collector.isFinished, outcome.error == nil { #expect(outcome.elements == expected) }
            if outcome.error == nil, read.collector.isFinished { delivered += 1 }
            #expect([nil, .deadlineExceeded, .errorReply(.loading)].contains(outcome.error))
        }
        #expect(delivered > 50)
    }
}

/// Answers MGETs in order, now and then with an error, as slowly as the test wants.
private struct LaneServer {
    private var unread: [UInt8] = []
    private var unsent: [UInt8] = []

    mutating func receive(_ bytes: ByteBuffer, _ random: inout SeededGenerator) {
        // Keys hold no line ends, so that a line is a header or an argument.
        let lines = String(decoding: bytes.readableBytesView, as: UTF8.self).split(separator: "\r\n")
        var index = 0
        while index < lines.count {
            let count = Int(lines[index].dropFirst()) ?? 0
            let arguments = (0..<count).map { String(lines[index + 2 + 2 * $0]) }
            index += 1 + 2 * count
            let text = random.chance(0.05) ? "-LOADING wait\r\n" : answer(arguments.dropFirst().map(value(of:)))
            unsent += Array(text.utf8)
        }
    }

    mutating func send(upTo limit: Int) -> [UInt8] {
        defer { unsent.removeFirst(min(limit, unsent.count)) }
        return Array(unsent.prefix(limit))
    }
}
