import Testing
import TidemarkTesting

// The machine has no package API: it decides inside of a connection.
@testable import RedisClient

struct ExchangeQueueTests {
    private let start = ContinuousClock.now

    private func limits(_ change: (inout RedisConnection.Limits) -> Void) -> RedisConnection.Limits {
        var limits = RedisConnection.Limits()
        limits.headGrace = .seconds(10)
        change(&limits)
        return limits
    }

    @Test func refusesBeyondEachLimit() {
        let limits = limits {
            $0.pipelineCommands = 10
            $0.pipelineBytes = 100
            $0.waitingPipelines = 2
            $0.waitingBytes = 150
        }
        var queue = ExchangeQueue<Int, ContinuousClock.Instant>(limits: limits)
        let later = start + .seconds(1)
        func add(_ id: UInt64, _ commands: Int, _ bytes: Int, _ deadline: ContinuousClock.Instant) -> RedisError.Code? {
            queue.add(id: id, commands: commands, bytes: bytes, deadline: deadline, now: start, waiter: Int(id))?.code
        }
        #expect(add(1, 11, 1, later) == .requestTooLarge)
        #expect(add(1, 1, 101, later) == .requestTooLarge)
        #expect(add(1, 1, 1, start) == .deadlineExceeded)
        #expect(add(1, 10, 100, later) == nil)
        #expect(add(2, 1, 51, later) == .overloaded)
        #expect(add(2, 1, 50, later) == nil)
        #expect(add(3, 1, 0, later) == .overloaded)
    }

    @Test func windowLetsOneLargePipelineThrough() {
        let limits = limits {
            $0.commandsOnWire = 4
            $0.bytesOnWire = 100
        }
        var queue = ExchangeQueue<Int, ContinuousClock.Instant>(limits: limits)
        for (id, commands) in [(1, 9), (2, 4), (3, 1)] {
            let refusal = queue.add(
                id: UInt64(id), commands: commands, bytes: 10, deadline: start + .seconds(1), now: start, waiter: id)
            #expect(refusal == nil)
        }
        #expect(queue.startNext() == 1)
        #expect(queue.startNext() == nil)
        for _ in 0..<9 { _ = queue.replyArrived() }
        #expect(queue.startNext() == 2)
        #expect(queue.startNext() == nil)
        _ = queue.replyArrived()
        #expect(queue.startNext() == 3)
    }

    @Test func onlyAnOverdueHeadClosesTheConnection() {
        var queue = ExchangeQueue<Int, ContinuousClock.Instant>(limits: limits { _ in })
        _ = queue.add(id: 1, commands: 1, bytes: 1, deadline: start + .seconds(1), now: start, waiter: 1)
        _ = queue.startNext()
        _ = queue.add(id: 2, commands: 1, bytes: 1, deadline: start + .seconds(2), now: start, waiter: 2)
        #expect(queue.nextEvent == start + .seconds(1))
        let first = queue.expire(at: start + .seconds(1))
        #expect(first.expired == [1])
        #expect(!first.headIsOverdue)
        #expect(queue.nextEvent == start + .seconds(2))
        let second = queue.expire(at: start + .seconds(10))
        #expect(second.expired == [2])
        #expect(!second.headIsOverdue)
        #expect(queue.nextEvent == start + .seconds(11))
        #expect(queue.expire(at: start + .seconds(11)).headIsOverdue)
    }

    /// What the model knows of a pipeline that was accepted.
    private struct Asked {
        let commands: Int
        var isStarted = false
        var answered = 0
        var gaveUp = false
    }

    @Test(arguments: 0..<20 as Range<UInt64>)
    func randomEventsKeepRepliesInStep(_ seed: UInt64) {
        print("ExchangeQueue seed \(seed)")
        var random = SeededGenerator(seed: seed)
        let limits = limits {
            $0.commandsOnWire = 12
            $0.bytesOnWire = 60
            $0.waitingPipelines = 8
        }
        var queue = ExchangeQueue<Int, ContinuousClock.Instant>(limits: limits)
        var asked: [Int: Asked] = [:]
        var now = start
        // Commands on the wire, in order: the truth that replies must follow.
        var wire: [Int] = []
        var nextID = 0
        for _ in 0..<3_000 {
            switch Int.random(in: 0..<10, using: &random) {
            case 0...2:
                nextID += 1
                let commands = Int.random(in: 1...5, using: &random)
                let deadline = now + .milliseconds(Int.random(in: 1...400, using: &random))
                let refusal = queue.add(
                    id: UInt64(nextID), commands: commands, bytes: commands * 5, deadline: deadline, now: now,
                    waiter: nextID)
                if refusal == nil { asked[nextID] = Asked(commands: commands) }
            case 3...4:
                guard let id = queue.startNext() else { break }
                #expect(asked[id]?.isStarted == false)
                asked[id]?.isStarted = true
                wire += Array(repeating: id, count: asked[id]?.commands ?? 0)
            case 5...7: replyArrives(&queue, &wire, &asked)
            case 8:
                let id = Int.random(in: 1...max(1, nextID), using: &random)
                let answered = queue.abandon(id: UInt64(id))
                guard let pending = asked[id], !pending.gaveUp else {
                    #expect(answered == nil)
                    break
                }
                #expect(answered == id)
                if pending.isStarted { asked[id]?.gaveUp = true } else { asked[id] = nil }
            default:
                now += .milliseconds(20)
                for id in queue.expire(at: now).expired {
                    #expect(asked[id]?.gaveUp == false)
                    if asked[id]?.isStarted == true { asked[id]?.gaveUp = true } else { asked[id] = nil }
                }
            }
            #expect(queue.commandsOnWire == wire.count)
            #expect(queue.count == asked.count)
        }
        let waiting = asked.filter { !$0.value.gaveUp }.keys.sorted()
        #expect(queue.removeAll().sorted() == waiting)
        #expect(queue.count == 0)
    }

    private func replyArrives(
        _ queue: inout ExchangeQueue<Int, ContinuousClock.Instant>, _ wire: inout [Int], _ asked: inout [Int: Asked]
    ) {
        let head = wire.first
        if head != nil { wire.removeFirst() }
        switch (queue.replyArrived(), head) {
        case (.unexpected, nil): return
        case (.swallow, let id?):
            #expect(asked[id]?.gaveUp == true)
            count(id, &asked)
        case (.deliver(let id, let completes), let head?):
            #expect(id == head)
            #expect(asked[id]?.gaveUp == false)
            #expect(completes == (wire.first != id))
            count(id, &asked)
        case (_, let head): Issue.record("a reply went astray, expected one for \(head.map(String.init) ?? "nobody")")
        }
    }

    private func count(_ id: Int, _ asked: inout [Int: Asked]) {
        asked[id]?.answered += 1
        if let entry = asked[id], entry.answered == entry.commands { asked[id] = nil }
    }
}
