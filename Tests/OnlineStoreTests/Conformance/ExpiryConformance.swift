import FeatureModel
import OnlineStore
import Testing

// How long rows live. Real clocks run here, so only bounds are compared; nothing sleeps.
extension StoreConformance {
    static let short = Duration.seconds(1_000)
    static let long = Duration.seconds(1_000_000)

    /// Whether a row lives for `ttl`, less the time a slow test may have taken.
    private static func lives(_ key: EntityKey, in space: KeySpace, _ store: any OnlineStore, _ ttl: Duration)
        async throws
        -> Bool
    {
        guard let remaining = try await store.inspect(key, in: space)?.remaining else { return false }
        return remaining <= ttl && remaining > ttl - .seconds(300)
    }

    @Test(arguments: StoreHome.available)
    func aRowLivesAsLongAsItsTtlSays(home: StoreHome) async throws {
        try await home.withStore { store async throws in
            let space = Self.uniqueSpace()
            let session = try await Self.openSession(store)
            #expect(try await store.inspect(Self.entity(1), in: space) == nil)
            var batch = RowBatch()
            for (number, ttl) in [(1, Self.short), (2, Self.long)] {
                try batch.append(Self.entity(number), ttlMilliseconds: ttl.wholeMilliseconds) { bytes in
                    bytes = try bytes + RowSample(value: 1).packed(Self.entity(number))
                }
            }
            _ = try await session.write(batch, in: space, mode: .newest)
            #expect(try await Self.lives(Self.entity(1), in: space, store, Self.short))
            #expect(try await Self.lives(Self.entity(2), in: space, store, Self.long))
            #expect(
                try await store.inspect(Self.entity(1), in: space)?.bytes == RowSample(value: 1).packed(Self.entity(1)))
        }
    }

    /// What a write with a longer life does to the life of the stored row: event time 1, position 5, value 1.
    @Test(arguments: StoreHome.available)
    func everyWriteButAnOlderOneRenewsTheExpiry(home: StoreHome) async throws {
        let table: [(WriteMode, RowSample, WriteOutcome, Bool)] = [
            (.newest, RowSample(eventTime: 1, position: 5, value: 1), .renewed, true),
            (.newest, RowSample(eventTime: 1, position: 6, value: 1), .renewed, true),
            (.newest, RowSample(eventTime: 1, position: 6, value: 2), .replaced, true),
            (.newest, RowSample(eventTime: 1, position: 5, value: 2), .conflict, true),
            (.newest, RowSample(eventTime: 1, position: 4, value: 1), .older, false),
            (.repair, RowSample(eventTime: 1, position: 5, value: 1), .renewed, true),
            (.repair, RowSample(eventTime: 1, position: 6, value: 2), .replaced, true),
            (.repair, RowSample(eventTime: 1, position: 4, value: 2), .older, false),
            (.compare, RowSample(eventTime: 1, position: 5, value: 1), .renewed, false),
            (.compare, RowSample(eventTime: 1, position: 6, value: 2), .replaced, false),
        ]
        try await home.withStore { store async throws in
            let space = Self.uniqueSpace()
            let session = try await Self.openSession(store)
            for (number, (mode, row, outcome, isRenewed)) in table.enumerated() {
                let key = Self.entity(number)
                let stored = RowSample(eventTime: 1, position: 5, value: 1)
                _ = try await session.write(key, stored, in: space, ttl: Self.short)
                #expect(try await session.write(key, row, in: space, mode: mode, ttl: Self.long) == outcome)
                #expect(
                    try await Self.lives(key, in: space, store, isRenewed ? Self.long : Self.short),
                    "\(mode) \(outcome)")
            }
        }
    }

    @Test(arguments: StoreHome.available)
    func aShorterLifeTakesThePlaceOfALongerOne(home: StoreHome) async throws {
        try await home.withStore { store async throws in
            let space = Self.uniqueSpace()
            let session = try await Self.openSession(store)
            let key = Self.entity(1)
            _ = try await session.write(key, RowSample(value: 1), in: space, ttl: Self.long)
            _ = try await session.write(key, RowSample(value: 1), in: space, ttl: Self.short)
            #expect(try await Self.lives(key, in: space, store, Self.short))
        }
    }

    @Test(arguments: StoreHome.available)
    func anExpiredRowIsGoneForEveryone(home: StoreHome) async throws {
        try await home.withStore { store async throws in
            let space = Self.uniqueSpace()
            let session = try await Self.openSession(store)
            let key = Self.entity(1)
            let other = Self.entity(2)
            _ = try await session.write(other, RowSample(value: 1), in: space)
            _ = try await session.write(key, RowSample(position: 9, value: 1), in: space, ttl: .milliseconds(5))
            #expect(try await Self.becomesTrue { try await store.read([key], in: space) == [nil] })
            #expect(try await store.inspect(key, in: space) == nil)
            #expect(try await store.scanAll(space, limit: 10) == [other])
            #expect(try await store.remove([key], in: space) == 0)
            #expect(
                try await session.write(key, RowSample(position: 1, value: 2), in: space, mode: .compare) == .created)
            #expect(try await session.write(key, RowSample(position: 1, value: 2), in: space) == .created)
            #expect(try await store.row(key, in: space)?.value == 2)
        }
    }
}
