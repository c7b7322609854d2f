import FeatureModel
import OnlineStore
import Synchronization
import Testing
import TidemarkTesting

/// What the memory store does beyond the conformance suite: time by hand, limits, faults.
@Suite(.timeLimit(.minutes(1)))
struct MemoryStoreTests {
    let clock = ManualClock()
    let space = KeySpace(project: "shop", viewKey: "users", version: 1)
    let key = EntityKey(canonical: "1")

    private func makeStore(_ limits: MemoryStore.Limits = .init(), wallSeconds: Int64 = 1_000) -> MemoryStore {
        MemoryStore(limits: limits, now: { [clock] in clock.now }, wallSeconds: { wallSeconds })
    }

    private func openSession(_ store: MemoryStore) async throws -> any StoreSession {
        let lease = try #require(await store.acquireLease("writer", owner: "a", duration: .seconds(60)))
        return try await store.openSession(lease)
    }

    @Test func rowsExpireToTheInstant() async throws {
        let store = makeStore()
        let session = try await openSession(store)
        _ = try await session.write(key, RowSample(value: 1), in: space, ttl: .seconds(10))
        clock.advance(by: .seconds(4))
        #expect(try await store.inspect(key, in: space)?.remaining == .seconds(6))
        clock.advance(by: .seconds(6) - .nanoseconds(1))
        #expect(try await store.scan(space, from: .start, limit: 9).keys == [key])
        #expect(try await store.inspect(key, in: space)?.remaining == .nanoseconds(1))
        clock.advance(by: .nanoseconds(1))
        #expect(try await store.scan(space, from: .start, limit: 9).keys == [])
        #expect(try await store.read([key], in: space) == [nil])
        #expect(try await store.usedBytes() == Int64("writera".utf8.count))
    }

    @Test func leasesExpireToTheInstant() async throws {
        let store = makeStore()
        let lease = try #require(await store.acquireLease("l", owner: "a", duration: .seconds(10)))
        clock.advance(by: .seconds(9))
        #expect(try await store.renewLease(lease, duration: .seconds(10)))
        clock.advance(by: .seconds(10) - .nanoseconds(1))
        #expect(try await store.acquireLease("l", owner: "b", duration: .seconds(1)) == nil)
        clock.advance(by: .nanoseconds(1))
        #expect(try await store.leaseHolder("l") == nil)
        #expect(try await !store.renewLease(lease, duration: .seconds(10)))
        #expect(try await store.acquireLease("l", owner: "b", duration: .seconds(1))?.token == lease.token + 1)
    }

    @Test func theRowLimitHoldsAndExpiredRowsMakeRoom() async throws {
        let store = makeStore(.init(rows: 2))
        let session = try await openSession(store)
        let keys = (1...3).map { EntityKey(canonical: "\($0)") }
        _ = try await session.write(keys[0], RowSample(value: 1), in: space, ttl: .seconds(5))
        _ = try await session.write(keys[1], RowSample(value: 1), in: space, ttl: .seconds(50))
        await expectCode(.writesRefused) { _ = try await session.write(keys[2], RowSample(value: 1), in: space) }
        #expect(try await session.write(keys[1], RowSample(position: 2, value: 2), in: space) == .replaced)
        clock.advance(by: .seconds(5))
        #expect(try await session.write(keys[2], RowSample(value: 1), in: space) == .created)
        #expect(try await store.scanAll(space, limit: 1) == [keys[1], keys[2]])
    }

    @Test func theByteLimitHoldsForRowsAndDocuments() async throws {
        let store = makeStore(.init(bytes: 950))
        let session = try await openSession(store)
        #expect(try await store.replaceDocument("d", bytes: [UInt8](repeating: 0, count: 800), expecting: 0))
        await expectCode(.writesRefused) {
            _ = try await store.replaceDocument("d", bytes: [UInt8](repeating: 0, count: 951), expecting: 1)
        }
        _ = try await session.write(key, RowSample(value: 1), in: space)
        await expectCode(.writesRefused) {
            _ = try await session.write(EntityKey(canonical: "2"), RowSample(value: 1), in: space)
        }
        await expectCode(.writesRefused) {
            try await store.append([UInt8](repeating: 0, count: 200), to: "j", limit: 3)
        }
        await expectCode(.writesRefused) {
            _ = try await store.put(["f": [UInt8](repeating: 0, count: 200)], into: "c", limit: 3)
        }
        #expect(try await store.replaceDocument("d", bytes: [], expecting: 1))
        #expect(try await session.write(EntityKey(canonical: "2"), RowSample(value: 1), in: space) == .created)
    }

    @Test func nothingIsLeakedWhenAllIsTakenAway() async throws {
        let store = makeStore()
        let session = try await openSession(store)
        let before = try #require(await store.usedBytes())
        for round in 0..<300 {
            let keys = (0..<5).map { EntityKey(canonical: "\(round * 3 + $0)") }
            _ = try await session.write(
                RowBatch(keys.map { ($0, RowSample(position: UInt64(round), value: 1)) }), in: space, mode: .newest)
            _ = try await store.remove(keys, in: space)
            #expect(try await store.put(["f\(round)": [1, 2, 3]], into: "c", limit: 5))
            try await store.removeFields(["f\(round)"], from: "c")
        }
        #expect(try await store.usedBytes() == before)
    }

    @Test func aLossTakesEverythingButTokensStillGrow() async throws {
        let store = makeStore()
        let session = try await openSession(store)
        _ = try await session.write(key, RowSample(value: 1), in: space)
        try await session.advance(space, to: Marker(sequence: 1, bytes: []))
        #expect(try await store.replaceDocument("d", bytes: [1], expecting: 0))
        store.loseEverything()
        await expectCode(.sessionLost) { _ = try await session.marker(space) }
        #expect(try await store.read([key], in: space) == [nil])
        #expect(try await store.document("d") == nil)
        #expect(try await store.leaseHolder("writer") == nil)
        #expect(try await store.usedBytes() == 0)
        let next = try await openSession(store)
        #expect(next.lease.token > session.lease.token)
        #expect(try await next.marker(space) == nil)
    }

    @Test func aRestartFromAnOlderDumpForgetsWhatCameAfterIt() async throws {
        let store = makeStore()
        let session = try await openSession(store)
        _ = try await session.write(key, RowSample(position: 1, value: 1), in: space)
        try await session.advance(space, to: Marker(sequence: 1, bytes: [1]))
        let dump = store.snapshot()
        _ = try await session.write(key, RowSample(position: 2, value: 2), in: space)
        try await session.advance(space, to: Marker(sequence: 2, bytes: [2]))
        store.restore(dump)
        await expectCode(.sessionLost) { _ = try await session.write(key, RowSample(value: 1), in: space) }
        let next = try await store.openSession(session.lease)
        #expect(try await next.marker(space) == Marker(sequence: 1, bytes: [1]))
        #expect(try await store.row(key, in: space)?.value == 1)
        clock.advance(by: .seconds(3_600))
        #expect(try await store.row(key, in: space) == nil, "a dump keeps when rows expire")
    }

    @Test func failuresThatWereAskedForHappenAndEnd() async throws {
        let store = makeStore()
        store.failNext(2, .deadlineExceeded)
        await expectCode(.deadlineExceeded) { _ = try await store.read([key], in: space) }
        await expectCode(.deadlineExceeded) { _ = try await store.document("d") }
        #expect(try await store.read([key], in: space) == [nil])
    }

    @Test func aHookStrikesBeforeOrAfterTheEffect() async throws {
        let store = makeStore()
        let session = try await openSession(store)
        let moment = Mutex(MemoryStore.Moment.before)
        let seen = Mutex<[MemoryStore.Operation]>([])
        store.setFaultHook { operation, now throws(StoreError) in
            seen.withLock { $0.append(operation) }
            guard operation == .write, now == moment.withLock({ $0 }) else { return }
            throw StoreError(.unavailable, "struck")
        }
        await expectCode(.unavailable) { _ = try await session.write(key, RowSample(value: 1), in: space) }
        #expect(try await store.read([key], in: space) == [nil])
        moment.withLock { $0 = .after }
        await expectCode(.unavailable) { _ = try await session.write(key, RowSample(value: 1), in: space) }
        #expect(try await store.row(key, in: space)?.value == 1)
        store.setFaultHook(nil)
        #expect(try await session.write(key, RowSample(value: 1), in: space) == .renewed)
        #expect(seen.withLock { $0 } == [.write, .read, .read, .write, .write, .read, .read])
    }

    @Test func aHookMayLoseTheStore() async throws {
        let store = makeStore()
        let session = try await openSession(store)
        store.setFaultHook { [weak store] operation, moment in
            if operation == .advance, moment == .before { store?.loseEverything() }
        }
        await expectCode(.sessionLost) { try await session.advance(space, to: Marker(sequence: 1, bytes: [])) }
    }

    @Test func bytesThatAreNotARowAreRefused() async throws {
        let store = makeStore()
        let session = try await openSession(store)
        var batch = RowBatch()
        batch.append(key, ttlMilliseconds: 1_000) { $0 += [1, 2, 3] }
        await expectCode(.corrupt) { _ = try await session.write(batch, in: space, mode: .newest) }
        #expect(try await store.read([key], in: space) == [nil])
    }

    @Test func aForeignScanCursorIsRefused() async throws {
        let store = makeStore()
        await expectCode(.corrupt) { _ = try await store.scan(space, from: ScanCursor(text: "x"), limit: 1) }
    }
}
