import FeastRows
import FeatureModel
import Testing
import TidemarkTesting

/// Values of Feast's Redis: its own bytes, and bytes that nobody wrote.
struct FeastStoredValueTests {
    static let vectors: [(String, FeatureValue)] = [
        ("", .null), ("980100", .null), ("2005", .int64(5)), ("2000", .int64(0)),
        ("20ffffffffffffffffff01", .int64(-1)),
        ("1807", .int32(7)), ("29000000000000e03f", .float64(0.5)), ("350000003f", .float32(0.5)),
        ("3801", .bool(true)),
        ("3800", .bool(false)), ("12026162", .string("ab")), ("1200", .string("")), ("0a020001", .bytes([0, 1])),
        ("40c0ddc8b106", .timestamp(1_714_564_800_000_000)),
        ("72060a040102ac02", .list([.int64(1), .int64(2), .int64(300)])), ("7200", .list([])),
        ("7a0a0a08000000000000e03f", .list([.float64(0.5)])),
        ("82010a0a080000003f0000803f", .list([.float32(0.5), .float32(1)])),
        ("62060a01610a0162", .list([.string("a"), .string("b")])),
        ("8a01040a020100", .list([.bool(true), .bool(false)])),
        // Sets of integers and of texts, texts with a meaning, and the number that stands for no time.
        ("ca01040a020301", .list([.int64(3), .int64(1)])), ("ba01060a01620a0161", .list([.string("b"), .string("a")])),
        ("8202027b7d", .string("{}")), ("40808080808080808080" + "01", .null),
    ]

    static func bytes(_ text: String) -> [UInt8] {
        let digits = Array(text.utf8)
        return stride(from: 0, to: digits.count, by: 2).map { index in
            UInt8(String(decoding: digits[index..<index + 2], as: UTF8.self), radix: 16) ?? 0
        }
    }

    @Test func valuesAreRead() throws {
        for (text, value) in Self.vectors { #expect(try FeastStoredValue.decode(Self.bytes(text)) == value, "\(text)") }
    }

    @Test func timesAreRead() throws {
        #expect(try FeastStoredValue.decodeTimestamp(Self.bytes("08c0ddc8b1061080e59a77")) == 1_714_564_800_250_000)
        #expect(try FeastStoredValue.decodeTimestamp([]) == 0)
        for wrong in ["08ffffffffffffffff7f", "10ffffffffffffffffff01", "ff", "1080bcd1f60b"] {
            #expect(throws: FeastStoredValue.DecodingError.self, "\(wrong)") {
                try FeastStoredValue.decodeTimestamp(Self.bytes(wrong))
            }
        }
    }

    @Test func valuesOfNoTypeHereAreErrors() {
        // A map, a nested list, a zoned time, and seconds beyond what microseconds can tell.
        for wrong in ["a20100", "d20200", "820300", "40ffffffffffffffff7f"] {
            #expect(throws: FeastStoredValue.DecodingError.self, "\(wrong)") {
                try FeastStoredValue.decode(Self.bytes(wrong))
            }
        }
    }

    @Test func valuesGrowWiderAndNothingElse() {
        typealias Stored = FeastStoredValue
        #expect(Stored.widened(.int32(7), to: .scalar(.int64)) == .int64(7))
        #expect(Stored.widened(.int32(7), to: .scalar(.float64)) == .float64(7))
        #expect(Stored.widened(.float32(0.5), to: .scalar(.float64)) == .float64(0.5))
        #expect(Stored.widened(.list([.int32(1)]), to: .list(.int64)) == .list([.int64(1)]))
        #expect(Stored.widened(.null, to: .scalar(.string)) == .null)
        #expect(Stored.widened(.int64(7), to: .scalar(.int32)) == nil)
        #expect(Stored.widened(.int64(7), to: .scalar(.float64)) == nil)
        #expect(Stored.widened(.string("7"), to: .scalar(.int64)) == nil)
        #expect(Stored.widened(.list([.int32(1), .string("x")]), to: .list(.int64)) == nil)
    }

    @Test(arguments: SeededGenerator.seeds(2))
    func damagedBytesAreErrorsOrValues(_ seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        for (text, _) in Self.vectors {
            let whole = Self.bytes(text)
            for length in 0...whole.count { _ = try? FeastStoredValue.decode(Array(whole[..<length])) }
            for _ in 0..<200 where !whole.isEmpty {
                var bytes = whole
                bytes[generator.below(bytes.count)] ^= 1 << UInt8(generator.below(8))
                _ = try? FeastStoredValue.decode(bytes)
                _ = try? FeastStoredValue.decodeTimestamp(bytes)
            }
        }
        // Lists within lists, deeper than anybody means it.
        var deep: [UInt8] = []
        for _ in 0..<200 { deep = [0xd2, 0x02] + Self.framed([0x0a] + Self.framed(deep)) }
        #expect(throws: FeastStoredValue.DecodingError.self) { try FeastStoredValue.decode(deep) }
    }

    private static func framed(_ bytes: [UInt8]) -> [UInt8] {
        var (length, frame) = (bytes.count, [UInt8]())
        while length > 127 {
            frame.append(UInt8(length & 127 | 128))
            length >>= 7
        }
        return frame + [UInt8(length)] + bytes
    }
}
