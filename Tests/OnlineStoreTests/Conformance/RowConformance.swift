import FeatureModel
import OnlineStore
import RowCodec
import Testing
import TidemarkTesting

// Reading, removing and scanning rows, and keeping spaces apart.
extension StoreConformance {
    @Test(arguments: StoreHome.available)
    func readAnswersInTheOrderAskedWithNilForMisses(home: StoreHome) async throws {
        try await home.withStore { store async throws in
            let space = Self.uniqueSpace()
            let session = try await Self.openSession(store)
            #expect(try await store.read([], in: space).isEmpty)
            #expect(try await store.read([Self.entity(1)], in: space) == [nil])
            let rows = (1...3).map { (Self.entity($0), RowSample(value: Int64($0))) }
            #expect(
                try await session.write(RowBatch(rows), in: space, mode: .newest)
                    == [.created, .created, .created])
            let asked = [3, 9, 1, 3, 2].map(Self.entity)
            let answer = try await store.read(asked, in: space)
            let expected = try asked.map { key in try rows.first { $0.0 == key }.map { try $0.1.packed(key) } }
            #expect(answer == expected)
        }
    }

    @Test(arguments: StoreHome.available)
    func anEmptyBatchHasNoOutcomes(home: StoreHome) async throws {
        try await home.withStore { store async throws in
            let session = try await Self.openSession(store)
            for mode in [WriteMode.newest, .repair, .compare] {
                #expect(try await session.write(RowBatch(), in: Self.uniqueSpace(), mode: mode).isEmpty)
            }
        }
    }

    @Test(arguments: StoreHome.available)
    func manyRowsInOneCallComeBackEachUnderItsKey(home: StoreHome) async throws {
        try await home.withStore { store async throws in
            let space = Self.uniqueSpace()
            let session = try await Self.openSession(store)
            let rows = (0..<3_000).map { (Self.entity($0), RowSample(value: Int64($0))) }
            for mode in [WriteMode.newest, .repair] {
                let outcomes = try await session.write(RowBatch(rows), in: space, mode: mode)
                let expected: WriteOutcome = if case .newest = mode { .created } else { .renewed }
                #expect(outcomes == [WriteOutcome](repeating: expected, count: rows.count))
            }
            let answer = try await store.read(rows.map(\.0), in: space)
            #expect(answer == (try rows.map { try $0.1.packed($0.0) }))
        }
    }

    @Test(arguments: StoreHome.available)
    func keysOfEverySpellingAreKeptApart(home: StoreHome) async throws {
        try await home.withStore { store async throws in
            let space = Self.uniqueSpace()
            let session = try await Self.openSession(store)
            let longest = String(repeating: "x", count: EntityKey.maximumBytes)
            let texts = [
                "", "a", "A", "a b", "*", "?", "[a]", "a{b}", "a\0", "ü", "🦆", "a,b", "%", "a/b@c.d~-_", longest,
            ]
            let keys = try texts.map { try #require(EntityKey([.text($0)])) }
            let rows = keys.enumerated().map { ($0.element, RowSample(value: Int64($0.offset))) }
            _ = try await session.write(RowBatch(rows), in: space, mode: .newest)
            #expect(try await store.read(keys, in: space) == (try rows.map { try $0.1.packed($0.0) }))
            #expect(try await store.scanAll(space, limit: 4) == Set(keys))
            #expect(try await store.remove([keys[4]], in: space) == 1)
            #expect(try await store.scanAll(space, limit: 4).count == keys.count - 1)
        }
    }

    @Test(arguments: StoreHome.available)
    func largeRowsAreKept(home: StoreHome) async throws {
        try await home.withStore { store async throws in
            let space = Self.uniqueSpace()
            let session = try await Self.openSession(store)
            let view = FeatureView(
                name: "v", entity: Entity(name: "e", keys: [.init(name: "id", type: .int64)]),
                source: ViewSource(
                    from: "s", query: "", watermark: .tracked(TrackedTable(table: "t", keyColumns: ["id"]))),
                every: .seconds(1), ttl: .seconds(1), sweep: .seconds(1),
                features: [Feature(name: "noise", type: .scalar(.bytes))])
            var generator = SeededGenerator(seed: 1)
            let noise = (0..<RowFormat.maximumRowBytes - 64).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
            var batch = RowBatch()
            try batch.append(Self.entity(1), ttlMilliseconds: 60_000) { bytes throws(RowCodecError) in
                try RowEncoder(view: view).encode(
                    key: Self.entity(1), order: RowOrder(epoch: 0, eventTime: nil, position: 1),
                    values: [.bytes(noise)], into: &bytes)
            }
            #expect(try await session.write(batch, in: space, mode: .newest) == [.created])
            #expect(try await store.read([Self.entity(1)], in: space) == [Array(batch.row(0))])
        }
    }

    @Test(arguments: StoreHome.available)
    func projectsViewsAndVersionsDontSeeEachOther(home: StoreHome) async throws {
        try await home.withStore { store async throws in
            let session = try await Self.openSession(store)
            let one = Self.uniqueName()
            let spaces = [
                KeySpace(project: one, viewKey: "v", version: 1), KeySpace(project: one, viewKey: "v", version: 11),
                KeySpace(project: one, viewKey: "v", version: 2), KeySpace(project: one, viewKey: "vv", version: 1),
                KeySpace(project: one + "a", viewKey: "v", version: 1),
            ]
            let keys = [Self.entity(1), Self.entity(11)]
            for (index, space) in spaces.enumerated() {
                #expect(try await store.read(keys, in: space) == [nil, nil])
                #expect(try await session.marker(space) == nil)
                let rows = keys.map { ($0, RowSample(value: Int64(index))) }
                #expect(try await session.write(RowBatch(rows), in: space, mode: .newest) == [.created, .created])
                try await session.advance(space, to: Marker(sequence: 1, bytes: [UInt8(index)]))
            }
            #expect(try await store.remove(keys, in: spaces[0]) == 2)
            for (index, space) in spaces.enumerated() {
                #expect(try await store.row(keys[1], in: space)?.value == (index == 0 ? nil : Int64(index)))
                #expect(try await store.scanAll(space, limit: 10) == (index == 0 ? [] : Set(keys)))
                #expect(try await session.marker(space)?.bytes == [UInt8(index)])
            }
        }
    }

    @Test(arguments: StoreHome.available)
    func removeTakesRowsAwayWithoutATombstoneAndCountsThem(home: StoreHome) async throws {
        try await home.withStore { store async throws in
            let space = Self.uniqueSpace()
            let session = try await Self.openSession(store)
            #expect(try await store.remove([], in: space) == 0)
            _ = try await session.write(Self.entity(1), RowSample(position: 9, value: 1), in: space)
            _ = try await session.write(Self.entity(2), RowSample(position: 9, value: nil), in: space)
            let asked = [1, 2, 3].map(Self.entity)
            #expect(try await store.remove(asked, in: space) == 2)
            #expect(try await store.remove(asked, in: space) == 0)
            #expect(try await store.read(asked, in: space) == [nil, nil, nil])
            #expect(try await store.inspect(Self.entity(1), in: space) == nil)
            #expect(try await store.scanAll(space, limit: 10) == [])
            // Nothing remembers the order of what was removed.
            let older = try await session.write(Self.entity(1), RowSample(position: 1, value: 1), in: space)
            #expect(older == .created)
        }
    }

    @Test(arguments: StoreHome.available)
    func tombstonesAreRowsThatCanBeReadAndListed(home: StoreHome) async throws {
        try await home.withStore { store async throws in
            let space = Self.uniqueSpace()
            let session = try await Self.openSession(store)
            let key = Self.entity(7)
            let tombstone = RowSample(position: 2, value: nil)
            _ = try await session.write(key, RowSample(position: 1, value: 5), in: space)
            #expect(try await session.write(key, tombstone, in: space) == .replaced)
            #expect(try await store.row(key, in: space) == tombstone)
            #expect(try await store.inspect(key, in: space)?.bytes == tombstone.packed(key))
            #expect(try await store.scanAll(space, limit: 10) == [key])
            #expect(try await session.write(key, RowSample(position: 1, value: 5), in: space) == .older)
            #expect(try await session.write(key, RowSample(position: 3, value: 5), in: space) == .replaced)
        }
    }

    @Test(arguments: StoreHome.available)
    func aScanFindsEveryRowThatStaysDuringThePass(home: StoreHome) async throws {
        try await home.withStore { store async throws in
            let space = Self.uniqueSpace()
            let session = try await Self.openSession(store)
            #expect(try await store.scanAll(space, limit: 7) == [])
            let staying = (0..<500).map(Self.entity)
            let leaving = (1_000..<1_200).map(Self.entity)
            let all = (staying + leaving).map { ($0, RowSample(value: 1)) }
            _ = try await session.write(RowBatch(all), in: space, mode: .newest)
            #expect(try await store.scanAll(space, limit: 7) == Set(staying + leaving))
            #expect(try await store.scanAll(space, limit: 100_000) == Set(staying + leaving))

            var found: Set<EntityKey> = []
            var cursor = ScanCursor.start
            for round in 0..<10_000 {
                let page = try await store.scan(space, from: cursor, limit: 10)
                found.formUnion(page.keys)
                guard let next = page.next else { break }
                cursor = next
                // Others come, go and change meanwhile.
                if round < 200 {
                    _ = try await store.remove([leaving[round]], in: space)
                    let rows = [Self.entity(5_000 + round), staying[round]].map {
                        ($0, RowSample(position: 2, value: 2))
                    }
                    _ = try await session.write(RowBatch(rows), in: space, mode: .newest)
                }
            }
            #expect(found.isSuperset(of: staying))
        }
    }

    @Test(arguments: StoreHome.available)
    func aClosedStoreIsUnavailable(home: StoreHome) async throws {
        try await home.withStore { store async throws in
            #expect(try await store.diagnose().allSatisfy { !$0.check.isEmpty && !$0.text.isEmpty })
            #expect(try await store.usedBytes() ?? 0 >= 0)
            await store.close()
            await expectCode(.unavailable) { _ = try await store.read([Self.entity(1)], in: Self.uniqueSpace()) }
            await expectCode(.unavailable) { _ = try await store.document("any") }
        }
    }
}
