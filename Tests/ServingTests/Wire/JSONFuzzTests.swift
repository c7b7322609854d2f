import FeatureModel
import Foundation
import NIOCore
import Testing
import TidemarkTesting

@testable import Serving

/// The scanner against Foundation's parser, and against anything at all.
@Suite(.timeLimit(.minutes(5)))
struct JSONFuzzTests {
    private static let seeds: [String] = [
        #"{"features":["user_activity:views_7d","user_activity:last_event"],"entities":[{"user_id":1},{"user_id":2}],"ages":true}"#,
        #"{"features":["driver_hourly_stats:conv_rate"],"entities":{"driver_id":[1001,1002]},"full_feature_names":false}"#,
        #"{"feature_service":"driver_activity_v1","entities":{"driver_id":[1001],"x":["a",null]},"include_feature_view_version_metadata":true}"#,
        #" [1, -0, 1.5e+10, 0.25, -12E-3, 9223372036854775807, -9223372036854775808, 123456789012345678901234567890] "#,
        #"{"a":{"b":[[],{},[{}],[[[[1]]]]]},"c":"\u00e9\ud83d\ude00\n\t\\\/\"","é":"日本語😀"}"#,
        "[true,false,null,\"\",\"\\u0000\",{\"\":0}]",
        #"{"push_source_name":"v","df":{"user_id":[1,2],"at":["2024-05-01T12:00:00",3],"b":[true,null],"v":[[1,2.5],[]]},"to":"online"}"#,
        #""text""#, "12", "{}", "[]", "null",
    ]

    private static let pieces: [[UInt8]] =
        [
            "{", "}", "[", "]", ",", ":", "\"", "\\", "\\u", "\\ud800", "\\udc00", "\\u0041", "0", "-", "1e5", ".", "e",
            "NaN",
            "Infinity", "true", "nul", " ", "\n", "\t", "\u{0C}", "//", "1e999", "00", "+1", "'", "\u{FEFF}",
        ].map { Array($0.utf8) } + [
            [0], [0x1F], [0x7F], [0x80], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80], [0xFF],
        ]

    private static func mutate(_ random: inout SeededGenerator) -> [UInt8] {
        var bytes = Array((seeds.randomElement(using: &random) ?? "").utf8)
        for _ in 0..<Int.random(in: 0...3, using: &random) {
            let place = Int.random(in: 0...bytes.count, using: &random)
            switch Int.random(in: 0..<6, using: &random) {
            case 0: if place < bytes.count { bytes.remove(at: place) }
            case 1: bytes.insert(contentsOf: pieces.randomElement(using: &random) ?? [], at: place)
            case 2: if place < bytes.count { bytes[place] = UInt8.random(in: 0...255, using: &random) }
            case 3: bytes.removeSubrange(place...)
            case 4:
                let end = Int.random(in: place...bytes.count, using: &random)
                bytes.insert(contentsOf: bytes[place..<end], at: Int.random(in: 0...bytes.count, using: &random))
            default: if place < bytes.count { bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random) }
            }
        }
        return bytes
    }

    /// Whether Foundation's verdict can be compared: it guesses other encodings, takes a byte-order mark, repairs what is
    /// not UTF-8, has limits of its own for numbers, and forgives a comma before a closing bracket.
    private static func isComparable(_ bytes: [UInt8]) -> Bool {
        !bytes.contains(0) && !hasHugeExponent(bytes) && !hasTrailingComma(bytes)
            && String(validating: bytes, as: UTF8.self) != nil && !bytes.starts(with: [0xEF, 0xBB, 0xBF])
    }

    private static func hasTrailingComma(_ bytes: [UInt8]) -> Bool {
        var isBehindComma = false
        for byte in bytes {
            switch byte {
            case UInt8(ascii: ","): isBehindComma = true
            case UInt8(ascii: "}"), UInt8(ascii: "]"): if isBehindComma { return true }
            case 0x20, 0x0A, 0x0D, 0x09: break
            default: isBehindComma = false
            }
        }
        return false
    }

    /// Whether a number may lie beyond the doubles, which Foundation refuses and RFC 8259 doesn't.
    private static func hasHugeExponent(_ bytes: [UInt8]) -> Bool {
        var digits: Int?
        for byte in bytes {
            switch byte {
            case UInt8(ascii: "e"), UInt8(ascii: "E"): digits = 0
            case UInt8(ascii: "+"), UInt8(ascii: "-"): digits = digits == 0 ? 0 : nil
            case UInt8(ascii: "0")...UInt8(ascii: "9"):
                digits = digits.map { $0 + 1 }
                if let digits, digits > 2 { return true }
            default: digits = nil
            }
        }
        return false
    }

    @Test
    func agreesWithFoundationAndNeverTraps() {
        let seed = UInt64.random(in: 0...UInt64.max)
        var random = SeededGenerator(seed: seed)
        var valid = 0
        var compared = 0
        for round in 0..<200_000 {
            let bytes = Self.mutate(&random)
            var cursor = JSONCursor(maximumDepth: JSONCursor.deepest)
            let span = unsafe bytes.span.bytes
            let isValid: Bool
            do {
                try cursor.skipValue(span)
                try cursor.end(span)
                isValid = true
            } catch {
                isValid = false
            }
            valid += isValid ? 1 : 0
            let body = ByteBuffer(bytes: bytes)
            parseEverything(body)
            guard Self.isComparable(bytes) else {
                if String(validating: bytes, as: UTF8.self) == nil {
                    #expect(!isValid, "seed \(seed), round \(round): \(bytes) is not UTF-8")
                }
                continue
            }
            compared += 1
            let theirs = (try? JSONSerialization.jsonObject(with: Data(bytes), options: .fragmentsAllowed)) != nil
            #expect(isValid == theirs, "seed \(seed), round \(round): \(String(decoding: bytes, as: UTF8.self))")
            if isValid != theirs { return }
        }
        #expect(valid > 20_000 && compared > 100_000, "the bodies are too tame or too wild: \(valid), \(compared)")
    }

    /// Runs every parser over a body. Each answers or throws; errors must word themselves as JSON.
    private func parseEverything(_ body: ByteBuffer) {
        let limits = WireLimits()
        let keys = KeyColumns([
            .init(name: "user_id", type: .int64), .init(name: "driver_id", type: .string),
        ])
        let reader = EntityReader(keys, limits: limits)
        do throws(WireError) {
            let request = try LookupParser.lookup(body, limits: limits)
            _ = request.planKey(body)
            _ = try FeatureSelection.features(body, request, limits: limits)
            _ = try reader.rows(body, request)
        } catch {
            expectJSON(ErrorBody.problem(error).body)
        }
        do throws(WireError) {
            let request = try LookupParser.feast(body, limits: limits)
            _ = try reader.columns(body, request)
        } catch {
            expectJSON(ErrorBody.feast(error, request: body).body)
        }
        do throws(WireError) {
            let request = try WriteParser.push(body, limits: limits)
            _ = try FrameReader(Self.view, limits: limits, now: 2_000_000_000_000_000).rows(body, request.frame)
        } catch {
            expectJSON(ErrorBody.feast(error, request: body).body)
        }
    }

    private static let view = FeatureView(
        name: "v", entity: Entity(name: "user", keys: [.init(name: "user_id", type: .int64)]),
        source: ViewSource(
            from: "s", query: "", watermark: .tracked(TrackedTable(table: "t", keyColumns: ["k"])),
            eventTime: TimeColumn(column: "at")),
        every: .seconds(1), ttl: .seconds(100), sweep: .seconds(10),
        features: [Feature(name: "b", type: .scalar(.bool)), Feature(name: "v", type: .list(.float64))])

    private func expectJSON(_ body: ByteBuffer) {
        var cursor = JSONCursor(maximumDepth: JSONCursor.deepest)
        let span = body.readableBytesSpan
        #expect(throws: Never.self) {
            try cursor.skipValue(span)
            try cursor.end(span)
        }
    }
}
