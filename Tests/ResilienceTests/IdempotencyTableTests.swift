import Resilience
import Testing
import TidemarkTesting

struct IdempotencyTableTests {
    private typealias Limits = IdempotencyTable<String, Int, String>.Limits
    private let start = ContinuousClock.now

    private func limits(keys: Int = 4, bytes: Int = 100) -> Limits {
        var limits = Limits()
        limits.keys = keys
        limits.bytes = bytes
        return limits
    }

    @Test func aKeyIsExecutedOnceAndItsAnswerReplayed() {
        let table = TableDriver(limits())
        #expect(table.begin("k", 1, at: start).word == "execute")
        #expect(table.begin("k", 1, at: start).word == "inFlight")
        #expect(table.begin("k", 2, at: start).word == "mismatch")
        table.finish("k", "done", bytes: 4, at: start)
        #expect(table.begin("k", 1, at: start).word == "replay done")
        #expect(table.begin("k", 2, at: start).word == "mismatch")
    }

    @Test func aKeyWithoutAnAnswerIsFreeAgain() {
        let table = TableDriver(limits())
        #expect(table.begin("k", 1, at: start).word == "execute")
        table.finish("k", nil, bytes: 0, at: start)
        #expect(table.count == 0)
        #expect(table.begin("k", 2, at: start).word == "execute")
    }

    @Test func whatNobodyBeganOrWhatIsFinishedIsNotFinishedAgain() {
        let table = TableDriver(limits())
        table.finish("k", "never", bytes: 5, at: start)
        #expect(table.count == 0)
        _ = table.begin("k", 1, at: start)
        table.finish("k", "first", bytes: 5, at: start)
        table.finish("k", "second", bytes: 5, at: start)
        #expect(table.begin("k", 1, at: start).word == "replay first")
        #expect(table.bytes == 5)
    }

    @Test func answersLastForTheirRetentionAndNoLonger() {
        let table = TableDriver(limits())
        _ = table.begin("k", 1, at: start)
        table.finish("k", "done", bytes: 4, at: start)
        let end = start.advanced(by: .seconds(86_400))
        #expect(table.begin("k", 1, at: end.advanced(by: .nanoseconds(-1))).word == "replay done")
        #expect(table.begin("k", 1, at: end).word == "execute")
        #expect(table.bytes == 0)
    }

    @Test func aFullTableGivesUpOldAnswersAndNoYoungOnes() {
        let table = TableDriver(limits(keys: 2))
        for (index, key) in ["a", "b"].enumerated() {
            let now = start.advanced(by: .seconds(index))
            _ = table.begin(key, 1, at: now)
            table.finish(key, key, bytes: 1, at: now)
        }
        #expect(table.begin("c", 1, at: start.advanced(by: .seconds(3_599))).word == "full")
        #expect(table.begin("c", 1, at: start.advanced(by: .seconds(3_600))).word == "execute")
        #expect(table.begin("b", 1, at: start.advanced(by: .seconds(3_600))).word == "replay b")
        // What is in flight stays, however long it takes.
        #expect(table.begin("d", 1, at: start.advanced(by: .seconds(90_000))).word == "execute")
        #expect(table.begin("e", 1, at: start.advanced(by: .seconds(900_000))).word == "full")
    }

    @Test func bytesAreALimitToo() {
        let table = TableDriver(limits(keys: 100, bytes: 10))
        _ = table.begin("a", 1, at: start)
        table.finish("a", "a", bytes: 10, at: start)
        #expect(table.begin("b", 1, at: start).word == "full")
        #expect(table.begin("a", 1, at: start).word == "replay a")
        #expect(table.begin("b", 1, at: start.advanced(by: .seconds(3_599))).word == "full")
        #expect(table.begin("b", 1, at: start.advanced(by: .seconds(3_600))).word == "execute")
        #expect(table.bytes == 0)
    }

    @Test(arguments: SeededGenerator.seeds(8))
    func whateverHappensAKeyIsExecutedOnceInItsShortestRetention(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let table = TableDriver(limits(keys: 20, bytes: 60))
        var now = start
        var running: Set<String> = []
        var done: [String: (answer: String, at: ContinuousClock.Instant)] = [:]
        for step in 0..<30_000 {
            now = now.advanced(by: .seconds(generator.below(120)))
            let key = "k\(generator.below(40))"
            if !running.isEmpty, generator.chance(0.4) {
                let over = running.sorted()[generator.below(running.count)]
                let answer = generator.chance(0.8) ? "\(over) \(step)" : nil
                table.finish(over, answer, bytes: generator.below(8), at: now)
                running.remove(over)
                done[over] = answer.map { ($0, now) }
                continue
            }
            switch table.begin(key, 7, at: now) {
            case .execute:
                #expect(!running.contains(key))
                if let last = done[key] { #expect(now - last.at >= .seconds(3_600)) }
                running.insert(key)
                done[key] = nil
            case .replay(let answer): #expect(answer == done[key]?.answer)
            case .inFlight: #expect(running.contains(key))
            case .mismatch: Issue.record("the fingerprint was the same")
            case .full: #expect(table.count == 20 || table.bytes >= 60)
            }
            #expect(table.count <= 20 && table.bytes >= 0)
        }
    }

    @Test func whatAnotherProcessKnewIsReplayedAndWhatItLeftUndoneMayBeDoneAnew() {
        let table = TableDriver(limits())
        table.restore("done", 1, "answer", bytes: 6, at: start - .seconds(10))
        table.restore("cut", 2, nil, bytes: 50, at: start - .seconds(5))
        table.restore("done", 9, "other", bytes: 6, at: start)
        #expect(table.begin("done", 1, at: start).word == "replay answer")
        #expect(table.begin("cut", 3, at: start).word == "mismatch")
        #expect(table.begin("cut", 2, at: start).word == "execute")
        #expect(table.begin("cut", 2, at: start).word == "inFlight")
        table.finish("cut", "now", bytes: 3, at: start)
        #expect(table.begin("cut", 2, at: start).word == "replay now")
        // Both leave by their age, and what never came again does, too.
        table.restore("never", 4, nil, bytes: 0, at: start)
        let later = start + .seconds(86_401)
        #expect(table.begin("new", 1, at: later).word == "execute")
        #expect(table.count == 1)
    }

    @Test func moreThanItHoldsIsNotTakenOver() {
        let table = TableDriver(limits())
        for number in 0..<9 { table.restore("k\(number)", 1, "a", bytes: 1, at: start) }
        #expect(table.count == 4)
        let narrow = TableDriver(limits())
        for number in 0..<3 { narrow.restore("k\(number)", 1, "a", bytes: 60, at: start) }
        #expect(narrow.count == 1)
    }
}

/// Holds a table, which can't be copied into the macros of a test.
private final class TableDriver {
    private var table: IdempotencyTable<String, Int, String>

    init(_ limits: IdempotencyTable<String, Int, String>.Limits) {
        table = IdempotencyTable(limits)
    }

    var count: Int { table.count }
    var bytes: Int { table.bytes }

    func begin(
        _ key: String, _ fingerprint: Int, at now: ContinuousClock.Instant
    ) -> IdempotencyTable<String, Int, String>.Admission {
        table.begin(key, fingerprint, at: now)
    }

    func finish(_ key: String, _ answer: String?, bytes: Int, at now: ContinuousClock.Instant) {
        table.finish(key, answer, bytes: bytes, at: now)
    }

    func restore(_ key: String, _ fingerprint: Int, _ answer: String?, bytes: Int, at now: ContinuousClock.Instant) {
        table.restore(key, fingerprint, answer, bytes: bytes, at: now)
    }
}

extension IdempotencyTable.Admission {
    fileprivate var word: String {
        switch self {
        case .execute: "execute"
        case .replay(let answer): "replay \(answer)"
        case .inFlight: "inFlight"
        case .mismatch: "mismatch"
        case .full: "full"
        }
    }
}
