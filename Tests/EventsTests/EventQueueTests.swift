import Testing
import TidemarkTesting

@testable import Events  // the queue is nobody's business outside

/// The queue in front of a sink: what waits, what leaves, what is promised.
struct EventQueueTests {
    private static func event(_ number: Int, size: Int = 1) -> QueuedEvent {
        QueuedEvent(size: size) { Array("\(number)".utf8) }
    }

    private static func numbers(_ events: [QueuedEvent]) -> [Int] {
        events.compactMap { Int(String(decoding: $0.json, as: UTF8.self)) }
    }

    @Test func aFullQueueDropsTheOldest() {
        var queue = EventQueue(limit: 3, bytes: 1_000)
        let dropped = (0..<5).map { queue.append(Self.event($0)) }
        #expect(dropped == [0, 0, 0, 1, 1])
        #expect(Self.numbers(queue.take(10, bytes: 1_000)) == [2, 3, 4])
    }

    @Test func bytesAreALimitToo() {
        var queue = EventQueue(limit: 100, bytes: 10)
        #expect(queue.append(Self.event(0, size: 4)) == 0)
        #expect(queue.append(Self.event(1, size: 4)) == 0)
        #expect(queue.append(Self.event(2, size: 3)) == 1)
        #expect(queue.append(Self.event(3, size: 11)) == 1)
        #expect(Self.numbers(queue.take(10, bytes: 1_000)) == [1, 2])
    }

    @Test func whatComesBackIsTheOldestAgainAndLeavesFirst() {
        var queue = EventQueue(limit: 3, bytes: 1_000)
        for number in 0..<3 { #expect(queue.append(Self.event(number)) == 0) }
        let batch = queue.take(2, bytes: 1_000)
        #expect(queue.append(Self.event(3)) == 0)
        #expect(queue.giveBack(batch) == 1)
        #expect(Self.numbers(queue.take(10, bytes: 1_000)) == [1, 2, 3])
    }

    @Test func anOfferIsTakenWholeOrNotAtAllAndNeverPushedOut() {
        var queue = EventQueue(limit: 4, bytes: 1_000)
        #expect(queue.offer((0..<3).map { Self.event($0) }) == true)
        let batch = queue.take(2, bytes: 1_000)
        // Those that are out count: they may come back.
        #expect(queue.offer([Self.event(3), Self.event(4)]) == false)
        #expect(queue.offer([Self.event(3)]) == true)
        #expect(queue.giveBack(batch) == 0)
        #expect(Self.numbers(queue.take(10, bytes: 1_000)) == [0, 1, 2, 3])
        queue.written()
        #expect(queue.unwritten == 0)
        #expect(queue.offer([Self.event(5, size: 1_001)]) == false)
        #expect(queue.offer([Self.event(6, size: 1_000)]) == true)
    }

    @Test func aBatchHasItsLimitsAndAtLeastOneEvent() {
        var queue = EventQueue(limit: 100, bytes: 1_000)
        for (number, size) in [50, 10, 10, 10, 10].enumerated() {
            #expect(queue.append(Self.event(number, size: size)) == 0)
        }
        #expect(Self.numbers(queue.take(10, bytes: 25)) == [0])
        queue.written()
        #expect(Self.numbers(queue.take(10, bytes: 25)) == [1, 2])
        queue.written()
        #expect(Self.numbers(queue.take(1, bytes: 25)) == [3])
    }

    /// Any sequence of calls, against a list of numbers that does the same in the simplest way.
    @Test(arguments: [UInt64](1...20)) func itIsWhatASlowerOneIs(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let (limit, bytes) = (Int.random(in: 1...8, using: &random), Int.random(in: 1...40, using: &random))
        var queue = EventQueue(limit: limit, bytes: bytes)
        var waiting: [(number: Int, size: Int)] = []
        var out: [(number: Int, size: Int)] = []
        var (lost, expected) = (0, 0)
        var batch: [QueuedEvent] = []
        func drop() {
            while waiting.count > limit || waiting.reduce(0, { $0 + $1.size }) > bytes {
                waiting.removeFirst()
                expected += 1
            }
        }
        for number in 0..<500 {
            let size = Int.random(in: 1...12, using: &random)
            switch Int.random(in: 0..<5, using: &random) {
            case 0, 1:
                lost += queue.append(Self.event(number, size: size))
                if size > bytes { expected += 1 } else { waiting.append((number, size)) }
                drop()
            case 2:
                let all = waiting + out
                let fits = all.count + 1 <= limit && all.reduce(0) { $0 + $1.size } + size <= bytes
                #expect(queue.offer([Self.event(number, size: size)]) == fits, "seed \(seed) at \(number)")
                if fits { waiting.append((number, size)) }
            case 3 where batch.isEmpty:
                batch = queue.take(2, bytes: 12)
                out = []
                while out.count < 2, let next = waiting.first, out.isEmpty || out[0].size + next.size <= 12 {
                    out.append(waiting.removeFirst())
                }
                #expect(Self.numbers(batch) == out.map(\.number), "seed \(seed) at \(number)")
            case 3:
                queue.written()
                (batch, out) = ([], [])
            default:
                // The first of them arrived, the rest did not.
                let back = Array(batch.dropFirst())
                if !batch.isEmpty {
                    lost += queue.giveBack(back)
                    waiting = out.dropFirst() + waiting
                    (batch, out) = ([], [])
                    drop()
                }
            }
            #expect(queue.count == waiting.count, "seed \(seed) at \(number)")
            #expect(queue.unwritten == waiting.count + out.count, "seed \(seed) at \(number)")
            #expect(lost == expected, "seed \(seed) at \(number)")
        }
    }
}
