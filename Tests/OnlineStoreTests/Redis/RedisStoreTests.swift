import FeatureModel
import OnlineStore
import RedisClient
import Testing
import TidemarkTesting

@Suite(.enabled(if: RedisServer.isAvailable, "redis-server is not installed"), .timeLimit(.minutes(2)))
struct RedisStoreTests {
    private func rows(_ numbers: Range<Int>, bodyBytes: Int = 8, position: UInt64 = 7) -> [(EntityKey, [UInt8])] {
        numbers.map { number in
            let body = Array("\(number) ".utf8) + Array(repeating: 120, count: bodyBytes)
            return (
                key(number), PackedRow(order: .init(epoch: 0, eventTime: nil, position: position), body: body).bytes
            )
        }
    }

    @Test func rowsComeBackInTheOrderAsked() async throws {
        try await withSession { session, store, _ async throws in
            let rows = rows(0..<1_000)
            let outcomes = try await session.write(RowBatch(rows), in: space, mode: .newest)
            #expect(outcomes == Array(repeating: .created, count: 1_000))
            let asked = [rows[999].0, EntityKey(canonical: "missing"), rows[0].0, rows[999].0]
            #expect(try await store.read(asked, in: space) == [rows[999].1, nil, rows[0].1, rows[999].1])
            #expect(try await store.read([], in: space).isEmpty)
        }
    }

    @Test func batchLargerThanEveryWindowKeepsItsOutcomesInOrder() async throws {
        try await withSession { session, store, _ async throws in
            let half = rows(0..<20_000, bodyBytes: 300).filter { Int($0.0.text).map { $0 % 3 == 0 } ?? false }
            _ = try await session.write(RowBatch(half), in: space, mode: .newest)
            let outcomes = try await session.write(
                RowBatch(rows(0..<20_000, bodyBytes: 300)), in: space, mode: .newest)
            #expect(outcomes == (0..<20_000).map { $0 % 3 == 0 ? .renewed : .created })
            let read = try await store.read((0..<20_000).map { key($0) }, in: space)
            #expect(read.compactMap { $0 } == rows(0..<20_000, bodyBytes: 300).map(\.1))
        }
    }

    @Test func overlappingBatchesGetTheirOwnOutcomes() async throws {
        try await withSession { session, _, _ async throws in
            _ = try await session.write(RowBatch(rows(0..<3_000)), in: space, mode: .newest)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for (base, expected) in [(0, WriteOutcome.renewed), (10_000, .created), (20_000, .created)] {
                    group.addTask {
                        let batch = RowBatch(rows(base..<base + 3_000))
                        let outcomes = try await session.write(batch, in: space, mode: .newest)
                        #expect(outcomes == Array(repeating: expected, count: 3_000))
                    }
                }
                try await group.waitForAll()
            }
        }
    }

    @Test func rowsThatAreNotPackedAreRefused() async throws {
        try await withSession { session, _, _ async throws in
            for (first, count) in [(0x10, 0), (0x10, 1), (0x10, 16), (0x12, 24), (0x20, 30), (0x18, 30)]
                as [(UInt8, Int)]
            {
                let bytes = Array(repeating: first, count: count)
                let batch = RowBatch([(key(1), bytes)])
                #expect(
                    await code { () throws(StoreError) in try await session.write(batch, in: space, mode: .newest) }
                        == .corrupt)
            }
        }
    }

    @Test func everyRowHasAnExpiry() async throws {
        try await withSession { session, store, _ async throws in
            _ = try await session.write(RowBatch(rows(0..<200), ttlMilliseconds: 5_000_000), in: space, mode: .newest)
            for number in 0..<200 {
                let remaining = try #require(try await store.inspect(key(number), in: space)?.remaining)
                #expect(remaining > .seconds(4_000) && remaining <= .seconds(5_000))
            }
            #expect(try await store.inspect(key(200), in: space) == nil)
        }
    }

    @Test func scanFindsEveryRowOfItsSpaceAlone() async throws {
        try await withSession { session, store, server async throws in
            _ = try await session.write(RowBatch(rows(0..<2_500)), in: space, mode: .newest)
            let other = KeySpace(project: "shop", viewKey: "activity", version: 33)
            _ = try await session.write(RowBatch(rows(5_000..<5_500)), in: other, mode: .newest)
            try await server.command("SET", "shop:{a}b}activity:3", "x")
            try await server.command("SET", "shop:{}activity:3", "x")
            var found: [EntityKey] = []
            var cursor: ScanCursor? = .start
            while let from = cursor {
                let page = try await store.scan(space, from: from, limit: 100)
                found += page.keys
                cursor = page.next
            }
            #expect(Set(found) == Set((0..<2_500).map { key($0) }))
            #expect(
                await code { () throws(StoreError) in try await store.scan(space, from: .init(text: "x"), limit: 1) }
                    == .tooLarge)
        }
    }

    @Test func removeCountsWhatWent() async throws {
        try await withSession { session, store, _ async throws in
            _ = try await session.write(RowBatch(rows(0..<500)), in: space, mode: .newest)
            #expect(try await store.remove((400..<600).map { key($0) }, in: space) == 100)
            #expect(try await store.read([key(399), key(400)], in: space).map { $0 == nil } == [false, true])
        }
    }

    @Test func journalKeepsItsNewestEntries() async throws {
        try await withStore { store, _ async throws in
            for number in 0..<10 { try await store.append([UInt8(number), 0, 13, 10], to: "runs", limit: 4) }
            #expect(try await store.entries(of: "runs", limit: 3).map { $0[0] } == [9, 8, 7])
            #expect(try await store.entries(of: "runs", limit: 100).count == 4)
            #expect(try await store.entries(of: "none", limit: 100).isEmpty)
        }
    }

    @Test func collectionHoldsItsLimitAndNoMore() async throws {
        try await withStore { store, _ async throws in
            #expect(try await store.put(["a": [1], "b": [2]], into: "q", limit: 3))
            #expect(try await store.put(["b": [3], "c": [4]], into: "q", limit: 3))
            #expect(try await store.put(["c": [5], "d": [6]], into: "q", limit: 3) == false)
            #expect(try await store.fields(of: "q") == ["a": [1], "b": [3], "c": [4]])
            #expect(try await store.values(of: ["c", "x", "a"], in: "q") == [[4], nil, [1]])
            try await store.removeFields(["a", "x"], from: "q")
            #expect(try await store.fieldCount(of: "q") == 2)
            let many = Dictionary(uniqueKeysWithValues: (0..<20_000).map { ("\($0)", [UInt8(truncatingIfNeeded: $0)]) })
            #expect(try await store.put(many, into: "many", limit: 20_000))
            #expect(try await store.fields(of: "many") == many)
        }
    }

    @Test func documentIsReplacedUnderItsRevisionAlone() async throws {
        try await withStore { store, _ async throws in
            #expect(try await store.document("catalog") == nil)
            #expect(try await store.replaceDocument("catalog", bytes: [1], expecting: 1) == false)
            #expect(try await store.replaceDocument("catalog", bytes: [1], expecting: 0))
            #expect(try await store.replaceDocument("catalog", bytes: [2], expecting: 0) == false)
            #expect(try await store.replaceDocument("catalog", bytes: [2], expecting: 1))
            #expect(try await store.document("catalog") == Document(bytes: [2], revision: 2))
        }
    }

    @Test func controlKeysAreThoseThatTheSchemaTells() async throws {
        try await withSession { session, store, server async throws in
            try await session.advance(space, to: Marker(sequence: 1, bytes: []))
            try await store.append([1], to: "runs", limit: 1)
            _ = try await store.put(["a": [1]], into: "quarantine:activity", limit: 1)
            _ = try await store.replaceDocument("catalog", bytes: [], expecting: 0)
            var keys: Set<String> = []
            for key in try await server.command("KEYS", "*").elements() {
                keys.insert(String(decoding: try key.bytes() ?? [], as: UTF8.self))
            }
            let expected: Set<String> = [
                "shop:!lease:activity", "shop:!token", "shop:!mark:activity:3", "shop:!list:runs",
                "shop:!hash:quarantine:activity", "shop:!doc:catalog",
            ]
            #expect(keys == expected)
            for key in expected {
                let expires = try await server.command("PTTL", key).integer() >= 0
                #expect(expires == (key == "shop:!lease:activity"))
            }
        }
    }

    @Test func closedStoreIsUnavailable() async throws {
        try await withSession { session, store, _ async throws in
            await store.close()
            #expect(await code { () throws(StoreError) in try await store.document("x") } == .unavailable)
            #expect(await code { () throws(StoreError) in try await session.marker(space) } == .sessionLost)
        }
    }

    @Test func configurationErrorsAreMisconfigured() async {
        for url in ["redis+cluster://h", "nonsense", "rediss://h?ca_file=/nonexistent.pem"] {
            #expect(
                await code { () throws(StoreError) in try await RedisStore(configuration: .init(project: "p", url: url))
                } == .misconfigured)
        }
    }
}
