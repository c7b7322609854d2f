import FeatureModel
import NIOCore
import OnlineStore
import RowCodec
import Serving
import Testing
import TidemarkTesting

@Suite(.timeLimit(.minutes(3)))
struct FeatureWriterTests {
    @Test(arguments: WriteHome.available)
    func everyTypeArrives(home: WriteHome) async throws {
        try await home.withStore { store async throws in
            let fixture = PushFixture(store)
            let view = PushFixture.view()
            try await fixture.apply(view)
            let answer = await fixture.write(
                """
                {"driver_id":[1,2],"event_timestamp":["2024-05-01T12:00:00","2024-05-01T12:00:01+00:00"],"created":[null,null],
                 "flag":[true,null],"small":[-5,null],"big":[9007199254740993,null],"thin":[0.5,"NaN"],"wide":[1e-7,null],
                 "word":["a\\u00e9",""],"blob":["AAE=",""],"moment":["2024-05-01T12:00:00.25Z",1714564800],
                 "numbers":[[1,2.0],[]],"place":[[1,2.5],null]}
                """)
            #expect(answer.status == 200 && String(buffer: answer.body) == "null")
            #expect(answer.counts?.created == 2)
            let moment: Int64 = 1_714_564_800_000_000
            #expect(
                try await fixture.values(1, view: view) == [
                    .bool(true), .int32(-5), .int64(9_007_199_254_740_993), .float32(0.5), .float64(1e-7),
                    .string("aé"),
                    .bytes([0, 1]), .timestamp(moment + 250_000), .list([.int64(1), .int64(2)]), .vector([1, 2.5]),
                ])
            let second = try #require(try await fixture.values(2, view: view))
            #expect(second[5] == .string("") && second[7] == .timestamp(moment) && second[8] == .list([]))
            #expect(second[0].isNull && second[9].isNull)
        }
    }

    @Test(arguments: WriteHome.available)
    func theNewerEventWinsWhateverTheOrder(home: WriteHome) async throws {
        try await home.withStore { store async throws in
            let fixture = PushFixture(store)
            let view = PushFixture.view([PushFixture.number()])
            try await fixture.apply(view)
            let first = await fixture.write(#"{"driver_id":[1,1,1],"at":[20,30,10],"score":[2,3,1]}"#)
            #expect(first.counts?.created == 1)
            #expect(try await fixture.values(1, view: view) == [.int64(3)], "of one entity's rows the latest counts")
            #expect(await fixture.write(#"{"driver_id":[1],"at":[29],"score":[9]}"#).counts?.older == 1)
            #expect(await fixture.write(#"{"driver_id":[1],"at":[30],"score":[4]}"#).counts?.replaced == 1)
            #expect(await fixture.write(#"{"driver_id":[1],"at":[30],"score":[4]}"#).counts?.renewed == 1)
            #expect(try await fixture.values(1, view: view) == [.int64(4)])
        }
    }

    /// Pushes and a sync write the same entities at once; no reader ever sees an event time go back.
    @Test(arguments: WriteHome.available)
    func pushesAndASyncAtOnceNeverTurnBack(home: WriteHome) async throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        print("FeatureWriter seed \(seed)")
        try await home.withStore { store async throws in
            let fixture = PushFixture(store)
            let view = PushFixture.view([PushFixture.number()])
            try await fixture.apply(view)
            let lease = try #require(try await store.acquireLease("stats", owner: "sync", duration: .seconds(600)))
            let session = try await store.openSession(lease)
            let keys = (1...3).compactMap { EntityKey([.integer($0)]) }
            let encoder = RowEncoder(view: view)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for writer in 0..<3 {
                    group.addTask {
                        var random = SeededGenerator(seed: seed &+ UInt64(writer))
                        for _ in 0..<60 {
                            let times = (0..<3).map { _ in Int.random(in: 1...1_000, using: &random) }
                            let answer = await fixture.write(
                                #"{"driver_id":[1,2,3],"at":\#(times),"score":\#(times)}"#)
                            #expect(answer.status == 200, "\(String(buffer: answer.body))")
                        }
                    }
                }
                group.addTask {
                    var random = SeededGenerator(seed: seed &- 1)
                    for position in 1...200 {
                        var batch = RowBatch()
                        for key in keys {
                            let time = Int64.random(in: 1...1_000, using: &random)
                            let order = RowOrder(
                                epoch: UInt16(position / 100), eventTime: time * 1_000_000, position: UInt64(position))
                            try batch.append(key, ttlMilliseconds: 60_000) { (bytes) throws(RowCodecError) in
                                try encoder.encode(key: key, order: order, values: [.int64(time)], into: &bytes)
                            }
                        }
                        _ = try await session.write(batch, in: PushFixture.space, mode: .newest)
                    }
                }
                group.addTask {
                    var last = [Int64](repeating: .min, count: keys.count)
                    var lastEpoch = [UInt16](repeating: 0, count: keys.count)
                    for _ in 0..<300 {
                        for (index, row) in try await store.read(keys, in: PushFixture.space).enumerated() {
                            guard let row else { continue }
                            let order = try RowDecoder.order(of: row)
                            // A new epoch of the source may go back behind what an earlier one wrote.
                            if order.epoch > lastEpoch[index] { last[index] = .min }
                            lastEpoch[index] = max(order.epoch, lastEpoch[index])
                            let time = order.eventTime ?? .min
                            #expect(time >= last[index], "seed \(seed)")
                            last[index] = max(time, last[index])
                        }
                    }
                }
                try await group.waitForAll()
            }
            for id in 1...3 {
                let key = try #require(EntityKey([.integer(Int64(id))]))
                let row = try #require(try await store.read([key], in: PushFixture.space)[0])
                let order = try RowDecoder.order(of: row)
                let values = try await fixture.values(Int64(id), view: view)
                #expect(values == [.int64((order.eventTime ?? 0) / 1_000_000)], "value and time are of one row")
            }
        }
    }

    @Test
    func everySyncedVersionIsWrittenAndThoseThatDoNotFitAreCounted() async throws {
        let store = MemoryStore()
        let fixture = PushFixture(store)
        let first = PushFixture.view([PushFixture.number()])
        try await fixture.apply(first)
        let wider = PushFixture.view([PushFixture.number(), PushFixture.number("rank")])
        try await CatalogFixture(store: store).fill(wider, activating: false)
        let narrow = await fixture.write(#"{"driver_id":[1],"at":[1],"score":[5]}"#)
        #expect(narrow.counts?.created == 1 && narrow.counts?.skippedVersions == 1)
        #expect(try await fixture.values(1, view: first) == [.int64(5)])
        #expect(try await fixture.values(1, view: wider, version: 2) == nil)
        try await CatalogFixture(store: store).fill(first, activating: false)
        #expect(await fixture.write(#"{"driver_id":[1],"at":[2],"score":[6]}"#).counts?.skippedVersions == 0)
        #expect(try await fixture.values(1, view: first, version: 3) == [.int64(6)])
    }

    @Test(arguments: WriteHome.available)
    func anErasedEntityStaysErased(home: WriteHome) async throws {
        try await home.withStore { store async throws in
            let fixture = PushFixture(store)
            let view = PushFixture.view([PushFixture.number()])
            try await fixture.apply(view)
            let erasures = Erasures(store, project: "shop")
            let key = try #require(EntityKey([.integer(1)]))
            try await erasures.add([erasures.digest(key, entity: "driver")], entity: "driver", at: 1)
            let answer = await fixture.write(#"{"driver_id":[1,2],"at":[1,1],"score":[5,6]}"#)
            #expect(answer.counts?.erased == 1 && answer.counts?.created == 1)
            #expect(try await fixture.values(1, view: view) == nil)
            #expect(try await fixture.values(2, view: view) == [.int64(6)])
        }
    }

    @Test
    func aFrameOfNothingWritesNothing() async throws {
        let store = MemoryStore()
        let fixture = PushFixture(store)
        try await fixture.apply(PushFixture.view([PushFixture.number()]))
        for frame in ["{}", #"{"driver_id":[]}"#, #"{"driver_id":[null],"at":[null],"score":[null]}"#] {
            let answer = await fixture.write(frame)
            #expect(answer.status == 200 && answer.counts == WriteCounts())
        }
    }

    @Test
    func moreWritesThanAllowedAreRefusedNotQueued() async throws {
        let fixture = PushFixture(MemoryStore(), concurrency: 0)
        let answer = await fixture.write("{}")
        #expect(answer.status == 503 && answer.retryAfterSeconds == 1)
    }

    @Test
    func aWriteThatIsLateBeforeItBeginsWritesNothing() async throws {
        let store = MemoryStore()
        let fixture = PushFixture(store)
        let view = PushFixture.view([PushFixture.number()])
        try await fixture.apply(view)
        let answer = await fixture.routes.write(
            .init(string: #"{"feature_view_name":"stats","df":{"driver_id":[1],"at":[1],"score":[5]}}"#),
            deadline: .now - .seconds(1))
        #expect(answer.status == 504)
        #expect(try await fixture.values(1, view: view) == nil)
    }
}
