import FeatureModel
import NIOCore
import OnlineStore
import RowCodec
import Testing
import TidemarkTesting

/// Keys are those that the writers use, and reads ask for them in the promised order.
struct LookupKeysTests {
    @Test(arguments: SeededGenerator.seeds(20))
    func readsNameTheKeysOfTheWriters(seed: UInt64) throws {
        try withSeed(seed) { generator in
            for _ in 0..<50 {
                let sample = try LookupSample(&generator)
                let plan = try sample.plan()
                let keys = try LookupKeys(plan, EntityColumns(sample.entities))
                var expected: [String] = []
                for (part, view) in sample.asked.enumerated() {
                    let entityKeys = try sample.entities.map { try #require(LookupSample.key(view, $0)) }
                    #expect(keys.entityKeys(of: part, in: plan) == entityKeys)
                    let version = (sample.views.firstIndex(of: view) ?? 0) + 1
                    let space = KeySpace(project: "shop", viewKey: view.key, version: version)
                    expected += entityKeys.map(space.rowKey)
                }
                var buffer = ByteBuffer()
                let commands = keys.writeMGET(plan, into: &buffer)
                #expect(try Self.arguments(String(buffer: buffer)) == (expected.isEmpty ? [] : [expected]))
                #expect(commands == (expected.isEmpty ? 0 : 1))
            }
        }
    }

    /// The arguments of MGET commands, by the letter of RESP.
    private static func arguments(_ text: String) throws -> [[String]] {
        var bytes = Array(text.utf8)[...]
        func number(_ mark: Character) throws -> Int {
            try #require(bytes.popFirst() == mark.asciiValue)
            let digits = bytes.prefix { $0 != 13 }
            bytes = bytes.dropFirst(digits.count + 2)
            return try #require(Int(String(decoding: digits, as: UTF8.self)))
        }
        var commands: [[String]] = []
        while !bytes.isEmpty {
            let words = try (0..<number("*")).map { _ in
                let count = try number("$")
                let word = String(decoding: bytes.prefix(count), as: UTF8.self)
                bytes = bytes.dropFirst(count)
                try #require(bytes.prefix(2).elementsEqual([13, 10]))
                bytes = bytes.dropFirst(2)
                return word
            }
            try #require(words.first == "MGET")
            commands.append(Array(words.dropFirst()))
        }
        return commands
    }

    private static func plan(_ types: [EntityKeyType], features: Int = 1) throws -> LookupPlan {
        let keys = types.map { Entity.Key(name: "\($0.rawValue)_key", type: $0) }
        let view = FeatureView(
            name: "v", entity: Entity(name: "e", keys: keys),
            source: ViewSource(
                from: "shop", query: "SELECT 1", watermark: .tracked(TrackedTable(table: "t", keyColumns: ["k"]))),
            every: .seconds(60), ttl: .seconds(3_600), sweep: .seconds(1_800),
            features: [Feature(name: "f", type: .scalar(.int64))])
        let asked = Array(repeating: FeatureReference(view: "v", feature: "f"), count: features)
        return try LookupPlan(project: "shop", features: asked, views: ["v": (view, 7)])
    }

    @Test(arguments: [1, 127, 128, 129, 256, 300])
    func longReadsAreSeveralCommands(_ count: Int) throws {
        let plan = try Self.plan([.int64])
        var columns = EntityColumns()
        columns.add("int64_key", integers: (0..<Int64(count)).map { $0 - 3 })
        let keys = try LookupKeys(plan, columns)
        var buffer = ByteBuffer()
        let commands = keys.writeMGET(plan, into: &buffer)
        let arguments = try Self.arguments(String(buffer: buffer))
        #expect(commands == (count + 127) / 128)
        #expect(arguments.count == commands)
        #expect(arguments.allSatisfy { $0.count <= LookupLimits.keysPerCommand })
        #expect(arguments.flatMap { $0 } == (0..<count).map { "shop:{\($0 - 3)}v:7" })
    }

    private static func message(_ types: [EntityKeyType], _ columns: EntityColumns) -> String {
        do throws(LookupError) {
            let plan = try? plan(types)
            guard let plan else { return "no plan" }
            return "\(try LookupKeys(plan, columns).rowCount) rows"
        } catch {
            return "\(error)"
        }
    }

    @Test func keysOfAnotherTypeAreRefused() throws {
        var numbers = EntityColumns()
        for type in EntityKeyType.allCases { numbers.add("\(type.rawValue)_key", integers: [1, 1 << 40]) }
        #expect(Self.message([.int64], numbers) == "2 rows")
        #expect(Self.message([.int32], numbers) == "entity 1: int32_key is out of the range of an int32")
        #expect(Self.message([.string], numbers) == "string_key is not of its type, string")
        #expect(Self.message([.bytes], numbers) == "bytes_key is not of its type, bytes")
        var texts = EntityColumns()
        for type in EntityKeyType.allCases {
            try texts.add("\(type.rawValue)_key", texts: Array("AAE=12".utf8), ends: [4, 6])
        }
        #expect(Self.message([.string], texts) == "2 rows")
        #expect(Self.message([.int64], texts) == "int64_key is not of its type, int64")
        #expect(Self.message([.bytes], texts) == "entity 1: bytes_key is no Base64 with padding")
        #expect(Self.message([.string, .int64], EntityColumns()) == "0 rows", "no entity at all")
        var others = EntityColumns()
        others.add("other", integers: [1])
        #expect(Self.message([.string, .int64], others) == "entity 0 has no string_key, a key of e")
    }

    @Test func columnsOfUnequalLengthAreRefused() {
        var columns = EntityColumns()
        columns.add("int64_key", integers: [1, 2])
        columns.add("other", integers: [1])
        #expect(Self.message([.int64], columns) == "the key columns have different numbers of values")
        columns = EntityColumns()
        columns.add("other", integers: [1])
        columns.add("int64_key", integers: [1, 2])
        #expect(Self.message([.int64], columns) == "the key columns have different numbers of values")
    }

    @Test func aBytesKeyIsBase64InAText() throws {
        var columns = EntityColumns()
        try columns.add("bytes_key", texts: Array("AAE=".utf8), ends: [4])
        let plan = try Self.plan([.bytes])
        let keys = try LookupKeys(plan, columns)
        #expect(keys.entityKeys(of: 0, in: plan) == [EntityKey(canonical: "%00%01")])
    }

    @Test func whatIsNoTextIsNoColumn() {
        var columns = EntityColumns()
        #expect(throws: LookupError.self) { try columns.add("k", texts: [0x61, 0xc3, 0xa4], ends: [2, 3]) }
        #expect(throws: LookupError.self) { try columns.add("k", texts: [0x61], ends: [1, 0]) }
        #expect(throws: LookupError.self) { try columns.add("k", texts: [0x61], ends: [2]) }
        #expect(throws: LookupError.self) { try columns.add("k", bytes: [0x61], ends: []) }
        #expect(columns.columnCount == 0)
    }

    @Test func aRequestOfTooManyValuesIsRefused() throws {
        let plan = try Self.plan([.int64], features: 8_000)
        let most = LookupLimits.values / 8_000
        var columns = EntityColumns()
        columns.add("int64_key", integers: Array(repeating: 1, count: most))
        #expect(try LookupKeys(plan, columns).rowCount == most)
        columns = EntityColumns()
        columns.add("int64_key", integers: Array(repeating: 1, count: most + 1))
        do throws(LookupError) {
            _ = try LookupKeys(plan, columns)
            Issue.record("it was taken")
        } catch {
            #expect(error.code == .tooLarge)
        }
    }

    @Test func aPlanOfTooManyFeaturesIsRefused() throws {
        _ = try Self.plan([.int64], features: LookupLimits.features)
        #expect(throws: LookupError.self) { try Self.plan([.int64], features: LookupLimits.features + 1) }
    }
}
