import NIOCore
import NIOPosix
import Synchronization
import Testing

@testable import RedisClient

/// What a read came to.
struct LaneOutcome: Equatable, Sendable {
    var elements: [[UInt8]?] = []
    var error: RedisError.Code?
}

/// Collects what a lane delivers and complains about what it must not: elements out of turn, an end that comes twice.
final class LaneCollector: RedisLaneReceiver {
    private(set) var outcome = LaneOutcome()
    private(set) var isFinished = false
    private let whenFinished: (LaneOutcome) -> Void

    init(_ whenFinished: @escaping (LaneOutcome) -> Void = { _ in }) {
        self.whenFinished = whenFinished
    }

    func laneReceived(_ index: Int, _ bytes: UnsafeRawBufferPointer?) {
        #expect(!isFinished)
        #expect(index == outcome.elements.count)
        outcome.elements.append(unsafe bytes.map { unsafe [UInt8]($0) })
    }

    func laneFinished(_ error: RedisError?) {
        #expect(!isFinished, "a read ended twice")
        isFinished = true
        outcome.error = error?.code
        whenFinished(outcome)
    }
}

/// A lane on an event loop of the shared group, for tests that run elsewhere.
final class LaneProbe: Sendable {
    private let loop: any EventLoop
    private let lane: NIOLoopBound<RedisLane>

    private init(loop: any EventLoop, lane: NIOLoopBound<RedisLane>) {
        self.loop = loop
        self.lane = lane
    }

    /// Makes a lane for the duration of `body`. It waits long to connect, since the machine may be busy.
    static func with(
        _ topology: RedisTopology, _ change: (inout RedisClient.Configuration) -> Void = { _ in },
        _ body: (LaneProbe) async throws -> Void
    ) async throws {
        var configuration = RedisClient.Configuration(topology: topology)
        configuration.connectTimeout = .seconds(60)
        configuration.limits.headGrace = .seconds(60)
        change(&configuration)
        let changed = configuration
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let lane = try await loop.submit {
            NIOLoopBound(try RedisLane(changed, eventLoop: loop), eventLoop: loop)
        }.get()
        let probe = LaneProbe(loop: loop, lane: lane)
        do { try await body(probe) } catch {
            try await probe.close()
            throw error
        }
        try await probe.close()
    }

    func close() async throws {
        try await loop.submit { [lane] in lane.value.close() }.get()
    }

    func connect() async throws {
        try await loop.submit { [lane] in lane.value.connect() }.get()
    }

    func isReady() async throws -> Bool {
        try await loop.submit { [lane] in lane.value.isReady }.get()
    }

    /// Reads these keys with an MGET a row.
    func read(_ keys: [[String]], within patience: TimeAmount = .seconds(60)) async -> LaneOutcome {
        await readTogether([keys], within: patience)[0]
    }

    /// Makes these reads in one tick of the loop and waits for all of them.
    func readTogether(_ reads: [[[String]]], within patience: TimeAmount = .seconds(60)) async -> [LaneOutcome] {
        await withCheckedContinuation { continuation in
            loop.execute { [lane, loop] in
                let box = NIOLoopBoundBox([LaneOutcome?](repeating: nil, count: reads.count), eventLoop: loop)
                let deadline = NIODeadline.now() + patience
                for (index, keys) in reads.enumerated() {
                    let collector = LaneCollector { outcome in
                        box.value[index] = outcome
                        let outcomes = box.value.compactMap(\.self)
                        if outcomes.count == reads.count { continuation.resume(returning: outcomes) }
                    }
                    lane.value.read(
                        mget(keys), commands: keys.count, keys: keys.map(\.count).reduce(0, +), deadline: deadline,
                        receiver: collector)
                }
            }
        }
    }

    /// Makes a read that is abandoned in the same tick, so that it may have left or not.
    func readAndAbandon(_ keys: [[String]], afterTick: Bool) async throws {
        try await loop.submit { [lane, loop] in
            let collector = LaneCollector { _ in Issue.record("an abandoned read ended") }
            let token = lane.value.read(
                mget(keys), commands: keys.count, keys: keys.map(\.count).reduce(0, +), deadline: .now() + .seconds(60),
                receiver: collector)
            guard afterTick else { return lane.value.abandon(token) }
            loop.execute { loop.execute { lane.value.abandon(token) } }
        }.get()
    }
}

/// The commands that read these keys, an MGET a row.
func mget(_ keys: [[String]]) -> ByteBuffer {
    var pipeline = RedisPipeline()
    for row in keys { pipeline.append("MGET", row.map { .text($0) }) }
    return pipeline.buffer
}

/// What a server would answer to one MGET; `nil` for a key without a value.
func answer(_ values: [String?]) -> String {
    values.reduce("*\(values.count)\r\n") { text, value in
        text + (value.map { "$\($0.utf8.count)\r\n\($0)\r\n" } ?? "$-1\r\n")
    }
}

/// A value that tells its key, of a size of its own; `nil` for every fifth.
func value(of key: String) -> String? {
    var hash = 5_381
    for byte in key.utf8 { hash = (hash &* 33 &+ Int(byte)) & 0xffff }
    return hash % 5 == 0 ? nil : "<\(key)>" + String(repeating: "v", count: hash % 300)
}

func bytes(_ values: [String?]) -> [[UInt8]?] { values.map { $0.map { Array($0.utf8) } } }
