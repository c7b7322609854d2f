import FeatureModel
import RowCodec
import Testing
import TidemarkTesting

struct RoundTripTests {
    @Test(arguments: SeededGenerator.seeds(8))
    func everyRowComesBackToTheBit(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<60 {
            let types = (0..<generator.below(24)).map { _ in generator.pick(RowSamples.allTypes) }
            let view = RowSamples.view(types)
            let encoder = RowEncoder(view: view)
            let decoder = RowDecoder(view: view)
            let order = RowSamples.order(&generator)
            let values = types.map { generator.chance(0.2) ? .null : RowSamples.value($0, &generator) }
            var bytes: [UInt8] = []
            try encoder.encode(key: RowSamples.key, order: order, values: values[...], into: &bytes)
            let row = try decoder.decode(bytes, key: RowSamples.key)
            #expect(row.order == order)
            #expect(!row.isTombstone)
            #expect(RowSamples.areIdentical(row.values, values))
            #expect(try RowDecoder.order(of: bytes) == order)
        }
    }

    @Test(arguments: SeededGenerator.seeds(4))
    func aPickReadsTheSameValues(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<60 {
            let types = (0..<1 + generator.below(20)).map { _ in generator.pick(RowSamples.allTypes) }
            let view = RowSamples.view(types)
            let values = types.map { generator.chance(0.2) ? .null : RowSamples.value($0, &generator) }
            var bytes: [UInt8] = []
            try RowEncoder(view: view).encode(
                key: RowSamples.key, order: RowSamples.order(&generator), values: values[...], into: &bytes)
            let features = (0..<generator.below(8)).map { _ in generator.below(types.count) }
            let pick = try #require(FeaturePick(features, width: types.count))
            let row = try RowDecoder(view: view).decode(bytes, key: RowSamples.key, picking: pick)
            #expect(RowSamples.areIdentical(row.values, features.map { values[$0] }))
        }
    }

    @Test func aPickOutsideTheViewIsRefused() {
        #expect(FeaturePick([0, 2], width: 2) == nil)
        #expect(FeaturePick([-1], width: 2) == nil)
    }

    @Test func aTombstoneHasNoValues() throws {
        let view = RowSamples.view([.scalar(.int64), .scalar(.string)])
        let order = RowOrder(epoch: 3, eventTime: -5, position: 9)
        var bytes: [UInt8] = []
        RowEncoder(view: view).encodeTombstone(key: RowSamples.key, order: order, into: &bytes)
        let row = try RowDecoder(view: view).decode(bytes, key: RowSamples.key)
        #expect(row == DecodedRow(order: order, isTombstone: true, values: []))
        let pick = try #require(FeaturePick([1], width: 2))
        #expect(try RowDecoder(view: view).decode(bytes, key: RowSamples.key, picking: pick) == row)
    }

    @Test func aSliceOfAFlatArrayIsEncodedLikeAnArray() throws {
        let view = RowSamples.view([.scalar(.int64), .scalar(.bool)])
        let flat: [FeatureValue] = [.int64(1), .bool(true), .int64(2), .bool(false)]
        let order = RowOrder(epoch: 0, eventTime: nil, position: 0)
        var both: [UInt8] = []
        var second: [UInt8] = []
        try RowEncoder(view: view).encode(key: RowSamples.key, order: order, values: flat[0..<2], into: &both)
        let firstEnd = both.count
        try RowEncoder(view: view).encode(key: RowSamples.key, order: order, values: flat[2..<4], into: &both)
        try RowEncoder(view: view).encode(
            key: RowSamples.key, order: order, values: [.int64(2), .bool(false)], into: &second)
        #expect(Array(both[firstEnd...]) == second)
    }

    @Test func decodingIntoAnArrayAppends() throws {
        let view = RowSamples.view([.scalar(.int64)])
        var bytes: [UInt8] = []
        let order = RowOrder(epoch: 0, eventTime: nil, position: 0)
        try RowEncoder(view: view).encode(key: RowSamples.key, order: order, values: [.int64(5)], into: &bytes)
        var values: [FeatureValue] = [.bool(true)]
        let header = try RowDecoder(view: view).decode(bytes, key: RowSamples.key, into: &values)
        #expect(header.order == order)
        #expect(values == [.bool(true), .int64(5)])
    }

    @Test(arguments: [
        [FeatureValue.int64(1)], [.int32(1), .int32(1)], [.int64(1), .list([.bool(true), .null])],
        [.int64(1), .list([.list([])])], [.int64(1), .vector([1])], [.int64(1), .list([]), .null],
    ])
    func valuesOfOtherTypesAreRefused(values: [FeatureValue]) {
        let encoder = RowEncoder(view: RowSamples.view([.scalar(.int64), .list(.bool)]))
        var bytes: [UInt8] = [42]
        #expect(throws: RowCodecError(.wrongValue, "")) {
            try encoder.encode(
                key: RowSamples.key, order: RowOrder(epoch: 0, eventTime: nil, position: 0), values: values[...],
                into: &bytes)
        }
        #expect(bytes == [42])
    }

    @Test func aVectorOfAnotherDimensionIsRefused() {
        let encoder = RowEncoder(view: RowSamples.view([.vector(2)]))
        var bytes: [UInt8] = []
        #expect(throws: RowCodecError(.wrongValue, "")) {
            try encoder.encode(
                key: RowSamples.key, order: RowOrder(epoch: 0, eventTime: nil, position: 0),
                values: [.vector([1, 2, 3])], into: &bytes)
        }
    }
}
