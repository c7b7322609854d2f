import FeatureModel
import RowCodec
import Testing
import TidemarkTesting

struct RowLimitTests {
    static let view = RowSamples.view([.scalar(.bytes)])
    /// Bitmap and length in front of a value of about 1 MiB.
    static let overhead = 1 + 3

    static func encode(_ value: FeatureValue, in view: FeatureView = view) throws -> [UInt8] {
        var bytes: [UInt8] = []
        let order = RowOrder(epoch: 0, eventTime: nil, position: 0)
        try RowEncoder(view: view).encode(key: RowSamples.key, order: order, values: [value], into: &bytes)
        return bytes
    }

    static func noise(_ count: Int) -> [UInt8] {
        var generator = SeededGenerator(seed: 3)
        return (0..<count).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
    }

    @Test func aPayloadAtTheLimitIsPackedAndOneByteMoreIsRefused() throws {
        let fits = RowFormat.maximumPayloadBytes - Self.overhead
        let zeros = FeatureValue.bytes([UInt8](repeating: 0, count: fits))
        let row = try Self.encode(zeros)
        #expect(row.count < 10_000)
        #expect(try RowDecoder(view: Self.view).decode(row, key: RowSamples.key).values == [zeros])
        #expect(throws: RowCodecError(.tooLarge, "")) {
            try Self.encode(.bytes([UInt8](repeating: 0, count: fits + 1)))
        }
    }

    @Test func aRowAtTheLimitIsPackedAndOneByteMoreIsRefused() throws {
        let fits = RowFormat.maximumRowBytes - RowFormat.minimumRowBytes - Self.overhead
        let noise = FeatureValue.bytes(Self.noise(fits))
        let row = try Self.encode(noise)
        #expect(row.count == RowFormat.maximumRowBytes)
        #expect(try RowDecoder(view: Self.view).decode(row, key: RowSamples.key).values == [noise])
        #expect(throws: RowCodecError(.tooLarge, "")) { try Self.encode(.bytes(Self.noise(fits + 1))) }
        #expect(throws: RowCodecError(.tooLarge, "")) { try RowDecoder.order(of: row + [0]) }
    }

    @Test func listsAreRefusedByTheirPackedSize() throws {
        let view = RowSamples.view([.list(.float64)])
        let fits = (RowFormat.maximumPayloadBytes - Self.overhead) / 2
        #expect(throws: Never.self) {
            try Self.encode(.list([FeatureValue](repeating: .float64(1), count: fits)), in: view)
        }
        #expect(throws: RowCodecError(.tooLarge, "")) {
            try Self.encode(.list([FeatureValue](repeating: .float64(1), count: fits + 1)), in: view)
        }
        #expect(throws: RowCodecError(.tooLarge, "")) {
            try Self.encode(.list([FeatureValue](repeating: .float64(.pi), count: fits)), in: view)
        }
    }

    @Test func onlyLongPayloadsThatShrinkAreCompressed() throws {
        func flags(_ bytes: [UInt8]) throws -> RowFlags { try RowHeader(of: Self.encode(.bytes(bytes))).flags }
        // 512 bytes of payload: the bitmap, two bytes of length, 509 of value.
        #expect(try flags([UInt8](repeating: 0, count: 509)) == .compressed)
        #expect(try flags([UInt8](repeating: 0, count: 508)) == [])
        #expect(try flags(Self.noise(4_000)) == [])
    }

    @Test func compressionSavesAnEighthOrIsLeftOut() throws {
        for zeros in stride(from: 0, through: 1_000, by: 20) {
            let value = Self.noise(2_000) + [UInt8](repeating: 0, count: zeros)
            let row = try Self.encode(.bytes(value))
            let payload = 1 + 2 + value.count
            let packed = row.count - RowFormat.minimumRowBytes
            let isCompressed = try RowHeader(of: row).flags.contains(.compressed)
            #expect(isCompressed ? packed <= payload - payload / 8 : packed == payload)
            #expect(try RowDecoder(view: Self.view).decode(row, key: RowSamples.key).values == [.bytes(value)])
        }
        #expect(
            try RowHeader(of: Self.encode(.bytes(Self.noise(2_000) + [UInt8](repeating: 0, count: 1_000)))).flags
                == .compressed)
    }
}
