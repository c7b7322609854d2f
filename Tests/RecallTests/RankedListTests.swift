import Extraction
import FeatureModel
import Glibc
import Testing
import TidemarkTesting

@testable import Recall

/// Popularity, trending and newest against a reference that knows no streaming, over random events.
@Suite(.timeLimit(.minutes(5)))
struct RankedListTests {
    private func newest(_ events: [Happening]) -> Int64 { events.map(\.time).max() ?? 0 }

    /// What popularity is, in as few words as possible.
    private func popularity(
        _ events: [Happening], window: Duration?, halfLife: Duration?
    ) -> [Expected] {
        let newest = newest(events)
        var scores: [Int64: Double] = [:]
        for event in events {
            let age = newest - event.time
            if let window, age >= window.wholeMilliseconds { continue }
            scores[event.item, default: 0] +=
                event.weight * (halfLife.map { pow(2, -Double(age) / Double($0.wholeMilliseconds)) } ?? 1)
        }
        return scores.map { Expected(item: $0.key, score: $0.value) }
    }

    private func trending(_ events: [Happening], ofAll: [Happening], window: Duration, short: Duration) -> [Expected] {
        let newest = newest(ofAll)
        let inside = events.filter { newest - $0.time < window.wholeMilliseconds }
        let late = inside.filter { newest - $0.time < short.wholeMilliseconds }
        let early = inside.filter { newest - $0.time >= short.wholeMilliseconds }
        func weight(_ events: [Happening]) -> Double { events.reduce(0) { $0 + $1.weight } }
        return Set(inside.map(\.item)).map { item in
            let x = weight(late.filter { $0.item == item })
            let b = weight(early.filter { $0.item == item })
            let e = weight(early) > 0 ? b * weight(late) / weight(early) : 0
            return Expected(item: item, score: (x - e) / sqrt(e + 1))
        }
    }

    @Test(arguments: SeededGenerator.seeds(20))
    func popularityIsWhatAReferenceSays(seed: UInt64) async throws {
        var random = SeededGenerator(seed: seed)
        let shop = try await Shop(textKeys: random.chance(0.5))
        let events = happenings(&random, count: 1 + random.below(400))
        try await shop.add(events)
        let window: Duration? = random.chance(0.5) ? .seconds(Int64(1 + random.below(10)) * 86_400) : nil
        let halfLife: Duration? = random.chance(0.5) ? .seconds(Int64(1 + random.below(100)) * 3_600) : nil
        let size = 1 + random.below(20)
        var config = shop.list(.popularity) { list in
            list.window = window
            list.halfLife = halfLife
            list.weight = "w"
            list.segment = "s"
        }
        config = RecallListConfig(config, size: size)
        let list = try await shop.make(config)
        let whole = differences(
            list.top(limit: 1_000), popularity(events, window: window, halfLife: halfLife), size: size, key: shop.key)
        #expect(whole.isEmpty, "seed \(seed): \(whole)")
        for name in Set(events.compactMap(\.segment)) {
            // The age counts from the newest event of all, so that one stands in.
            let part = events.filter { $0.segment == name }
            let anchor = Happening(user: 0, item: -1, time: newest(events), weight: 0)
            let expected = popularity(part + [anchor], window: window, halfLife: halfLife).filter { $0.item >= 0 }
            let wrong = differences(
                list.top(segments: [name], limit: 1_000), expected, size: size, key: shop.key)
            #expect(wrong.isEmpty, "seed \(seed), segment \(name): \(wrong)")
        }
        #expect(list.top(segments: ["no such"], limit: 10).isEmpty)
        #expect(list.newestEvent == newest(events) * 1_000)
    }

    /// The n-th segment weighs 1/n, one that is named again adds up, and each shares its weight among its items by their scores.
    @Test(arguments: SeededGenerator.seeds(20))
    func severalSegmentsAreMixedAsAReferenceSays(seed: UInt64) async throws {
        var random = SeededGenerator(seed: seed)
        let shop = try await Shop(textKeys: random.chance(0.5))
        let events = happenings(&random, count: 50 + random.below(400))
        try await shop.add(events)
        let list = try await shop.make(
            shop.list(.popularity) { list in
                list.weight = "w"
                list.segment = "s"
            })
        let known = Set(events.compactMap(\.segment)).sorted()
        let named = (0..<10).map { _ in random.chance(0.2) ? "no such" : known[random.below(known.count)] } + known
        var scores: [Int64: Double] = [:]
        for (place, name) in named.enumerated() {
            let part = popularity(events.filter { $0.segment == name }, window: nil, halfLife: nil)
            let total = part.reduce(0) { $0 + $1.score }
            for item in part { scores[item.item, default: 0] += item.score / total / Double(place + 1) }
        }
        let expected = scores.map { Expected(item: $0.key, score: $0.value) }
        let wrong = differences(list.top(segments: named, limit: 1_000), expected, size: 1_000, key: shop.key)
        #expect(wrong.isEmpty, "seed \(seed): \(wrong)")
        // A single one that is known is the list of that segment, however often it comes.
        #expect(
            list.top(segments: [known[0], "no such", known[0]], limit: 9) == list.top(segments: [known[0]], limit: 9))
        let first = try #require(list.top(segments: named, limit: 1).first)
        #expect(first.score == 1)
        let rest = list.top(segments: named, limit: 1_000, excluding: [first.id])
        #expect(!rest.isEmpty && !rest.contains { $0.id == first.id })
        #expect(list.top(segments: ["no such", "nor this"], limit: 9).isEmpty)
        let behind = Array(repeating: "no such", count: RecallList.maximumSegments) + [known[0]]
        #expect(list.top(segments: behind, limit: 9).isEmpty, "seed \(seed)")
    }

    @Test(arguments: SeededGenerator.seeds(20))
    func trendingIsWhatAReferenceSays(seed: UInt64) async throws {
        var random = SeededGenerator(seed: seed)
        let shop = try await Shop()
        let events = happenings(&random, count: 1 + random.below(400))
        try await shop.add(events)
        let short = Duration.seconds(Int64(1 + random.below(48)) * 3_600)
        let window = Duration.seconds(Int64(3 + random.below(15)) * 86_400)
        var config = shop.list(.trending) { list in
            list.window = window
            list.short = short
            list.weight = "w"
            list.segment = "s"
        }
        config = RecallListConfig(config, size: 8)
        let list = try await shop.make(config)
        let whole = differences(
            list.top(limit: 100), trending(events, ofAll: events, window: window, short: short), size: 8, key: shop.key)
        #expect(whole.isEmpty, "seed \(seed): \(whole)")
        for name in Set(events.compactMap(\.segment)) {
            let part = events.filter { $0.segment == name }
            let wrong = differences(
                list.top(segments: [name], limit: 100), trending(part, ofAll: events, window: window, short: short),
                size: 8, key: shop.key)
            #expect(wrong.isEmpty, "seed \(seed), segment \(name): \(wrong)")
        }
    }

    @Test func aBusyHourAloneMakesNoTrend() {
        // Ten times the traffic everywhere: nobody's share rises.
        #expect(RankedScores.trend(lately: 100, before: 60, totalLately: 10_000, totalBefore: 6_000) == nil)
        let rising = RankedScores.trend(lately: 200, before: 60, totalLately: 10_000, totalBefore: 6_000)
        #expect(abs((rising ?? 0) - 100 / 101.0.squareRoot()) < 1e-12)
    }

    @Test(arguments: SeededGenerator.seeds(10))
    func newestAreThoseThatWereFirstSeenLast(seed: UInt64) async throws {
        var random = SeededGenerator(seed: seed)
        let shop = try await Shop()
        let events = happenings(&random, count: 1 + random.below(200), items: 40)
        try await shop.add(events)
        let list = try await shop.make(shop.list(.newest))
        var first: [Int64: Int64] = [:]
        for event in events { first[event.item] = min(first[event.item] ?? .max, event.time) }
        let times = list.top(limit: 100).map { item -> Int64 in
            guard case .integer(let number) = item.id else { return 0 }
            return first[number] ?? 0
        }
        #expect(times == Array(first.values.sorted(by: >).prefix(10)), "seed \(seed)")
    }

    @Test func eventsBehindTheCutDoNotCount() async throws {
        let shop = try await Shop()
        try await shop.add([
            Happening(user: 1, item: 1, time: 1_000), Happening(user: 1, item: 2, time: 2_000),
            Happening(user: 1, item: 3, time: 3_000),
        ])
        let list = try await shop.make(shop.list(.popularity), until: 2_000_000)
        #expect(Set(list.top(limit: 10).map(\.id)) == [.integer(1), .integer(2)])
        #expect(list.newestEvent == 2_000_000)
        #expect(list.manifest.until == 2_000_000)
    }

    @Test func theSmallestSegmentsAreLeftOutAndCounted() async throws {
        let shop = try await Shop()
        try await shop.add((0..<30).map { Happening(user: 1, item: $0, time: 1_000, segment: "s\($0 % 9)") })
        try await shop.add([Happening(user: 1, item: 4, time: 1_000, segment: "s8")])
        let list = try await shop.make(
            shop.list(.popularity) { list in
                list.segment = "s"
                list.limits.segments = 4
            })
        #expect(list.segments == ["s0", "s1", "s2", "s8"])
        #expect(list.manifest.counts.segmentsLeftOut == 5)
    }

    @Test func aSourceWithoutEventsMakesNoList() async throws {
        let shop = try await Shop()
        await #expect { _ = try await shop.make(shop.list(.popularity)) } throws: { error in
            (error as? RecallError)?.code == .empty
        }
    }

    @Test func moreItemsThanTheLimitEndTheBuild() async throws {
        let shop = try await Shop()
        try await shop.add((0..<11).map { Happening(user: 1, item: $0, time: 1_000) })
        let atLimit = shop.list(.popularity) { $0.limits.items = 11 }
        #expect(try await shop.make(atLimit).itemCount == 10)
        let beyond = shop.list(.popularity) { $0.limits.items = 10 }
        await #expect { _ = try await shop.make(beyond) } throws: { error in
            (error as? RecallError)?.code == .tooLarge
        }
    }

    @Test func rowsThatAreNotWhatTheConfigSaysAreCounted() async throws {
        let shop = try await Shop()
        try await shop.add([Happening(user: 1, item: 1, time: 1_000), Happening(user: 1, item: 2, time: 2_000)])
        try await shop.run(
            """
            INSERT INTO events VALUES (1, NULL, 3000, 1, NULL), (1, 'x', 1000, 1, NULL), (1, 3, 'never', 1, NULL),
            (1, 3, 1000, -1, NULL), (1, 3, 1000, NULL, NULL)
            """)
        let list = try await shop.make(shop.list(.popularity) { $0.weight = "w" })
        #expect(list.itemCount == 2)
        #expect(list.manifest.counts.rows == 7)
        #expect(list.manifest.counts.faults == 5)
        #expect(list.manifest.counts.events == 2)
        // Where nothing is right, the config is wrong.
        try await shop.run("DELETE FROM events WHERE i IN (1, 2); UPDATE events SET ts = 1000, i = 'x'")
        await #expect { _ = try await shop.make(shop.list(.popularity)) } throws: { error in
            (error as? RecallError)?.code == .misconfigured
        }
    }
}

extension RecallListConfig {
    /// A copy of another size.
    init(_ list: RecallListConfig, size: Int) {
        self.init(name: list.name, kind: list.kind, from: list.from, query: list.query, item: list.item, size: size)
        (user, time, weight, segment) = (list.user, list.time, list.weight, list.segment)
        (window, short, halfLife, session) = (list.window, list.short, list.halfLife, list.session)
        (shrink, limits, vectors) = (list.shrink, list.limits, list.vectors)
    }
}
