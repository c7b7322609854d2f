import NIOCore
import RedisClient
import Synchronization
import Testing
import TidemarkTesting

/// Lanes to a peer that answers what no Redis would, or when no Redis would.
@Suite(.timeLimit(.minutes(1)))
struct RedisLaneTests {
    private func withLane(
        _ script: @escaping RedisPeer.Script, _ body: (LaneProbe) async throws -> Void
    ) async throws {
        try await withLane(changing: { _ in }, script, body)
    }

    private func withLane(
        changing change: (inout RedisClient.Configuration) -> Void, _ script: @escaping RedisPeer.Script,
        _ body: (LaneProbe) async throws -> Void
    ) async throws {
        try await RedisPeer.with(script) { peer in
            try await LaneProbe.with(try RedisTopology(url: peer.url), change, body)
        }
    }

    /// The answer to a command that was read.
    private static func reply(to command: [[UInt8]]) -> String {
        answer(command.dropFirst().map { value(of: String(decoding: $0, as: UTF8.self)) })
    }

    private func expectValue(_ lane: LaneProbe, _ key: String) async {
        #expect(await lane.read([[key]]) == LaneOutcome(elements: bytes([value(of: key)])))
    }

    @Test func replyInSingleBytesIsWhole() async throws {
        try await withLane { peer in
            guard peer.greet() else { return }
            while let command = peer.readCommand() {
                for byte in Self.reply(to: command).utf8 { peer.write([byte]) }
            }
        } _: { lane in
            for key in ["a", "b", "c", "d"] { await expectValue(lane, key) }
        }
    }

    @Test func silentServerCostsTheDeadlineAndThenTheConnection() async throws {
        let second = Gate()
        let connections = Counter()
        try await withLane(changing: {
            $0.limits.headGrace = .zero
        }) { peer in
            guard peer.greet() else { return }
            guard connections.next() > 1 else { return peer.waitForHangUp() }
            second.open()
            while let command = peer.readCommand() { peer.write(Self.reply(to: command)) }
        } _: { lane in
            // On a busy machine the first deadlines may pass before anything is sent.
            while await lane.read([["a"]], within: .milliseconds(20)).error != nil {}
            await second.opened()
            await expectValue(lane, "b")
        }
    }

    @Test func lateReplyIsSwallowedAndShiftsNothing() async throws {
        try await withLane { peer in
            guard peer.greet() else { return }
            // Holds back every reply until the one that is waited for. On a busy machine the late one may never be sent.
            var held = ""
            while let command = peer.readCommand() {
                held += Self.reply(to: command)
                if command[1] == Array("next".utf8) { break }
            }
            peer.write(held)
            peer.waitForHangUp()
        } _: { lane in
            #expect(await lane.read([["late", "too"]], within: .milliseconds(20)).error == .deadlineExceeded)
            try await lane.readAndAbandon([["abandoned"]], afterTick: true)
            try await lane.readAndAbandon([["unsent"]], afterTick: false)
            await expectValue(lane, "next")
        }
    }

    @Test func readsWithoutAnswerAreSentAgainWhenTheConnectionDies() async throws {
        let connections = Counter()
        try await withLane { peer in
            guard peer.greet() else { return }
            if connections.next() == 1 {
                // Answers one whole, one in part, and hangs up.
                for _ in 0..<4 { _ = peer.readCommand() }
                peer.write(answer(["1"]) + "*2\r\n$1\r\nx\r\n")
                return
            }
            while let command = peer.readCommand() { peer.write(Self.reply(to: command)) }
        } _: { lane in
            let outcomes = await lane.readTogether([[["a"]], [["b", "c"]], [["d"]], [["e"]]])
            #expect(outcomes[0] == LaneOutcome(elements: bytes(["1"])))
            #expect(outcomes[1] == LaneOutcome(elements: bytes(["x"]), error: .connectionClosed))
            #expect(outcomes[2] == LaneOutcome(elements: bytes([value(of: "d")])))
            #expect(outcomes[3] == LaneOutcome(elements: bytes([value(of: "e")])))
        }
    }

    @Test func readIsSentAgainOnceOnly() async throws {
        let connections = Counter()
        try await withLane { peer in
            guard peer.greet() else { return }
            _ = connections.next()
            _ = peer.readCommand()
        } _: { lane in
            #expect(await lane.read([["a"]]).error == .connectionClosed)
            #expect(connections.current == 2)
        }
    }

    @Test func retriesStayWithinTheBudget() async throws {
        let connections = Counter()
        let reads = 40
        let started = ContinuousClock.now
        try await withLane(changing: {
            $0.connectsPerSecond = 1_000
            $0.limits.waitingPipelines = 4
        }) { peer in
            guard peer.greet() else { return }
            _ = connections.next()
            _ = peer.readCommand()
        } _: { lane in
            for _ in 0..<reads { #expect(await lane.read([["a"]]).error == .connectionClosed) }
        }
        // Four in the budget at first, one more for every tenth read and for each second.
        let seconds = Int((ContinuousClock.now - started) / .seconds(1)) + 1
        #expect(connections.current <= reads + 4 + reads / 10 + seconds)
        #expect(connections.current >= reads + 4)
    }

    @Test func foreignReplyCostsTheConnectionAndNotTheOtherReads() async throws {
        let connections = Counter()
        try await withLane { peer in
            guard peer.greet() else { return }
            if connections.next() == 1 {
                _ = peer.readCommand()
                _ = peer.readCommand()
                peer.write("+OK\r\n")
                return peer.waitForHangUp()
            }
            while let command = peer.readCommand() { peer.write(Self.reply(to: command)) }
        } _: { lane in
            let outcomes = await lane.readTogether([[["a"]], [["b"]]])
            #expect(outcomes[0].error == .malformedReply)
            #expect(outcomes[1] == LaneOutcome(elements: bytes([value(of: "b")])))
        }
    }

    @Test(arguments: [":1\r\n", "*1\r\n", "$", "-ERR"])
    func bytesBehindTheHandshakeAreRefused(_ rest: String) async throws {
        try await withLane { peer in
            _ = peer.readCommand()
            peer.write("+OK\r\n" + rest)
            peer.waitForHangUp()
        } _: { lane in
            #expect(await lane.read([["a"]]).error == .malformedReply)
            let isReady = try await lane.isReady()
            #expect(!isReady)
        }
    }

    @Test func readsBeyondTheLimitsAreRefusedAtOnce() async throws {
        try await withLane(changing: {
            $0.limits.waitingPipelines = 2
            $0.limits.pipelineCommands = 2
        }) { peer in
            guard peer.greet() else { return }
            while let command = peer.readCommand() { peer.write(Self.reply(to: command)) }
        } _: { lane in
            let outcomes = await lane.readTogether([[["a"]], [["b"]], [["c"]], [["d"], ["e"], ["f"]]])
            #expect(outcomes.map(\.error) == [nil, nil, .overloaded, .requestTooLarge])
        }
    }

    @Test func readsEndWithTheLane() async throws {
        let asked = Gate()
        try await withLane { peer in
            guard peer.greet(), peer.readCommand() != nil else { return }
            asked.open()
            peer.waitForHangUp()
        } _: { lane in
            async let outcome = lane.read([["a"]])
            await asked.opened()
            let wasReady = try await lane.isReady()
            #expect(wasReady)
            try await lane.close()
            #expect(await outcome.error == .clientClosed)
            #expect(await lane.read([["b"]]).error == .clientClosed)
            let isReady = try await lane.isReady()
            #expect(!isReady)
        }
    }

    @Test(arguments: SeededGenerator.seeds(4))
    func interleavedReadsWithShortDeadlinesGetTheirOwnAnswers(_ seed: UInt64) async throws {
        print("RedisLane seed \(seed)")
        try await withLane { peer in
            guard peer.greet() else { return }
            var random = SeededGenerator(seed: seed)
            var held = ""
            while let command = peer.readCommand() {
                held += Self.reply(to: command)
                // Lets answers pile up; the last read of all asks for them.
                if random.chance(0.3) || command[1].starts(with: Array("flush".utf8)) {
                    peer.write(held)
                    held = ""
                }
            }
        } _: { lane in
            await withTaskGroup(of: Void.self) { group in
                for task in 0..<8 {
                    group.addTask {
                        var random = SeededGenerator(seed: seed &+ UInt64(task) &* 7_919)
                        for call in 0..<150 {
                            let rows = 1 + random.below(3)
                            var keys = (0..<rows).map { row in
                                (0...random.below(5)).map { "\(task).\(call).\(row).\($0)" }
                            }
                            let isPatient = call % 3 == 0
                            if isPatient { keys.append(["flush\(task).\(call)"]) }
                            let patience = isPatient ? TimeAmount.seconds(60) : .microseconds(Int64(random.below(800)))
                            let outcome = await lane.read(keys, within: patience)
                            let expected = bytes(keys.flatMap { $0.map(value(of:)) })
                            #expect(Array(expected.prefix(outcome.elements.count)) == outcome.elements)
                            if outcome.error == nil { #expect(outcome.elements == expected) }
                            #expect(outcome.error == nil || !isPatient && outcome.error == .deadlineExceeded)
                        }
                    }
                }
            }
        }
    }
}

/// Counts what a script saw.
private final class Counter: Sendable {
    private let value = Atomic<Int>(0)

    var current: Int { value.load(ordering: .acquiring) }

    func next() -> Int { value.add(1, ordering: .acquiringAndReleasing).newValue }
}
