import FeatureModel
import Testing

@Suite struct EntityKeyTests {
    /// Symbols that are likely to run into each other: separators, escapes, digits, and what looks like an escape.
    private static let symbols: [[UInt8]] = [
        Array(",".utf8), Array("%".utf8), Array("%2C".utf8), Array("2C".utf8), Array("%25".utf8), Array("{".utf8),
        Array("}".utf8), Array(":".utf8), Array("-".utf8), Array("0".utf8), Array("1".utf8), Array("a".utf8), [0],
        [0xc3, 0xa9], Array("e\u{301}".utf8), [0xf0, 0x9f, 0x9b, 0x92],
    ]

    private func randomText(_ generator: inout SeededGenerator) -> [UInt8] {
        var text: [UInt8] = []
        for _ in 0..<Int.random(in: 0...4, using: &generator) {
            text += Self.symbols[Int.random(in: 0..<Self.symbols.count, using: &generator)]
        }
        return text
    }

    private func randomValue(_ type: EntityKeyType, _ generator: inout SeededGenerator) -> EntityKeyValue {
        switch type {
        case .int32: .integer(Int64(Int32.random(in: .min ... .max, using: &generator)))
        case .int64: .integer(Int64.random(in: -20...20, using: &generator))
        case .string: .text(String(decoding: randomText(&generator), as: UTF8.self))
        case .bytes:
            .bytes(
                Bool.random(using: &generator) ? randomText(&generator) : [UInt8.random(in: 0...255, using: &generator)]
            )
        }
    }

    /// What a database compares: the types' raw content. `String ==` would take `é` and `e\u{301}` for the same.
    private func raw(_ values: [EntityKeyValue]) -> [[UInt8]] {
        values.map { value in
            switch value {
            case .integer(let number): Array(String(number).utf8)
            case .text(let text): Array(text.utf8)
            case .bytes(let bytes): bytes
            }
        }
    }

    @Test func twoDifferentKeysNeverShareASpelling() {
        let seed: UInt64 = 0x7469_6465
        print("seed \(seed)")
        var generator = SeededGenerator(seed: seed)
        var collisions = 0
        var equal = 0
        let shapes: [[EntityKeyType]] = [
            [.string, .string], [.string], [.bytes, .bytes], [.int64, .string], [.string, .int64, .bytes],
        ]
        for round in 0..<1_000_000 {
            let shape = shapes[round % shapes.count]
            let left = shape.map { randomValue($0, &generator) }
            let right = shape.map { randomValue($0, &generator) }
            let isSame = raw(left) == raw(right)
            equal += isSame ? 1 : 0
            if (EntityKey(left)?.text == EntityKey(right)?.text) != isSame { collisions += 1 }
        }
        #expect(collisions == 0)
        #expect(equal > 1_000, "the alphabet is small enough for equal pairs to happen")
    }

    @Test func aSpellingIsReadBackAsItsValues() {
        let seed: UInt64 = 0x6b65_7973
        print("seed \(seed)")
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<50_000 {
            let types = (0..<Int.random(in: 1...8, using: &generator)).map { _ in
                EntityKeyType.allCases[Int.random(in: 0..<EntityKeyType.allCases.count, using: &generator)]
            }
            let values = types.map { randomValue($0, &generator) }
            guard let key = EntityKey(values) else {
                Issue.record("no key for \(values)")
                return
            }
            guard let readBack = key.values(of: types), raw(readBack) == raw(values) else {
                Issue.record("\(key.text) is not read back as \(values)")
                return
            }
        }
    }

    @Test func spellingsAreShortPrintableAndWithoutBraces() {
        let seed: UInt64 = 0x7072_696e
        print("seed \(seed)")
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<50_000 {
            let key = EntityKey([randomValue(.string, &generator), randomValue(.bytes, &generator)])
            let isPlain = key?.text.utf8.allSatisfy { byte in
                (0x21...0x7e).contains(byte) && byte != UInt8(ascii: "{") && byte != UInt8(ascii: "}")
            }
            guard isPlain == true else {
                Issue.record("\(String(describing: key))")
                return
            }
        }
    }

    @Test func theLongestSpellingIsAcceptedAndOneByteMoreRefused() {
        let limit = EntityKey.maximumBytes
        #expect(EntityKey([.text(String(repeating: "a", count: limit))])?.text.utf8.count == limit)
        #expect(EntityKey([.text(String(repeating: "a", count: limit + 1))]) == nil)
        #expect(EntityKey([.text(String(repeating: " ", count: limit / 3))])?.text.utf8.count == limit / 3 * 3)
        #expect(EntityKey([.bytes([UInt8](repeating: 0, count: limit / 3 + 1))]) == nil)
        #expect(EntityKey([.integer(1), .text(String(repeating: "a", count: limit - 1))]) == nil)
        #expect(EntityKey([]) == nil)
    }

    @Test(
        arguments: [
            ("", .int64), ("01", .int64), ("+1", .int64), ("-0", .int64), ("9223372036854775808", .int64),
            ("1,2", .int64),
            ("", .string), ("a b", .string), ("%2c", .string), ("%41", .string), ("%4", .string), ("%%", .string),
            ("a%", .string),
            ("%FF", .string), ("é", .string), ("a}b", .bytes), ("%GG", .bytes),
        ] as [(String, EntityKeyType)])
    func anotherSpellingIsNotRead(_ text: String, _ type: EntityKeyType) {
        #expect(EntityKey(canonical: text).values(of: [type]) == nil)
    }

    @Test func keysSortByTheirBytes() {
        let keys = ["b", "a,1", "a", "a%20", "10", "9"].map { EntityKey(canonical: $0) }
        #expect(keys.sorted().map(\.text) == ["10", "9", "a", "a%20", "a,1", "b"])
    }
}
