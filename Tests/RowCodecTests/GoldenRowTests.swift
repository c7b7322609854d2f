import FeatureModel
import RowCodec
import Testing

/// The packed bytes are a promise to stores that were filled by earlier releases: `schemas/golden-rows.txt`.
struct GoldenRowTests {
    struct Sample: Sendable {
        let name: String
        let types: [FeatureType]
        var key = "42"
        var order = RowOrder(epoch: 0, eventTime: nil, position: 1)
        /// `nil` for a tombstone.
        let values: [FeatureValue]?
    }

    static let timed = RowOrder(epoch: 2, eventTime: 1_700_000_000_000_000, position: 0x0102_0304_0506_0708)

    static let samples: [Sample] = [
        Sample(name: "empty", types: [], values: []),
        Sample(name: "tombstone", types: [.scalar(.int64)], values: nil),
        Sample(name: "tombstone-timed", types: [.scalar(.int64)], order: timed, values: nil),
        Sample(
            name: "integers", types: [.scalar(.bool), .scalar(.int32), .scalar(.int64), .scalar(.timestamp)],
            order: timed, values: [.bool(true), .int32(-3), .int64(300), .timestamp(1_700_000_000_000_000)]),
        Sample(
            name: "floats", types: [.scalar(.float32), .scalar(.float64), .scalar(.float64), .scalar(.float64)],
            values: [.float32(1.5), .float64(12.5), .float64(-0.07), .float64(.pi)]),
        Sample(
            name: "texts", types: [.scalar(.string), .scalar(.bytes)], key: "a%3Ab,7",
            values: [.string("Grüße"), .bytes([0, 255])]),
        Sample(
            name: "lists", types: [.list(.string), .list(.float64), .list(.bool), .vector(2)],
            values: [.list([.string("a"), .string("")]), .list([.float64(0.5)]), .list([]), .vector([1, -1])]),
        Sample(
            name: "nulls", types: [FeatureType](repeating: .scalar(.int64), count: 9),
            values: [.null, .int64(1), .null, .null, .null, .null, .null, .null, .null]),
    ]

    static let path = #filePath.split(separator: "/").dropLast(3).reduce(into: "") { $0 += "/\($1)" }

    @Test func rowsAreAsTheyEverWere() throws {
        var lines: [String] = []
        for sample in Self.samples {
            let view = RowSamples.view(sample.types)
            let key = EntityKey(canonical: sample.key)
            var bytes: [UInt8] = []
            if let values = sample.values {
                try RowEncoder(view: view).encode(key: key, order: sample.order, values: values[...], into: &bytes)
            } else {
                RowEncoder(view: view).encodeTombstone(key: key, order: sample.order, into: &bytes)
            }
            lines.append("\(sample.name) \(hex(bytes))")
            let row = try RowDecoder(view: view).decode(bytes, key: key)
            #expect(row.values == sample.values ?? [])
            #expect(row.order == sample.order)
        }
        let golden = try goldenLines().filter { !$0.hasPrefix("compressed ") }
        #expect(golden == lines, "now: \(lines.joined(separator: "\n"))")
    }

    /// Only read: another release of LZ4 may pack the same text into other bytes.
    @Test func aCompressedRowIsStillRead() throws {
        let line = try #require(goldenLines().first { $0.hasPrefix("compressed ") })
        let row = try #require(bytes(line.split(separator: " ")[1]))
        let decoded = try RowDecoder(view: RowSamples.view([.scalar(.string)])).decode(
            row, key: EntityKey(canonical: "42"))
        #expect(decoded.values == [.string(String(repeating: "tidemark ", count: 100))])
        #expect(try RowHeader(of: row).flags == .compressed)
    }

    private func goldenLines() throws -> [String] {
        try readLines("\(Self.path)/schemas/golden-rows.txt").filter { !$0.isEmpty && !$0.hasPrefix("#") }
    }

    private func hex(_ bytes: [UInt8]) -> String {
        bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
    }

    private func bytes(_ hex: Substring) -> [UInt8]? {
        let digits = hex.utf8.compactMap { Character(Unicode.Scalar($0)).hexDigitValue }
        guard digits.count == hex.utf8.count, digits.count % 2 == 0 else { return nil }
        return stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
    }
}
