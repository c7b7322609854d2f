import NIOCore
import Serving
import Testing
import TidemarkTesting

@Suite struct WaitingLineTests {
    private let start = NIODeadline.uptimeNanoseconds(1_000_000)

    private func join(
        _ line: inout WaitingLine<Int>, _ waiter: Int, bytes: Int, until: NIODeadline
    ) -> UInt64? { line.join(waiter, bytes: bytes, until: until) }

    private func expired(_ line: inout WaitingLine<Int>, _ now: NIODeadline) -> [Int] { line.takeExpired(at: now) }

    private func first(_ line: inout WaitingLine<Int>) -> Int? { line.takeFirst() }

    private func at(_ milliseconds: Int64) -> NIODeadline { start + .milliseconds(milliseconds) }

    @Test func whoCameFirstIsServedFirst() {
        var line = WaitingLine<Int>()
        for number in 0..<5 { #expect(join(&line, number, bytes: 1, until: at(10)) != nil) }
        var served: [Int] = []
        while let next = line.takeFirst() { served.append(next) }
        #expect(served == [0, 1, 2, 3, 4])
        let isEmpty = line.isEmpty
        #expect(isEmpty)
    }

    @Test func patienceEndsForEachByItself() {
        var line = WaitingLine<Int>()
        for (number, patience) in [30, 10, 20, 10].enumerated() {
            #expect(join(&line, number, bytes: 1, until: at(Int64(patience))) != nil)
        }
        #expect(expired(&line, at(9)).isEmpty)
        #expect(expired(&line, at(10)) == [1, 3])
        #expect(expired(&line, at(10)).isEmpty)
        #expect(expired(&line, at(25)) == [2])
        #expect(first(&line) == 0)
        #expect(expired(&line, at(99)).isEmpty)
    }

    @Test func theLineHasAnEnd() {
        var limits = WaitingLine<Int>.Limits()
        limits.count = 3
        limits.bytes = 100
        var line = WaitingLine<Int>(limits: limits)
        #expect(join(&line, 0, bytes: 101, until: at(1)) == nil)
        let first = line.join(1, bytes: 60, until: at(1))
        #expect(first != nil)
        #expect(join(&line, 2, bytes: 41, until: at(1)) == nil)
        #expect(join(&line, 3, bytes: 40, until: at(1)) != nil)
        // Who leaves takes its bytes along, and leaves once.
        if let first { for _ in 0..<2 { line.leave(first) } }
        #expect(join(&line, 4, bytes: 60, until: at(1)) != nil)
        #expect(join(&line, 5, bytes: 0, until: at(1)) != nil)
        #expect(join(&line, 6, bytes: 0, until: at(1)) == nil)
        let count = line.count
        #expect(count == 3)
    }

    /// Against a plain list that does the same.
    @Test func whateverHappensItIsAsAPlainListWouldHaveIt() {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SeededGenerator(seed: seed)
        var limits = WaitingLine<Int>.Limits()
        (limits.count, limits.bytes) = (20, 400)
        var line = WaitingLine<Int>(limits: limits)
        var model: [(ticket: UInt64, waiter: Int, bytes: Int, until: NIODeadline)] = []
        for step in 0..<20_000 {
            let now = at(Int64(step))
            switch random.below(4) {
            case 0, 1:
                let (bytes, until) = (random.below(60), now + .milliseconds(Int64(random.below(40))))
                let ticket = line.join(step, bytes: bytes, until: until)
                let fits = model.count < 20 && model.map(\.bytes).reduce(0, +) + bytes <= 400
                #expect((ticket != nil) == fits, "seed \(seed)")
                if let ticket { model.append((ticket, step, bytes, until)) }
            case 2:
                if random.chance(0.5), !model.isEmpty {
                    let place = random.below(model.count)
                    line.leave(model.remove(at: place).ticket)
                } else {
                    #expect(first(&line) == (model.isEmpty ? nil : model.removeFirst().waiter), "seed \(seed)")
                }
            default:
                #expect(expired(&line, now) == model.filter { $0.until <= now }.map(\.waiter), "seed \(seed)")
                model.removeAll { $0.until <= now }
            }
            let count = line.count
            #expect(count == model.count, "seed \(seed)")
        }
    }
}
