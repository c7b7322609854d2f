import Foundation
import Logging
import Testing

@testable import Telemetry  // The encoder of lines is not for other targets.

@Suite struct LogLineTests {
    private func line(
        _ format: LogFormat = .json, limit: Int = 4_096, at milliseconds: Int64 = 1_767_225_600_007,
        message: String = "chunk written", error: String? = nil, metadata: Logger.Metadata = [:]
    ) -> String {
        String(
            decoding: LogLine.encode(
                format, limit: limit, at: milliseconds, level: .info, label: "sync", message: message, error: error,
                metadata: metadata), as: UTF8.self)
    }

    private func parsed(_ line: String) throws -> [String: Any] {
        try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
    }

    @Test func jsonHasItsFieldsInAFixedOrder() {
        #expect(
            line(error: "gone", metadata: ["view": "user_activity", "rows": "\(12)", "parts": ["a", ["b": "c"]]])
                == #"{"time":"2026-01-01T00:00:00.007Z","level":"info","logger":"sync","message":"chunk written","#
                + #""error":"gone","parts":["a",{"b":"c"}],"rows":"12","view":"user_activity"}"# + "\n")
    }

    @Test func textHasTheSameInTheSameOrder() {
        #expect(
            line(.text, metadata: ["view": "user_activity", "why": "two words", "empty": "", "list": ["a"]])
                == "2026-01-01T00:00:00.007Z info     sync: chunk written empty=\"\" list=[\"a\"] view=user_activity "
                + "why=\"two words\"\n")
    }

    @Test(arguments: [
        (0 as Int64, "1970-01-01T00:00:00.000Z"), (-1, "1969-12-31T23:59:59.999Z"),
        (951_782_400_999, "2000-02-29T00:00:00.999Z"), (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
    ])
    func timesAreRFC3339InUTC(milliseconds: Int64, spelling: String) {
        #expect(LogLine.timestamp(milliseconds) == spelling)
    }

    @Test(arguments: LogFormat.allCases)
    func nothingInAnEventMakesASecondLineOrReachesTheTerminal(format: LogFormat) {
        let hostile = "a\n{\"level\":\"error\"}\r\u{1B}[2J\u{0}\u{7F}\u{9B}\u{2028}\u{202E}\u{2066}b"
        let text = line(
            format, message: hostile, error: hostile, metadata: [hostile: "\(hostile)", "k": [hostile: "\(hostile)"]])
        #expect(text.hasSuffix("\n"))
        let body = text.dropLast().unicodeScalars
        #expect(body.allSatisfy { $0.value >= 0x20 && !(0x7F...0x9F).contains($0.value) })
        #expect(body.allSatisfy { !(0x2028...0x202E).contains($0.value) && !(0x2066...0x2069).contains($0.value) })
    }

    @Test func whatIsEscapedComesBackWhole() throws {
        let hostile = "a\"\\/\n\r\t\u{1B}\u{0}\u{2028}é😀"
        let object = try parsed(line(message: hostile, metadata: [hostile: "\(hostile)"]))
        #expect(object["message"] as? String == hostile)
        #expect(object[hostile] as? String == hostile)
    }

    @Test func metadataCannotTakeAFieldOfTheLine() throws {
        let object = try parsed(line(metadata: ["time": "1", "time_": "2", "level": "error", "message": "other"]))
        #expect(object["level"] as? String == "info")
        #expect(object["message"] as? String == "chunk written")
        #expect(object["time__"] as? String == "1")
        #expect(object["time_"] as? String == "2")
        #expect(object["level_"] as? String == "error")
    }

    @Test func metadataMayTellOfAnErrorWhereTheEventCarriesNone() throws {
        #expect(try parsed(line(metadata: ["error": "mine"]))["error"] as? String == "mine")
        let both = try parsed(line(error: "the event's", metadata: ["error": "mine"]))
        #expect(both["error"] as? String == "the event's")
        #expect(both["error_"] as? String == "mine")
    }

    @Test(arguments: LogFormat.allCases, [0, 512, 600, 1_024, 4_096])
    func noLineIsLongerThanItsLimit(format: LogFormat, limit: Int) throws {
        var random = SplitMix(state: 7)
        for round in 0..<200 {
            let metadata = Dictionary(
                (0..<Int.random(in: 0...20, using: &random)).map { ("key\($0)", Self.value(depth: 0, &random)) },
                uniquingKeysWith: { $1 })
            let text = line(
                format, limit: limit, message: Self.text(&random), error: round % 3 == 0 ? Self.text(&random) : nil,
                metadata: metadata)
            #expect(text.utf8.count <= max(512, limit), "seed 7, round \(round)")
            #expect(text.hasSuffix("\n") && text.dropLast().allSatisfy { $0 != "\n" }, "seed 7, round \(round)")
            if format == .json { _ = try parsed(text) }
        }
    }

    @Test func whatIsLeftOutIsOwnedUpTo() throws {
        #expect(try parsed(line())["truncated"] == nil)
        let long = try parsed(line(limit: 512, message: String(repeating: "é", count: 1_000)))
        #expect(long["truncated"] as? Bool == true)
        #expect((long["message"] as? String)?.count == 128)
        let many = Dictionary(uniqueKeysWithValues: (0..<100).map { ("k\($0)", "value" as Logger.MetadataValue) })
        #expect(try parsed(line(limit: 512, metadata: many))["truncated"] as? Bool == true)
    }

    @Test func deepNestingEnds() throws {
        var value: Logger.MetadataValue = "bottom"
        for _ in 0..<1_000 { value = ["x": value] }
        let object = try parsed(line(metadata: ["deep": value]))
        #expect(object["truncated"] as? Bool == true)
    }

    private static func text(_ random: inout SplitMix) -> String {
        let alphabet: [Character] = ["a", "é", "😀", "\n", "\"", "\\", "\u{1B}", "\u{2028}", " ", "="]
        return String(
            (0..<Int.random(in: 0...400, using: &random)).map { _ in alphabet.randomElement(using: &random) ?? "a" })
    }

    private static func value(depth: Int, _ random: inout SplitMix) -> Logger.MetadataValue {
        switch Int.random(in: 0..<(depth > 5 ? 1 : 4), using: &random) {
        case 1: .array((0..<3).map { _ in value(depth: depth + 1, &random) })
        case 2: .dictionary(["a": value(depth: depth + 1, &random), "b": value(depth: depth + 1, &random)])
        case 3: .stringConvertible(Int.random(in: 0...9_999, using: &random))
        default: .string(text(&random))
        }
    }
}

/// Steele, Lea and Flood's SplitMix64: the same numbers on each run.
private struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
