import FeatureModel
import NIOCore
import OnlineStore
import RowCodec
import Testing

/// What readers are told: every value with an honest word, and the JSON body as it is promised.
@Suite(.timeLimit(.minutes(1)))
struct LookupTests {
    private static let user = Entity(name: "user", keys: [.init(name: "user_id", type: .int64)])
    private static let pair = Entity(
        name: "pair", keys: [.init(name: "user_id", type: .int64), .init(name: "item", type: .string)])
    private static let now: Int64 = 1_000_000_000

    private static func view(
        _ name: String, entity: Entity = user, maxAge: Duration? = nil, _ features: [Feature]
    ) -> FeatureView {
        FeatureView(
            name: name, entity: entity,
            source: ViewSource(
                from: "shop", query: "SELECT 1", watermark: .tracked(TrackedTable(table: "t", keyColumns: ["k"]))),
            every: .seconds(60), ttl: .seconds(3_600), maxAge: maxAge, sweep: .seconds(1_800), features: features)
    }

    private static let activity = view(
        "activity", maxAge: .seconds(60),
        [
            Feature(name: "views", type: .scalar(.int64), defaultValue: .int64(0)),
            Feature(name: "last", type: .scalar(.string)),
        ])
    private static let prices = view("prices", entity: pair, [Feature(name: "price", type: .scalar(.float64))])

    private let store = MemoryStore()

    private func put(
        _ view: FeatureView, _ key: [EntityKeyValue], _ values: [FeatureValue]?, eventTime: Int64? = nil
    ) async throws {
        let key = try #require(EntityKey(key))
        let lease = try #require(await store.acquireLease("w", owner: "t", duration: .seconds(60)))
        let session = try await store.openSession(lease)
        let encoder = RowEncoder(view: view)
        let order = RowOrder(epoch: 1, eventTime: eventTime, position: 1)
        var batch = RowBatch()
        try batch.append(key, ttlMilliseconds: 60_000) { bytes throws(RowCodecError) in
            guard let values else { return encoder.encodeTombstone(key: key, order: order, into: &bytes) }
            try encoder.encode(key: key, order: order, values: values[...], into: &bytes)
        }
        _ = try await session.write(batch, in: space(view), mode: .newest)
        await session.close()
        try await store.releaseLease(lease)
    }

    private func space(_ view: FeatureView) -> KeySpace { KeySpace(project: "shop", viewKey: view.key, version: 1) }

    private func plan(_ views: [FeatureView], _ features: [String]) throws -> LookupPlan {
        let references = features.map { name in
            let parts = name.split(separator: ":").map(String.init)
            return FeatureReference(view: parts[0], feature: parts[1])
        }
        return try LookupPlan(
            project: "shop", features: references,
            views: Dictionary(uniqueKeysWithValues: views.map { ($0.name, ($0, 1)) }))
    }

    private func lookup(
        _ views: [FeatureView], _ features: [String], _ entities: [[String: EntityKeyValue]]
    ) async throws -> LookupAnswer {
        let plan = try plan(views, features)
        return try await FeatureLookup(store).lookup(plan, entities: EntityColumns(entities), now: Self.now)
    }

    private func body(
        _ views: [FeatureView], _ features: [String], _ entities: [[String: EntityKeyValue]], ages: Bool = false
    ) async throws -> String {
        var body = ByteBuffer()
        _ = try await FeatureLookup(store).body(
            plan(views, features), entities: EntityColumns(entities), now: Self.now, ages: ages, into: &body)
        return String(buffer: body)
    }

    private static let both = ["activity:views", "activity:last"]

    // MARK: Statuses

    @Test(arguments: [
        // What lies there, and what is said of a feature with a default and of one without.
        ("a row", [.int64(7), .string("x")] as [FeatureValue]?, 0, FeatureStatus.present, FeatureStatus.present),
        ("nulls", [.null, .null], 0, .defaulted, .nullValue), ("nothing", nil, -1, .defaulted, .notFound),
        ("a tombstone", nil, 0, .defaulted, .notFound),
        ("a row at its age's limit", [.int64(7), .string("x")], 60, .present, .present),
        ("a row past it", [.int64(7), .string("x")], 61, .defaulted, .outsideMaxAge),
    ])
    func everyStateHasItsWord(
        _ name: String, _ values: [FeatureValue]?, _ age: Int64, _ first: FeatureStatus, _ second: FeatureStatus
    ) async throws {
        if age >= 0 {
            try await put(Self.activity, [.integer(1)], values, eventTime: Self.now - age * 1_000_000)
        }
        let answer = try await lookup([Self.activity], Self.both, [["user_id": .integer(1)]])
        let row = try #require(answer.rows.first)
        #expect(row.map(\.status) == [first, second])
        let isPresent = first == .present
        #expect(row.map(\.value) == (isPresent ? [.int64(7), .string("x")] : [.int64(0), .null]))
        if values != nil { #expect(row[0].age == .seconds(age)) } else { #expect(row[0].age == nil) }
        #expect(answer.failures.isEmpty)
    }

    @Test func severalViewsAndCompositeKeysAreReadInTheOrderAsked() async throws {
        try await put(Self.activity, [.integer(1)], [.int64(7), .string("x")], eventTime: Self.now)
        try await put(Self.prices, [.integer(1), .text("a,b")], [.float64(2.5)])
        let answer = try await lookup(
            [Self.activity, Self.prices], ["activity:last", "prices:price", "activity:views"],
            [
                ["user_id": .integer(1), "item": .text("a,b")], ["user_id": .integer(1), "item": .text("a")],
                ["user_id": .integer(2), "item": .text("a,b")],
            ])
        #expect(
            answer.rows.map { $0.map(\.value) } == [
                [.string("x"), .float64(2.5), .int64(7)], [.string("x"), .null, .int64(7)], [.null, .null, .int64(0)],
            ])
        #expect(answer.rows[1].map(\.status) == [.present, .notFound, .present])
        #expect(answer.versions == ["activity": 1, "prices": 1])
    }

    @Test func aDamagedRowFailsItsEntityInItsViewAndNothingElse() async throws {
        for user in 1...2 {
            try await put(Self.activity, [.integer(Int64(user))], [.int64(7), .string("x")], eventTime: Self.now)
            try await put(Self.prices, [.integer(Int64(user)), .text("a")], [.float64(2.5)])
        }
        // The row of another entity: whole, but not this one's.
        let plain = Self.view("activity", Self.activity.features)
        let (first, second) = (try #require(EntityKey([.integer(1)])), try #require(EntityKey([.integer(2)])))
        let foreign = try #require(try await store.read([second], in: space(plain)).first ?? nil)
        let lease = try #require(await store.acquireLease("w", owner: "t", duration: .seconds(60)))
        let session = try await store.openSession(lease)
        _ = try await store.remove([first], in: space(plain))
        var batch = RowBatch()
        batch.append(first, ttlMilliseconds: 60_000) { $0 += foreign }
        _ = try await session.write(batch, in: space(plain), mode: .newest)
        await session.close()
        let answer = try await lookup(
            [Self.activity, Self.prices], Self.both + ["prices:price"],
            (1...2).map { ["user_id": .integer(Int64($0)), "item": .text("a")] })
        #expect(answer.rows[0].map(\.status) == [.failed, .failed, .present])
        #expect(answer.rows[0].map(\.value) == [.null, .null, .float64(2.5)], "no default for what is unknown")
        #expect(answer.rows[1].map(\.status) == [.present, .present, .present])
    }

    @Test func aViewThatCantBeReadIsFailedWithItsReason() async throws {
        try await put(Self.prices, [.integer(1), .text("a")], [.float64(2.5)])
        let entities: [[String: EntityKeyValue]] = [["user_id": .integer(1), "item": .text("a")]]
        store.failNext(1, .unavailable)
        let answer = try await lookup(
            [Self.activity, Self.prices], ["activity:views", "prices:price"], entities)
        #expect(answer.rows[0].map(\.status) == [.failed, .present])
        #expect(answer.failures.keys.sorted() == ["activity"])
        store.failNext(1, .unavailable)
        let body = try await body([Self.activity, Self.prices], ["activity:views", "prices:price"], entities)
        #expect(body.contains(#""statuses":["FAILED","PRESENT"]"#))
        #expect(body.contains(#""degraded":{"stage":"store","views":{"activity":"a fault that was asked for"#))
    }

    @Test func whatIsUnknownIsNamedWithTheNearest() async throws {
        func message(_ body: () async throws -> LookupAnswer) async -> String {
            do { return "\(try await body())" } catch { return "\(error)" }
        }
        let entity: [[String: EntityKeyValue]] = [["user_id": .integer(1)]]
        #expect(
            await message { try await lookup([Self.activity], ["activity:view"], entity) }
                == "view activity has no feature view; did you mean views?")
        #expect(
            await message { try await lookup([Self.activity], ["activty:views"], entity) }
                == "there is no view activty; did you mean activity?")
        #expect(
            await message { try await lookup([Self.prices], ["prices:price"], entity) }
                == "entity 0 has no item, a key of pair")
        #expect(await message { try await lookup([Self.activity], [], entity) } == "no features are asked for")
        let long = String(repeating: "x", count: EntityKey.maximumBytes + 1)
        #expect(
            await message {
                try await lookup([Self.prices], ["prices:price"], [["user_id": .integer(1), "item": .text(long)]])
            }.contains("over \(EntityKey.maximumBytes) bytes"))
    }

    // MARK: The body

    @Test func theBodyIsAsPromised() async throws {
        try await put(
            Self.activity, [.integer(1)], [.int64(.max), .string("a\"\\\n\u{1}/ä")], eventTime: Self.now - 1_500_000)
        let entities: [[String: EntityKeyValue]] = [["user_id": .integer(1)], ["user_id": .integer(2)]]
        let row = #"{"values":[9223372036854775807,"a\"\\\n\u0001/ä"]"#
        let none = #"{"values":[0,null],"statuses":["DEFAULTED","NOT_FOUND"]"#
        let head = #"{"features":["activity:views","activity:last"],"rows":["#
        let tail = #"],"versions":{"activity":1}}"#
        #expect(try await body([Self.activity], Self.both, entities) == "\(head)\(row)},\(none)}\(tail)")
        #expect(
            try await body([Self.activity], Self.both, entities, ages: true)
                == "\(head)\(row),\"ages\":[1.5,1.5]},\(none),\"ages\":[null,null]}\(tail)")
    }

    @Test(
        arguments: [
            (.null, "null"), (.bool(true), "true"), (.int32(-5), "-5"), (.int64(.min), "-9223372036854775808"),
            (.float32(0.1), "0.1"), (.float64(1e-7), "1e-07"), (.float64(.nan), "\"NaN\""),
            (.float64(-.infinity), "\"-Infinity\""), (.float32(.infinity), "\"Infinity\""), (.string(""), "\"\""),
            (.string("\t\r\u{7f}\u{2028}😀"), "\"\\t\\r\u{7f}\u{2028}😀\""), (.bytes([]), "\"\""),
            (.bytes([0]), "\"AA==\""), (.bytes([0xff, 0xee]), "\"/+4=\""), (.bytes([1, 2, 3]), "\"AQID\""),
            (.bytes([0xfb, 0xff, 0xbf, 0x10]), "\"+/+/EA==\""),
            (.timestamp(1_291_192_000_123_456), "\"2010-12-01T08:26:40.123456Z\""), (.list([]), "[]"),
            (.list([.string("a"), .string("\"")]), "[\"a\",\"\\\"\"]"), (.vector([1, -0.5]), "[1.0,-0.5]"),
        ] as [(FeatureValue, String)])
    func valuesAreSpelledAsJSON(_ value: FeatureValue, _ text: String) {
        var json = JSONBytes()
        json.value(value)
        #expect(String(decoding: json.bytes, as: UTF8.self) == text)
    }
}
