import FeatureModel
import Glibc
import Testing
import TidemarkTesting

@testable import Recall

/// Co-occurrence against a reference that compares every event with every other.
@Suite(.timeLimit(.minutes(5)))
struct CoOccurrenceTests {
    /// The neighbours of each item.
    private func reference(_ events: [Happening], _ list: RecallListConfig) -> [Int64: [Expected]] {
        let newest = events.map(\.time).max() ?? 0
        func decay(_ time: Int64) -> Double {
            list.halfLife.map { pow(2, -Double(newest - time) / Double($0.wholeMilliseconds)) } ?? 1
        }
        var pairs: [Int64: [Int64: [Int64: Double]]] = [:]  // item, item, user
        var counts: [Int64: [Int64: Double]] = [:]  // item, user
        for a in events {
            counts[a.item, default: [:]][a.user] = max(counts[a.item]?[a.user] ?? 0, decay(a.time))
            for b in events
            where a.user == b.user && a.item != b.item && abs(a.time - b.time) <= list.session.wholeMilliseconds {
                let before = pairs[a.item]?[b.item]?[a.user] ?? 0
                pairs[a.item, default: [:]][b.item, default: [:]][a.user] = max(before, decay(max(a.time, b.time)))
            }
        }
        let sums = counts.mapValues { $0.values.reduce(0, +) }
        return pairs.mapValues { others in
            others.map { other, users in
                Expected(item: other, score: users.values.reduce(0, +))
            }
        }.reduce(into: [:]) { result, entry in
            result[entry.key] = entry.value.map { other in
                let product = (sums[entry.key] ?? 0) * (sums[other.item] ?? 0)
                return Expected(item: other.item, score: other.score / (product.squareRoot() + list.shrink))
            }
        }
    }

    @Test(arguments: SeededGenerator.seeds(20))
    func neighboursAreWhatAReferenceSays(seed: UInt64) async throws {
        var random = SeededGenerator(seed: seed)
        let shop = try await Shop(textKeys: random.chance(0.5))
        let events = happenings(&random, count: 2 + random.below(400))
        try await shop.add(events)
        var config = shop.list(.coOccurrence) { list in
            list.halfLife = random.chance(0.5) ? .seconds(Int64(1 + random.below(200)) * 3_600) : nil
            list.session = .seconds(Int64(random.below(600)) * 60)
            list.shrink = Double(random.below(20))
        }
        config = RecallListConfig(config, size: 1 + random.below(12))
        let expected = reference(events, config)
        let list = try await shop.make(config)
        for item in Set(events.map(\.item)) {
            let want = expected[item] ?? []
            let best = want.map(\.score).max() ?? 1
            // Scores are absolute here; the comparison is of relative ones.
            let found = list.neighbours(of: [shop.key(item)], limit: 100)
                .map { ScoredItem(id: $0.id, score: $0.score / Float(best)) }
            let wrong = differences(found, want, size: config.size, key: shop.key)
            #expect(wrong.isEmpty, "seed \(seed), item \(item): \(wrong)")
        }
    }

    @Test func seedsAddUpAndNewerOnesWeighMore() async throws {
        let shop = try await Shop()
        var events: [Happening] = []
        // 1 goes with 10 and 12, 2 goes with 11 and 12.
        for user in 0..<20 {
            let (first, second): (Int64, Int64) = user % 2 == 0 ? (1, 10) : (2, 11)
            events += [first, second, 12].map { Happening(user: Int64(user), item: $0, time: 1_000) }
        }
        try await shop.add(events)
        let list = try await shop.make(shop.list(.coOccurrence) { $0.shrink = 0 })
        let both = list.neighbours(of: [.integer(1), .integer(2)], limit: 10).map(\.id)
        #expect(both == [.integer(12), .integer(10), .integer(11)])
        let turned = list.neighbours(of: [.integer(2), .integer(1)], limit: 10).map(\.id)
        #expect(turned == [.integer(12), .integer(11), .integer(10)])
        #expect(list.neighbours(of: [.integer(2), .integer(1)], limit: 1).map(\.id) == [.integer(12)])
        #expect(
            list.neighbours(of: [.integer(1)], limit: 10, excluding: [.integer(12), .integer(77)]).map(\.id) == [
                .integer(10)
            ])
        #expect(list.neighbours(of: [.integer(99), .text("x")], limit: 10).isEmpty)
        #expect(list.neighbours(of: [], limit: 10).isEmpty)
        #expect(list.top(limit: 10).isEmpty)
        #expect(both.allSatisfy { list.contains($0) } && !list.contains(.integer(99)))
    }

    @Test func seedsBehindTheLimitAreNotLookedAt() async throws {
        let shop = try await Shop()
        try await shop.add([Happening(user: 1, item: 1, time: 1_000), Happening(user: 1, item: 2, time: 1_000)])
        let list = try await shop.make(shop.list(.coOccurrence))
        let unknown = [EntityKeyValue](repeating: .integer(9), count: RecallList.maximumSeeds - 1)
        #expect(list.neighbours(of: unknown + [.integer(1)], limit: 5).count == 1)
        #expect(list.neighbours(of: unknown + [.integer(9), .integer(1)], limit: 5).isEmpty)
    }

    @Test func whatIsLeftOutForALimitIsCounted() async throws {
        let shop = try await Shop()
        // One user with 30 events at once, each of another item.
        try await shop.add((0..<30).map { Happening(user: 1, item: $0, time: 1_000 + $0) })
        let list = try await shop.make(
            shop.list(.coOccurrence) { list in
                list.limits.history = 12
            })
        #expect(list.manifest.counts.historyLeftOut == 18)
        #expect(list.manifest.counts.events == 12)
        // The newest stay.
        #expect(list.contains(.integer(29)) && list.contains(.integer(18)) && !list.contains(.integer(17)))
    }

    @Test func aCrowdedSessionIsBounded() async throws {
        let shop = try await Shop()
        let count = Int64(MeetingLog.reach + 11)
        try await shop.add((0..<count).map { Happening(user: 1, item: $0, time: 1_000) })
        let list = try await shop.make(shop.list(.coOccurrence))
        // The first ten have more behind them than are looked at, the last ten before them.
        #expect(list.manifest.counts.pairsLeftOut == 20)
    }

    @Test(arguments: SeededGenerator.seeds(5))
    func theOldestEventsGoWhenThereAreTooMany(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var limits = RecallLimits()
        limits.events = 500
        limits.history = 10_000
        var log = MeetingLog(limits: limits)
        let times = (0..<5_000).map { _ in Int64(random.below(700)) }
        for (index, time) in times.enumerated() {
            log.add(MeetingLog.Meeting(user: UInt32(index % 7), item: UInt32(index), time: time))
            #expect(log.meetings.count <= 500 + 1_024, "memory is bounded")
        }
        log.finish()
        #expect(log.meetings.map(\.time).sorted() == Array(times.sorted().suffix(500)), "seed \(seed)")
        #expect(log.eventsLeftOut == 4_500)
    }

    @Test func tooManyNeighboursEndTheBuild() async throws {
        let shop = try await Shop()
        try await shop.add((0..<20).map { Happening(user: 1, item: $0, time: 1_000) })
        let builder = shop.builder([shop.list(.coOccurrence)], maximumBytes: 800)
        await #expect { _ = try await builder.make("list") } throws: { error in
            (error as? RecallError)?.code == .tooLarge
        }
    }
}
