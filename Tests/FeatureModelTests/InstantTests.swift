import FeatureModel
import Foundation
import Testing

@Suite struct InstantTests {
    @Test func aFormattedTimeIsParsedBack() {
        let seed: UInt64 = 0x7469_6d65
        print("seed \(seed)")
        var generator = SeededGenerator(seed: seed)
        let edges: [Int64] = [
            Timestamps.range.lowerBound, Timestamps.range.upperBound, 0, -1, 1, 999, 1_000, -1_000_000,
        ]
        let random = (0..<100_000).map { _ in Int64.random(in: Timestamps.range, using: &generator) }
        for micros in edges + random {
            let text = Timestamps.format(micros)
            guard Timestamps.parse(text) == micros, text.utf8.count <= 27 else {
                Issue.record("\(micros) is \(text), which is \(String(describing: Timestamps.parse(text)))")
                return
            }
        }
    }

    @Test func theCalendarIsTheOneOfFoundation() throws {
        let seed: UInt64 = 0x6361_6c65
        print("seed \(seed)")
        var generator = SeededGenerator(seed: seed)
        // Foundation changes to the Julian calendar before 1582.
        let range: ClosedRange<Int64> = -12_219_292_800...253_402_300_799
        let style = Date.ISO8601FormatStyle(timeZone: .gmt)
        for _ in 0..<2_000 {
            let seconds = Int64.random(in: range, using: &generator)
            let expected = Date(timeIntervalSince1970: Double(seconds)).formatted(style)
            #expect(Timestamps.format(seconds * 1_000_000) == expected)
        }
    }

    @Test(
        arguments: [
            ("1970-01-01", 0), ("1970-01-01T00:00:00Z", 0), ("1970-01-01 00:00:00", 0), ("1970-01-01t00:00:00z", 0),
            ("1970-01-01T01:00:00+01:00", 0), ("1970-01-01T01:00:00+01", 0), ("1969-12-31T23:30:00-0030", 0),
            ("1970-01-01T00:01", 60_000_000), ("1970-01-01T00:00:00.5Z", 500_000),
            ("1970-01-01T00:00:00.123456789Z", 123_456),
            ("1970-01-01T00:00:00.000001", 1), ("2000-02-29T00:00:00Z", 951_782_400_000_000),
            ("1970-01-01T23:59:60Z", 86_400_000_000),
        ] as [(String, Int64)])
    func formsThatDatabasesPrintAreParsed(_ text: String, _ micros: Int64) {
        #expect(Timestamps.parse(text) == micros)
    }

    @Test(arguments: [
        "", "now", "1970", "1970-1-1", "1970-13-01", "1970-00-01", "1970-02-29", "1900-02-29", "1970-04-31",
        "0000-01-01",
        "1970-01-01T", "1970-01-01T24:00:00Z", "1970-01-01T00:60:00Z", "1970-01-01T00:00:61Z", "1970-01-01T00:00:00.Z",
        "1970-01-01T00:00:00.1234567890Z", "1970-01-01T00:00:00+24:00", "1970-01-01T00:00:00+0",
        "1970-01-01T00:00:00Zx",
        "1970-01-01  00:00:00", "+970-01-01", "9999-12-31T23:59:60Z", "0001-01-01T00:00:00+00:01", "１970-01-01",
    ])
    func otherTextsAreNoTimes(_ text: String) {
        #expect(Timestamps.parse(text) == nil)
    }

    @Test func noTextTrapsTheParser() {
        let seed: UInt64 = 0x7472_6170
        print("seed \(seed)")
        var generator = SeededGenerator(seed: seed)
        let symbols = Array("0123456789-:.TZ+ t")
        for _ in 0..<100_000 {
            var text = Array("2026-01-31T08:09:10.123456+01:00")
            for _ in 0..<Int.random(in: 1...3, using: &generator) {
                text[Int.random(in: 0..<text.count, using: &generator)] =
                    symbols[Int.random(in: 0..<symbols.count, using: &generator)]
            }
            text.removeLast(Int.random(in: 0..<text.count, using: &generator))
            if let micros = Timestamps.parse(String(text)) {
                #expect(Timestamps.range.contains(micros))
            }
        }
    }

    @Test func aDurationsSpellingIsParsedBack() {
        let seed: UInt64 = 0x6475_7261
        print("seed \(seed)")
        var generator = SeededGenerator(seed: seed)
        let units: [Int64] = [1, 1_000, 1_000_000, 60_000_000, 3_600_000_000, 86_400_000_000]
        for _ in 0..<100_000 {
            let unit = units[Int.random(in: 0..<units.count, using: &generator)]
            let micros = Int64.random(in: 0...(3_000_000_000_000_000 / unit), using: &generator) * unit
            let duration = Duration.microseconds(micros)
            guard Duration(spelling: duration.spelling) == duration else {
                Issue.record("\(micros) is \(duration.spelling)")
                return
            }
        }
        #expect(Duration.zero.spelling == "0s")
    }

    @Test(
        arguments: [
            ("1.5h", 5_400_000_000), ("90s", 90_000_000), ("7d", 604_800_000_000), ("2w", 1_209_600_000_000),
            ("50ms", 50_000),
            ("3us", 3), ("0s", 0), ("0.001ms", 1),
        ] as [(String, Int64)])
    func durationsAreParsed(_ text: String, _ micros: Int64) {
        #expect(Duration(spelling: text) == .microseconds(micros))
    }

    @Test(arguments: [
        "", "7", "d", "7 d", "-1s", "+1s", "1e3s", "1.2.3s", "1D", "1sec", "1h30m", "nan s", "٧d", "99999999999999d",
        "101000d",
    ])
    func otherTextsAreNoDurations(_ text: String) {
        #expect(Duration(spelling: text) == nil)
    }
}
