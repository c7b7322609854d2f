import FeatureModel
import FoundationEssentials
import GRPCCore
import OnlineStore
import Serving
import ServingGRPC
import ServingProtos
import SwiftProtobuf
import Telemetry
import Testing
import TidemarkTesting

/// What callers get: values of every type, honest words, and the same answers as HTTP's path.
@Suite(.timeLimit(.minutes(2)))
struct ValueTests {
    private static let values: [FeatureValue] =
        [
            .bool(true), .int32(-7), .int64(1 << 60), .float32(0.85), .float64(0.1), .string("ä\"€"), .bytes([0, 255]),
            .timestamp(-1_500_000),
        ] + [
            .list([.bool(true), .bool(false)]), .list([.int32(.min)]), .list([.int64(.max), .int64(0)]),
            .list([.float32(.infinity)]), .list([.float64(-0.5)]), .list([.string(""), .string("b")]),
            .list([.bytes([1])]), .list([.timestamp(2_999_999)]),
        ] + [.vector([1, -2, 0.5])]

    @Test(arguments: StoreKind.here)
    func valuesOfEveryTypeCome(_ kind: StoreKind) async throws {
        try await kind.with { store async throws in
            let rows = Rows(store: store)
            try await rows.apply()
            try await rows.put(Rows.everything, [.integer(1)], Self.values)
            let empty = Rows.everything.features.map { feature -> FeatureValue in
                if case .list = feature.type { .list([]) } else { .null }
            }
            try await rows.put(Rows.everything, [.integer(2)], empty)
            try await GRPCFixture.with(store) { fixture async throws in
                let answer = try await fixture.features.lookup(
                    .with {
                        $0.service = "all"
                        $0.keys["user_id"] = .with { $0.integers.values = [1, 2] }
                    })
                #expect(answer.features == Rows.everything.features.map { "everything:\($0.name)" })
                #expect(answer.versions == ["everything": 1])
                #expect(answer.rows.count == 2)
                let first = answer.rows[0]
                #expect(first.statuses.isEmpty && first.ages.isEmpty)
                #expect(first.values.map(\.kind) == Self.tidemarkKinds)
                #expect(answer.rows[1].values[8].list == Tidemark_V1_Value.List())
                #expect(answer.rows[1].values[0].kind == nil && answer.rows[1].statuses[0] == .nullValue)
                let feast = try await fixture.feast.getOnlineFeatures(
                    .with {
                        $0.featureService = "all"
                        $0.entities["user_id"] = .with { $0.val = [1, 2].map { id in .with { $0.int64Val = id } } }
                    })
                #expect(feast.metadata.featureNames.val == ["user_id"] + Rows.everything.features.map(\.name))
                #expect(feast.results.dropFirst().map { $0.values[0].val } == Self.feastValues)
                #expect(feast.results[9].values[1].val == .boolListVal(.init()))
                #expect(feast.results[0].values.map(\.int64Val) == [1, 2])
                #expect(feast.results[1].values[1].val == nil && feast.results[1].statuses == [.present, .nullValue])
                let page = fixture.serving.metrics.registry.render(.prometheus)
                // Of both answers: 17 values and 8 empty lists each, and what is null.
                for (status, count) in [("PRESENT", 50), ("NULL_VALUE", 18)] {
                    let line = #"tidemark_lookup_values_total{view="everything",status="\#(status)"} \#(count)"#
                    #expect(page.contains("\(line)\n"), "\(page)")
                }
            }
        }
    }

    private static let tidemarkKinds: [Tidemark_V1_Value.OneOf_Kind?] = [
        .bool(true), .int32(-7), .int64(1 << 60), .float32(0.85), .float64(0.1), .string("ä\"€"),
        .bytes(Data([0, 255])),
        .timestamp(
            .with {
                $0.seconds = -2
                $0.nanos = 500_000_000
            }),
        list(.bool(true), .bool(false)), list(.int32(.min)), list(.int64(.max), .int64(0)), list(.float32(.infinity)),
        list(.float64(-0.5)), list(.string(""), .string("b")), list(.bytes(Data([1]))),
        list(
            .timestamp(
                .with {
                    $0.seconds = 2
                    $0.nanos = 999_999_000
                })), .vector(.with { $0.values = [1, -2, 0.5] }),
    ]

    private static func list(_ kinds: Tidemark_V1_Value.OneOf_Kind...) -> Tidemark_V1_Value.OneOf_Kind {
        .list(.with { $0.values = kinds.map { kind in .with { $0.kind = kind } } })
    }

    private static let feastValues: [Feast_Types_Value.OneOf_Val?] = [
        .boolVal(true), .int32Val(-7), .int64Val(1 << 60), .floatVal(0.85), .doubleVal(0.1), .stringVal("ä\"€"),
        .bytesVal(Data([0, 255])), .unixTimestampVal(-2), .boolListVal(.with { $0.val = [true, false] }),
        .int32ListVal(.with { $0.val = [.min] }), .int64ListVal(.with { $0.val = [.max, 0] }),
        .floatListVal(.with { $0.val = [.infinity] }), .doubleListVal(.with { $0.val = [-0.5] }),
        .stringListVal(.with { $0.val = ["", "b"] }), .bytesListVal(.with { $0.val = [Data([1])] }),
        .unixTimestampListVal(.with { $0.val = [2] }), .floatListVal(.with { $0.val = [1, -2, 0.5] }),
    ]

    @Test func everyStatusHasItsWord() async throws {
        let store = MemoryStore()
        let rows = Rows(store: store)
        try await rows.apply()
        let now: Int64 = 4_000_000_000_000_000
        try await rows.put(Rows.activity, [.integer(1)], [.int64(3), .string("view")], eventTime: now)
        try await rows.put(Rows.activity, [.integer(2)], [.null, .null], eventTime: now)
        try await rows.put(Rows.activity, [.integer(3)], [.int64(3), .string("old")], eventTime: 5_250_000)
        try await GRPCFixture.with(store) { fixture async throws in
            let names = ["activity:views", "activity:last"]
            let answer = try await fixture.lookup(names, users: [1, 2, 3, 4], ages: true)
            #expect(
                answer.rows.map(\.statuses) == [
                    [], [.defaulted, .nullValue], [.defaulted, .outsideMaxAge], [.defaulted, .notFound],
                ])
            #expect(answer.rows.map { $0.values[0].int64 } == [3, 7, 7, 7])
            #expect(answer.rows.map { $0.values[1].string } == ["view", "", "", ""])
            #expect(answer.rows[0].ages[0] < 0 && answer.rows[2].ages[0] > 1e9 && answer.rows[3].ages[1].isNaN)
            #expect(!answer.hasDegraded)
            let feast = try await fixture.feast.getOnlineFeatures(
                GRPCFixture.feastQuestion(names, users: [1, 2, 3, 4]))
            #expect(feast.results[1].statuses == [.present, .present, .present, .present])
            #expect(feast.results[2].statuses == [.present, .nullValue, .outsideMaxAge, .notFound])
            #expect(feast.results[0].eventTimestamps == Array(repeating: .init(), count: 4))
            #expect(feast.results[1].eventTimestamps[0].seconds == now / 1_000_000)
            #expect(
                feast.results[2].eventTimestamps[2]
                    == .with {
                        $0.seconds = 5
                        $0.nanos = 250_000_000
                    })
            #expect(feast.results[2].eventTimestamps[3] == .init())
        }
        try await GRPCFixture.with(store) {
            $0.imitatesFeast = true
        } _: { fixture async throws in
            let feast = try await fixture.feast.getOnlineFeatures(
                GRPCFixture.feastQuestion(["activity:last"], users: [1, 2, 3, 4]))
            #expect(feast.results[1].statuses == Array(repeating: .present, count: 4))
            #expect(feast.results[1].values.map(\.stringVal) == ["view", "", "old", ""])
        }
    }

    @Test func namesVersionsAndInfoAreFeasts() async throws {
        let store = MemoryStore()
        let rows = Rows(store: store)
        try await rows.apply()
        try await rows.put(Rows.prices, [.integer(1), .text("a,b")], [.float64(9.5), .int64(2)])
        try await GRPCFixture.with(store) { fixture async throws in
            var question = GRPCFixture.feastQuestion(
                ["prices:price", "activity:views", "prices:views"], users: [1], items: ["a,b"], fullNames: true)
            question.includeFeatureViewVersionMetadata = true
            question.requestContext["item"] = question.entities.removeValue(forKey: "item")
            question.entities["unused"] = .init()
            let answer = try await fixture.feast.getOnlineFeatures(question)
            #expect(
                answer.metadata.featureNames.val
                    == ["user_id", "item", "prices__price", "activity__views", "prices__views"])
            #expect(answer.metadata.featureViewMetadata.map(\.name) == ["prices", "activity"])
            #expect(answer.metadata.featureViewMetadata.map(\.version) == [1, 1])
            #expect(
                answer.results.map { $0.values[0].val } == [
                    .int64Val(1), .stringVal("a,b"), .doubleVal(9.5), .int64Val(7), .int64Val(2),
                ])
            let info = try await fixture.feast.getFeastServingInfo(.init())
            #expect(info.version == "1.2.3")
        }
    }

    @Test(arguments: StoreKind.here, SeededGenerator.seeds(1))
    func randomLookupsAreWhatThePathOfHTTPSays(_ kind: StoreKind, _ seed: UInt64) async throws {
        var generator = SeededGenerator(seed: seed)
        var users: [(id: Int64, values: [FeatureValue], time: Int64)] = []
        for user in Int64(0)..<40 where generator.chance(0.7) {
            let last: FeatureValue = generator.chance(0.3) ? .null : .string("v\(generator.below(1_000))")
            let time: Int64 = generator.chance(0.5) ? 4_000_000_000_000_000 : 1
            users.append((user, [.int64(Int64(generator.below(1_000_000))), last], time))
        }
        let questions = (0..<60).map { _ in (0...generator.below(50)).map { _ in Int64(generator.below(50)) } }
        let names = ["activity:last", "activity:views"]
        try await kind.with { store async throws in
            let rows = Rows(store: store)
            try await rows.apply()
            for user in users {
                try await rows.put(Rows.activity, [.integer(user.id)], user.values, eventTime: user.time)
            }
            let catalog = try #require(try await ServingCatalog.read(from: store, project: "shop"))
            let plan = try catalog.plan(features: try names.map { try FeatureReference.parse($0) })
            try await GRPCFixture.with(store) { fixture async throws in
                for users in questions {
                    let answer = try await fixture.lookup(names, users: users)
                    let entities = try EntityColumns(users.map { ["user_id": .integer($0)] })
                    let wanted = try await FeatureLookup(store).lookup(
                        plan, entities: entities, now: 3_000_000_000_000_000)
                    #expect(answer.rows.count == users.count, "TIDEMARK_SEED=\(seed)")
                    for (row, wanted) in zip(answer.rows, wanted.rows) {
                        #expect(row.values[1].int64 == Self.number(wanted[1].value), "TIDEMARK_SEED=\(seed)")
                        #expect(row.values[0].string == Self.text(wanted[0].value), "TIDEMARK_SEED=\(seed)")
                        let isWhole = wanted.allSatisfy { $0.status == .present }
                        #expect(row.statuses.isEmpty == isWhole)
                    }
                }
            }
        }
    }

    private static func number(_ value: FeatureValue) -> Int64 {
        if case .int64(let number) = value { number } else { 0 }
    }

    private static func text(_ value: FeatureValue) -> String { if case .string(let text) = value { text } else { "" } }
}
