import FeatureModel
import Testing
import TidemarkTesting

@testable import Recommend

@Suite struct ItemTableTests {
    /// Whatever is put in and asked for, a dictionary that keeps the first says the same.
    @Test(arguments: SeededGenerator.seeds(20))
    func itIsLikeADictionary(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        // Few ids meet again and again; far ones and neighbours test where they lie.
        func id(_ generator: inout SeededGenerator) -> EntityKeyValue {
            switch Int.random(in: 0..<6, using: &generator) {
            case 0: .text("t\(Int.random(in: 0..<20, using: &generator))")
            case 1: .bytes([UInt8.random(in: 0..<8, using: &generator)])
            case 2: .integer(Int64.random(in: .min ... .max, using: &generator))
            case 3: .integer([.min, .max, 0, -1][Int.random(in: 0..<4, using: &generator)])
            default: .integer(Int64.random(in: 0..<300, using: &generator) << 20)
            }
        }
        var table = ItemTable(capacity: Int.random(in: 0..<100, using: &generator))
        var model: [EntityKeyValue: Int] = [:]
        for number in 0..<2_000 {
            let id = id(&generator)
            table.insert(id, number)
            if model[id] == nil { model[id] = number }
            try #require(table[id] == model[id])
            let other = self.other(id)
            try #require(table[other] == model[other] && table.contains(other) == (model[other] != nil))
        }
        for (id, number) in model { try #require(table[id] == number) }
    }

    private func other(_ id: EntityKeyValue) -> EntityKeyValue {
        guard case .integer(let number) = id else { return id }
        return .integer(number &+ 1 << 20)
    }

    @Test func ofAListTheFirstPlaceCounts() {
        let table = ItemTable([.integer(7), .text("7"), .integer(7), .integer(8)])
        #expect(table[.integer(7)] == 0 && table[.text("7")] == 1 && table[.integer(8)] == 3)
        #expect(table[.bytes([7])] == nil)
    }
}
