import FeatureModel
import OnlineStore
import Testing

// Sessions, fencing and markers.
extension StoreConformance {
    @Test(arguments: StoreHome.available)
    func aSessionKnowsItsLeaseAndEndsWhenClosed(home: StoreHome) async throws {
        try await home.withStore { store async throws in
            let space = Self.uniqueSpace()
            let lease = try #require(
                await store.acquireLease(Self.uniqueName(), owner: "a", duration: .seconds(600)))
            let session = try await store.openSession(lease)
            let other = try await store.openSession(lease)
            #expect(session.lease == lease)
            await session.close()
            await session.close()
            let batch = try RowBatch([(Self.entity(1), RowSample(value: 1))])
            await expectCode(.sessionLost) { _ = try await session.write(batch, in: space, mode: .newest) }
            await expectCode(.sessionLost) { _ = try await session.marker(space) }
            await expectCode(.sessionLost) { try await session.advance(space, to: Marker(sequence: 1, bytes: [])) }
            #expect(try await other.write(batch, in: space, mode: .newest) == [.created])
            #expect(try await store.row(Self.entity(1), in: space)?.value == 1)
        }
    }

    @Test(arguments: StoreHome.available.filter { $0.loseSessions != nil })
    func aLostSessionStaysLostAndAnotherCanBeOpened(home: StoreHome) async throws {
        try await home.withStore { store async throws in
            let space = Self.uniqueSpace()
            let session = try await Self.openSession(store)
            try await session.advance(space, to: Marker(sequence: 1, bytes: [1]))
            try await home.loseSessions?(store)
            let batch = try RowBatch([(Self.entity(1), RowSample(value: 1))])
            await expectCode(.sessionLost) { _ = try await session.write(batch, in: space, mode: .newest) }
            await expectCode(.sessionLost) { try await session.advance(space, to: Marker(sequence: 2, bytes: [2])) }
            await expectCode(.sessionLost) { _ = try await session.marker(space) }
            let next = try await store.openSession(session.lease)
            #expect(try await next.marker(space) == Marker(sequence: 1, bytes: [1]))
            #expect(try await next.write(batch, in: space, mode: .newest) == [.created])
            await expectCode(.sessionLost) { _ = try await session.write(batch, in: space, mode: .newest) }
        }
    }

    @Test(arguments: StoreHome.available)
    func aMarkerAdvancesByOneFromWhereItIs(home: StoreHome) async throws {
        try await home.withStore { store async throws in
            let space = Self.uniqueSpace()
            let session = try await Self.openSession(store)
            #expect(try await session.marker(space) == nil)
            for sequence in [0, 2, -1, Int64.max] {
                await expectCode(.markerMoved) {
                    try await session.advance(space, to: Marker(sequence: sequence, bytes: []))
                }
            }
            #expect(try await session.marker(space) == nil)
            let first = Marker(sequence: 1, bytes: [0, 255, 10, 13])
            try await session.advance(space, to: first)
            #expect(try await session.marker(space) == first)
            for sequence in [0, 1, 3] as [Int64] {
                await expectCode(.markerMoved) {
                    try await session.advance(space, to: Marker(sequence: sequence, bytes: [9]))
                }
            }
            #expect(try await session.marker(space) == first)
            let second = Marker(sequence: 2, bytes: [UInt8](repeating: 7, count: 5_000))
            try await session.advance(space, to: second)
            try await session.advance(space, to: Marker(sequence: 3, bytes: []))
            #expect(try await session.marker(space) == Marker(sequence: 3, bytes: []))
        }
    }

    @Test(arguments: StoreHome.available)
    func whoeverHasAnOlderLeaseIsFenced(home: StoreHome) async throws {
        try await home.withStore { store async throws in
            let space = Self.uniqueSpace()
            let key = Self.entity(1)
            let name = Self.uniqueName()
            let old = try #require(await store.acquireLease(name, owner: "a", duration: .seconds(600)))
            let zombie = try await store.openSession(old)
            try await zombie.advance(space, to: Marker(sequence: 1, bytes: [1]))
            _ = try await zombie.write(key, RowSample(position: 5, value: 1), in: space)
            try await store.releaseLease(old)
            let new = try #require(await store.acquireLease(name, owner: "b", duration: .seconds(600)))
            let session = try await store.openSession(new)

            await expectCode(.fenced) { try await zombie.advance(space, to: Marker(sequence: 2, bytes: [2])) }
            for mode in [WriteMode.newest, .repair] {
                await expectCode(.fenced) {
                    _ = try await zombie.write(key, RowSample(position: 9, value: 2), in: space, mode: mode)
                }
            }
            #expect(try await store.row(key, in: space)?.value == 1)

            #expect(try await session.marker(space) == Marker(sequence: 1, bytes: [1]))
            try await session.advance(space, to: Marker(sequence: 2, bytes: [3]))
            let repaired = try await session.write(key, RowSample(position: 5, value: 3), in: space, mode: .repair)
            #expect(repaired == .replaced)
            await expectCode(.fenced) { try await zombie.advance(space, to: Marker(sequence: 3, bytes: [2])) }
            #expect(try await session.marker(space) == Marker(sequence: 2, bytes: [3]))
        }
    }

    @Test(arguments: StoreHome.available)
    func aLeaseOfAnotherNameFencesNobody(home: StoreHome) async throws {
        try await home.withStore { store async throws in
            let space = Self.uniqueSpace()
            let session = try await Self.openSession(store)
            _ = try await Self.openSession(store)
            try await session.advance(space, to: Marker(sequence: 1, bytes: [1]))
            let outcome = try await session.write(Self.entity(1), RowSample(value: 1), in: space, mode: .repair)
            #expect(outcome == .created)
        }
    }

    @Test(arguments: StoreHome.available)
    func ofManyWhoAdvanceTheSameMarkerOneGetsThrough(home: StoreHome) async throws {
        try await home.withStore { store async throws in
            let space = Self.uniqueSpace()
            let session = try await Self.openSession(store)
            let winners = try await withThrowingTaskGroup(of: Int.self) { group in
                for number in 0..<8 {
                    group.addTask {
                        let mine = try await store.openSession(session.lease)
                        do {
                            try await mine.advance(space, to: Marker(sequence: 1, bytes: [UInt8(number)]))
                            return 1
                        } catch let error as StoreError where error.code == .markerMoved {
                            return 0
                        }
                    }
                }
                return try await group.reduce(0, +)
            }
            #expect(winners == 1)
            #expect(try await session.marker(space)?.sequence == 1)
        }
    }
}
