import FeatureModel
import RowCodec
import Testing
import TidemarkTesting

/// Bytes whose check fits but which no encoder writes: each structural check is hit by name.
struct ForgedRowTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let name: String
        var type = FeatureType.scalar(.int64)
        var flags: UInt8 = 0
        let payload: [UInt8]
        let code: RowCodecError.Code

        var testDescription: String { name }
    }

    static let huge = ForgedRow.varint(1 << 62)
    static let maximum = ForgedRow.varint(.max)

    static let cases: [Case] = [
        Case(name: "no bitmap", payload: [], code: .truncated),
        Case(name: "spare bitmap bit", payload: [0b10, 2], code: .malformed),
        Case(name: "no value", payload: [0], code: .truncated),
        Case(name: "value behind a null", payload: [1, 2], code: .malformed),
        Case(name: "trailing byte", payload: [0, 2, 0], code: .malformed),
        Case(name: "varint without end", payload: [0, 0x80], code: .truncated),
        Case(name: "varint longer than needed", payload: [0, 0x80, 0], code: .malformed),
        Case(name: "varint of 65 bits", payload: [0] + [UInt8](repeating: 0xff, count: 9) + [2], code: .malformed),
        Case(name: "varint of 11 bytes", payload: [0] + [UInt8](repeating: 0xff, count: 10) + [1], code: .malformed),
        Case(
            name: "int32 above range", type: .scalar(.int32), payload: [0] + ForgedRow.varint(1 << 32), code: .malformed
        ),
        Case(name: "bool of 2", type: .scalar(.bool), payload: [0, 2], code: .malformed),
        Case(name: "float32 of 3 bytes", type: .scalar(.float32), payload: [0, 1, 2, 3], code: .truncated),
        Case(name: "float64 tag 15", type: .scalar(.float64), payload: [0, 15, 2], code: .malformed),
        Case(name: "float64 tag 254", type: .scalar(.float64), payload: [0, 254, 2], code: .malformed),
        Case(name: "float64 without digits", type: .scalar(.float64), payload: [0, 3], code: .truncated),
        Case(
            name: "raw float64 of 7 bytes", type: .scalar(.float64), payload: [0, 255, 1, 2, 3, 4, 5, 6, 7],
            code: .truncated),
        Case(
            name: "float64 digits of 2^53", type: .scalar(.float64), payload: [0, 0] + ForgedRow.varint(1 << 54),
            code: .malformed),
        Case(
            name: "float64 digits of Int64.min", type: .scalar(.float64), payload: [0, 0] + maximum, code: .malformed),
        Case(name: "string longer than the row", type: .scalar(.string), payload: [0, 5, 97], code: .truncated),
        Case(name: "string of 2^62", type: .scalar(.string), payload: [0] + huge + [97], code: .truncated),
        Case(name: "string of 2^64-1", type: .scalar(.string), payload: [0] + maximum + [97], code: .truncated),
        Case(name: "string not UTF-8", type: .scalar(.string), payload: [0, 2, 0xc3, 0x28], code: .malformed),
        Case(
            name: "string with a surrogate", type: .scalar(.string), payload: [0, 3, 0xed, 0xa0, 0x80], code: .malformed
        ),
        Case(name: "bytes of 2^64-1", type: .scalar(.bytes), payload: [0] + maximum + [97], code: .truncated),
        Case(name: "list of 2^62", type: .list(.int64), payload: [0] + huge + [2], code: .truncated),
        Case(name: "list of 2^64-1", type: .list(.bool), payload: [0] + maximum + [1], code: .truncated),
        Case(name: "list one short", type: .list(.int64), payload: [0, 2, 2], code: .truncated),
        Case(
            name: "list of float32 one short", type: .list(.float32), payload: [0, 2, 1, 2, 3, 4, 5, 6, 7],
            code: .truncated),
        Case(name: "list of float64 one short", type: .list(.float64), payload: [0, 2, 0, 2, 0], code: .truncated),
        Case(name: "vector one short", type: .vector(2), payload: [0, 1, 2, 3, 4, 5, 6, 7], code: .truncated),
        Case(name: "widest vector missing", type: .vector(65_536), payload: [0, 1], code: .truncated),
        Case(name: "tombstone with payload", flags: 1, payload: [0], code: .malformed),
        Case(name: "compressed tombstone", flags: 5, payload: [], code: .malformed),
        Case(name: "pushed without event time", flags: 8, payload: [0, 2], code: .unknownFormat),
        Case(name: "compressed without size", flags: 4, payload: [], code: .truncated),
        Case(name: "compressed to nothing", flags: 4, payload: [0], code: .malformed),
        Case(name: "compressed without block", flags: 4, payload: [2], code: .malformed),
        Case(name: "compressed size too small", flags: 4, payload: [2, 0x30, 0, 2, 0], code: .malformed),
        Case(name: "compressed size too large", flags: 4, payload: [9, 0x20, 0, 2], code: .malformed),
        Case(name: "compressed size above the cap", flags: 4, payload: ForgedRow.varint(1 << 20 + 1), code: .tooLarge),
        Case(name: "compressed size of 2^64-1", flags: 4, payload: maximum + [0x20, 0, 2], code: .tooLarge),
        Case(name: "garbage behind a compressed payload", flags: 4, payload: [3, 0x30, 0, 2, 0], code: .malformed),
    ]

    @Test(arguments: cases)
    func isRefused(sample: Case) throws {
        let view = RowSamples.view([sample.type])
        let row = ForgedRow.make(view, flags: sample.flags, payload: sample.payload)
        let decoder = RowDecoder(view: view)
        #expect(throws: RowCodecError(sample.code, "")) { try decoder.decode(row, key: RowSamples.key) }
        var values: [FeatureValue] = [.bool(true)]
        #expect(throws: RowCodecError(sample.code, "")) {
            try decoder.decode(row, key: RowSamples.key, into: &values)
        }
        #expect(values == [.bool(true)], "what stood before is kept")
    }

    /// A pick checks lengths of what it passes over, though not its contents.
    @Test(arguments: cases.filter { $0.code == .truncated })
    func isRefusedByAPickOfAnotherFeature(sample: Case) throws {
        let view = RowSamples.view([sample.type])
        let row = ForgedRow.make(view, flags: sample.flags, payload: sample.payload)
        let pick = try #require(FeaturePick([], width: 1))
        #expect(throws: RowCodecError(.truncated, "")) {
            try RowDecoder(view: view).decode(row, key: RowSamples.key, picking: pick)
        }
    }

    /// The forger writes what the encoder does, so the refusals above are not its own faults.
    @Test func theForgerWritesValidRowsToo() throws {
        #expect(ForgedRow.crc32c(Array("123456789".utf8)) == 0xe306_9283)
        let view = RowSamples.view([.scalar(.int64)])
        let plain = try RowDecoder(view: view).decode(
            ForgedRow.make(view, flags: 2, payload: [0, 2]), key: RowSamples.key)
        #expect(plain.values == [.int64(1)])
        #expect(plain.order == RowOrder(epoch: 0, eventTime: 0, position: 1))
        let compressed = ForgedRow.make(view, flags: 4, payload: [2, 0x20, 0, 2])
        #expect(try RowDecoder(view: view).decode(compressed, key: RowSamples.key).values == [.int64(1)])
    }

    @Test(arguments: [[], [0x00], [0x20] + [UInt8](repeating: 0, count: 40), Array("hello, world, hello".utf8)])
    func otherBytesAreNotARow(bytes: [UInt8]) {
        #expect(throws: RowCodecError.self) { try RowDecoder.order(of: bytes) }
    }
}
