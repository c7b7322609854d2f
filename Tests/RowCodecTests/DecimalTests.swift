import FeatureModel
import RowCodec
import Testing
import TidemarkTesting

struct DecimalTests {
    static let view = RowSamples.view([.scalar(.float64)])

    static func packed(_ number: Double) throws -> [UInt8] {
        var bytes: [UInt8] = []
        let order = RowOrder(epoch: 0, eventTime: nil, position: 0)
        try RowEncoder(view: view).encode(key: RowSamples.key, order: order, values: [.float64(number)], into: &bytes)
        return Array(bytes[(RowFormat.minimumRowBytes + 1)...])
    }

    static func unpacked(_ bytes: [UInt8]) throws -> Double? {
        let row = try RowDecoder(view: view).decode(ForgedRow.make(view, payload: [0] + bytes), key: RowSamples.key)
        guard case .float64(let number) = row.values.first else { return nil }
        return number
    }

    static let decimals: [(Double, [UInt8])] = [
        (0.0, [0, 0]), (1, [0, 2]), (-1, [0, 1]), (12.5, [1, 0xfa, 1]), (-0.07, [2, 13]), (0.1, [1, 2]),
        (1e-14, [14, 2]), (100, [0, 0xc8, 1]), (0x1p48 - 1, [0, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]),
    ]
    static let others: [Double] = [
        -0.0, .nan, .signalingNaN, .infinity, -.infinity, .pi, 0.1 + 0.2, 1e-15, 0x1p48, 1e300,
        .leastNonzeroMagnitude,
    ]

    @Test(arguments: decimals)
    func shortDecimalsAreKeptAsDecimals(number: Double, bytes: [UInt8]) throws {
        #expect(try Self.packed(number) == bytes)
    }

    @Test(arguments: others)
    func everythingElseIsKeptRaw(number: Double) throws {
        #expect(try Self.packed(number) == [255] + ForgedRow.bigEndian(number.bitPattern))
    }

    @Test(arguments: SeededGenerator.seeds(8))
    func everyDoubleComesBackAndTheShortestSpellingIsUsed(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<2_000 {
            let number = RowSamples.double(&generator)
            let bytes = try Self.packed(number)
            #expect(try Self.unpacked(bytes)?.bitPattern == number.bitPattern)
            #expect(bytes.count == Self.shortest(number), "\(number)")
        }
    }

    /// Tries every scale, from the definition.
    static func shortest(_ number: Double) -> Int {
        var best = 9
        guard number.isFinite, number != 0 || number.sign == .plus else { return best }
        var power = 1.0
        for _ in 0...14 {
            let digits = (number * power).rounded()
            if abs(digits) < 0x1p53, digits / power == number {
                let zigzag = digits < 0 ? UInt64(-digits) * 2 - 1 : UInt64(digits) * 2
                best = min(best, 1 + ForgedRow.varint(zigzag).count)
            }
            power *= 10
        }
        return best
    }

    @Test func decodersTakeAllDigitsBelowTheLimit() throws {
        let digits = (UInt64(1) << 53 - 1) * 2
        #expect(try Self.unpacked([2] + ForgedRow.varint(digits)) == Double(1 << 53 - 1) / 100)
        #expect(try Self.unpacked([2] + ForgedRow.varint(digits - 1)) == -Double(1 << 53 - 1) / 100)
    }
}
