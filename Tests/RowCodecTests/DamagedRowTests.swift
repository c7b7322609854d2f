import FeatureModel
import RowCodec
import Testing
import TidemarkTesting

struct DamagedRowTests {
    /// One row with every type, and one that is compressed.
    static let rows: [(view: FeatureView, bytes: [UInt8])] = {
        var generator = SeededGenerator(seed: 7)
        let everything = RowSamples.view(RowSamples.allTypes)
        let text = RowSamples.view([.scalar(.string)])
        let values: [[FeatureValue]] = [
            RowSamples.allTypes.map { type in
                var value = RowSamples.value(type, &generator)
                if case .list(let elements) = value { value = .list(Array(elements.prefix(2))) }
                return value
            },
            [.string(String(repeating: "tide mark ", count: 80))],
        ]
        return zip([everything, text], values).map { view, values in
            var bytes: [UInt8] = []
            do {
                try RowEncoder(view: view).encode(
                    key: RowSamples.key, order: RowOrder(epoch: 1, eventTime: 2, position: 3), values: values[...],
                    into: &bytes)
            } catch {
                Issue.record(error)
            }
            return (view, bytes)
        }
    }()

    @Test(arguments: [0, 1])
    func everyTruncationIsAnError(index: Int) throws {
        let (view, bytes) = Self.rows[index]
        let decoder = RowDecoder(view: view)
        _ = try decoder.decode(bytes, key: RowSamples.key)
        for count in 0..<bytes.count {
            #expect(throws: RowCodecError.self) { try decoder.decode(Array(bytes[..<count]), key: RowSamples.key) }
        }
    }

    @Test(arguments: [0, 1])
    func everyFlippedBitIsAnError(index: Int) {
        let (view, bytes) = Self.rows[index]
        let decoder = RowDecoder(view: view)
        for bit in 0..<bytes.count * 8 {
            var damaged = bytes
            damaged[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(throws: RowCodecError.self) { try decoder.decode(damaged, key: RowSamples.key) }
        }
    }

    /// Cut short or changed, but with a check that fits: what the structure itself must catch.
    @Test(arguments: SeededGenerator.seeds(8))
    func forgedPayloadsNeverTrap(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<300 {
            let types = (0..<1 + generator.below(6)).map { _ in generator.pick(RowSamples.allTypes) }
            let view = RowSamples.view(types)
            let values = types.map { generator.chance(0.2) ? .null : RowSamples.value($0, &generator) }
            var bytes: [UInt8] = []
            try RowEncoder(view: view).encode(
                key: RowSamples.key, order: RowOrder(epoch: 0, eventTime: nil, position: 1), values: values[...],
                into: &bytes)
            let flags = bytes[0] & 15
            var payload = Array(bytes[17...])
            for _ in 0..<1 + generator.below(3) {
                switch generator.below(3) {
                case 0: payload = Array(payload.prefix(generator.below(payload.count + 1)))
                case 1 where !payload.isEmpty:
                    payload[generator.below(payload.count)] = generator.pick([0, 127, 128, 255, 1])
                default: payload.append(UInt8(truncatingIfNeeded: generator.next()))
                }
            }
            let forged = ForgedRow.make(view, flags: flags, payload: payload)
            do {
                let row = try RowDecoder(view: view).decode(forged, key: RowSamples.key)
                #expect(zip(row.values, types).allSatisfy { $0.matches($1) })
            } catch {
                #expect([.truncated, .malformed, .tooLarge].contains(error.code), "\(error)")
            }
        }
    }

    @Test func aRowOfAnotherEntityIsRefused() {
        let (view, bytes) = Self.rows[0]
        #expect(throws: RowCodecError(.checkFailed, "")) {
            try RowDecoder(view: view).decode(bytes, key: EntityKey(canonical: "4712"))
        }
    }

    @Test func aRowOfAnotherSchemaIsRefused() {
        let other = RowSamples.view(RowSamples.allTypes, name: "other")
        #expect(throws: RowCodecError(.wrongSchema, "")) {
            try RowDecoder(view: other).decode(Self.rows[0].bytes, key: RowSamples.key)
        }
    }

    @Test func aRowOfAnotherSchemaWithTheSameShortIdIsRefused() throws {
        let (view, bytes) = Self.rows[1]
        let id = UInt16(truncatingIfNeeded: view.schemaFingerprint)
        let twin = try #require(
            (0..<2_000_000).lazy.map { RowSamples.view([.scalar(.string)], name: "v\($0)") }
                .first { UInt16(truncatingIfNeeded: $0.schemaFingerprint) == id })
        #expect(throws: RowCodecError(.checkFailed, "")) {
            try RowDecoder(view: twin).decode(bytes, key: RowSamples.key)
        }
    }
}
