import Foundation
import Testing
import TidemarkTesting

/// `ops/bench quality --dump` with a dump that has the traits of the published one: events in no order and some of them twice, visitors
/// with one event, properties in two files, prices as `n552.000`, values of several words, items without properties, roots
/// without a parent, and a few rows that are none.
@Suite(
    .serialized, .enabled(if: DaemonProcess.tidemark != nil, "the tidemark binary is not built"),
    .timeLimit(.minutes(10)))
struct DumpQualityTests {
    private static let root = #filePath.split(separator: "/").dropLast(4).map { "/" + $0 }.joined()

    private struct Import: Decodable {
        struct File: Decodable {
            let name: String
            let rows: Int
            let leftOut: Int
        }

        let events: Int
        let items: Int
        let users: Int
        let itemProperties: Int
        let problems: [String]
        let files: [File]
    }

    private struct Result: Decodable {
        struct Quality: Decodable {
            let ndcgAt10: Double
            let recallAt100: Double
        }

        struct Filtered: Decodable {
            let filters: [String]
            let ranked: Quality
        }

        let popularity: Quality
        let ranked: Quality
        let filtered: Filtered
        let counts: [String: Int]
    }

    @Test(arguments: [UInt64(20_150_503)])
    func aDumpAsItIsPublishedGivesTheTable(seed: UInt64) async throws {
        let tidemark = try #require(DaemonProcess.tidemark)
        try await Workdir.with { workdir in
            let dump = Dump(seed: seed)
            for (name, lines) in dump.files { try workdir.write(lines.joined(separator: "\n") + "\n", to: name) }

            let importing = try DaemonProcess(
                tidemark, ["import", "retailrocket", workdir.file("."), "--out", workdir.file("shop.db"), "--json"])
            let imported = await importing.ending(within: .seconds(120))
            #expect(imported.code == 3, "seed \(seed): \(imported.story)")
            let report = try Self.decode(Import.self, imported.output)
            // Every row is taken, or counted and told why not.
            #expect(Set(report.files.map(\.name)) == Set(dump.files.keys))
            for file in report.files {
                #expect(file.leftOut == dump.bad[file.name, default: 0], "\(file.name)")
                #expect(file.rows + file.leftOut == (dump.files[file.name]?.count ?? 0) - 1, "\(file.name)")
            }
            #expect(report.problems.count == dump.bad.values.reduce(0, +))
            let taken = Dictionary(uniqueKeysWithValues: report.files.map { ($0.name, $0.rows) })
            #expect(report.events == taken["events.csv"] && report.users == dump.users)
            #expect(report.items == dump.items, "items without properties as well")
            #expect(
                report.itemProperties == (taken["item_properties_part1.csv"] ?? 0)
                    + (taken["item_properties_part2.csv"] ?? 0))

            let bench = try DaemonProcess(
                "/usr/bin/python3", ["\(Self.root)/ops/lib/bench-quality", "--dump", workdir.file("."), "--json"],
                environment: ["TIDEMARK_BIN": tidemark])
            let measured = await bench.ending(within: .seconds(300))
            #expect(measured.code == 0, "seed \(seed): \(measured.story)")
            let result = try #require(try Self.decode([String: Result].self, measured.output).values.first)
            #expect(result.counts["events"] == report.events && result.counts["skipped_events"] == 0)
            #expect(result.counts["users"] == dump.users)
            #expect(result.popularity.recallAt100 > 0 && result.popularity.recallAt100 < 1)
            #expect(result.ranked.recallAt100 > result.popularity.recallAt100)
            #expect(result.ranked.ndcgAt10 > result.popularity.ndcgAt10)
            #expect(result.filtered.filters == ["in_stock", "variety"])
            #expect(result.filtered.ranked.recallAt100 > 0)
        }
    }

    private static func decode<Value: Decodable>(_ type: Value.Type, _ text: String) throws -> Value {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return try decoder.decode(type, from: Data(text.utf8))
    }
}

/// A dump of a shop whose visitors mostly look at one of 12 categories each.
private struct Dump {
    var files: [String: [String]] = [:]
    /// Rows that are none, by file.
    var bad: [String: Int] = [:]
    var users = 0
    var items = 0

    private static let categories = 12
    /// Of each category; every tenth has no properties.
    private static let itemsOfCategory = 40
    private static let opening = 1_430_622_000_000

    init(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        files["category_tree.csv"] =
            ["categoryid,parentid", "100,", "101,", "100,101"]
            + (0..<Self.categories).map { "\($0 + 1),\(100 + $0 % 2)" }
            + (200..<350).map { "\($0),100" }
        bad["category_tree.csv"] = 1
        makeProperties(&random)
        makeEvents(&random)
    }

    private mutating func makeProperties(_ random: inout SeededGenerator) {
        var parts = [["timestamp,itemid,property,value"], ["timestamp,itemid,property,value"]]
        for item in 1...Self.categories * Self.itemsOfCategory where item % 10 != 0 {
            // A snapshot a week, as the published files have it.
            for week in 0..<4 {
                let time = Self.opening - 86_400_000 + week * 7 * 86_400_000
                for (name, value) in [
                    ("categoryid", "\(item % Self.categories + 1)"), ("available", random.chance(0.8) ? "1" : "0"),
                    ("790", "n\(random.below(900) + 1)\(random.below(10))0.000"),
                    ("888", "1116713 960601 n\(random.below(500)).200"), ("283", "66094 372274 478989"),
                ] { parts[random.below(2)].append("\(time),\(item),\(name),\(value)") }
            }
        }
        for (index, lost) in ["\(Self.opening),7,790", "soon,7,790,n1.000"].enumerated() {
            parts[index].insert(lost, at: 1 + random.below(parts[index].count - 1))
            files["item_properties_part\(index + 1).csv"] = parts[index]
            bad["item_properties_part\(index + 1).csv"] = 1
        }
    }

    private mutating func makeEvents(_ random: inout SeededGenerator) {
        var events: [String] = []
        var (seen, visitors) = (Set<Int>(), Set<Int>())
        for visit in 0..<4_000 {
            // A third of the visits is of visitors who never come again, and see one thing.
            let isOnce = visit % 3 == 0
            let visitor = isOnce ? 10_000 + visit : random.below(400)
            let home = visitor % Self.categories
            var time = Self.opening + random.below(27 * 86_400_000)
            for _ in 0..<(isOnce ? 1 : 2 + random.below(5)) {
                let category = random.chance(0.85) ? home : random.below(Self.categories)
                // The first of a category are looked at most.
                let place = min(random.below(Self.itemsOfCategory), random.below(Self.itemsOfCategory))
                let item = place * Self.categories + (category + Self.categories - 1) % Self.categories + 1
                let kind = random.below(20)
                let event = kind == 0 ? "transaction" : kind < 3 ? "addtocart" : "view"
                events.append("\(time),\(visitor),\(event),\(item),\(kind == 0 ? "\(visit)" : "")")
                if random.chance(0.01), let last = events.last { events.append(last) }
                visitors.insert(visitor)
                seen.insert(item)
                time += 40_000 + random.below(90_000)
            }
        }
        users = visitors.count
        items = seen.union((1...Self.categories * Self.itemsOfCategory).filter { $0 % 10 != 0 }).count
        events += ["\(Self.opening),1,looked,1,", "\(Self.opening),-1,view,1,", ",,,,"]
        bad["events.csv"] = 3
        events.shuffle(using: &random)
        files["events.csv"] = ["timestamp,visitorid,event,itemid,transactionid"] + events
    }
}
