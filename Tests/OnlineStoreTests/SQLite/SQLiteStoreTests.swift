import FeatureModel
import Foundation
import LocalDatabase
import OnlineStore
import Synchronization
import Testing
import TidemarkTesting

/// What the SQLite store does beyond the conformance suite: time by hand, files, limits.
@Suite(.timeLimit(.minutes(2)))
struct SQLiteStoreTests {
    /// Milliseconds since 1970, moved by hand.
    private final class Hand: Sendable {
        private let value = Mutex<Int64>(1_750_000_000_000)
        var now: Int64 { value.withLock { $0 } }
        func advance(_ milliseconds: Int64) { value.withLock { $0 += milliseconds } }
        var options: SQLiteStore.Options { SQLiteStore.Options(now: { self.now }) }
    }

    private let space = KeySpace(project: "shop", viewKey: "users", version: 1)
    private let key = EntityKey(canonical: "1")

    private func open(
        _ folder: String, _ options: SQLiteStore.Options = .init(), name: String = "store.db"
    ) async throws -> SQLiteStore {
        try await SQLiteStore(path: folder + "/" + name, project: "shop", options: options)
    }

    private func openSession(_ store: SQLiteStore, _ name: String = "writer") async throws -> any StoreSession {
        let lease = try #require(await store.acquireLease(name, owner: "a", duration: .seconds(60)))
        return try await store.openSession(lease)
    }

    private func count(_ folder: String) async throws -> Int64 {
        let raw = try await LocalDatabase(.init(path: folder + "/store.db", access: .readOnly))
        let rows = try await raw.run { connection in try connection.rows("SELECT count(*) FROM rows") }
        await raw.close()
        guard case .integer(let count)? = rows.first?.first else { return -1 }
        return count
    }

    @Test func everythingOutlivesTheProcessAndIsSeenByOthers() async throws {
        try await withTemporaryFolder { folder async throws in
            let first = try await open(folder)
            let second = try await open(folder)
            let session = try await openSession(first)
            _ = try await session.write(key, RowSample(value: 7), in: space)
            try await session.advance(space, to: Marker(sequence: 1, bytes: [1]))
            #expect(try await second.row(key, in: space)?.value == 7)
            #expect(try await second.acquireLease("writer", owner: "b", duration: .seconds(1)) == nil)
            #expect(try await second.replaceDocument("d", bytes: [1], expecting: 0))
            #expect(try await first.document("d")?.bytes == [1])
            await first.close()
            await second.close()
            let third = try await open(folder)
            let next = try await third.openSession(session.lease)
            #expect(try await next.marker(space) == Marker(sequence: 1, bytes: [1]))
            #expect(try await third.row(key, in: space)?.value == 7)
            let other = try await SQLiteStore(path: folder + "/store.db", project: "other")
            #expect(try await other.document("d") == nil)
            #expect(try await other.leaseHolder("writer") == nil)
            await other.close()
            await third.close()
        }
    }

    @Test func rowsAndLeasesExpireToTheMillisecond() async throws {
        try await withTemporaryFolder { folder async throws in
            let hand = Hand()
            let store = try await open(folder, hand.options)
            let session = try await openSession(store)
            #expect(session.lease.token == 1_750_000_000)
            _ = try await session.write(key, RowSample(value: 1), in: space, ttl: .seconds(10))
            hand.advance(9_999)
            #expect(try await store.inspect(key, in: space)?.remaining == .milliseconds(1))
            hand.advance(1)
            #expect(try await store.inspect(key, in: space) == nil)
            #expect(try await store.scan(space, from: .start, limit: 9).keys == [])
            hand.advance(49_999)
            #expect(try await store.leaseHolder("writer") == session.lease)
            hand.advance(1)
            #expect(try await store.leaseHolder("writer") == nil)
            // Time that steps back takes no token back.
            hand.advance(-3_600_000)
            try await store.releaseLease(session.lease)
            let next = try #require(await store.acquireLease("writer", owner: "b", duration: .seconds(1)))
            #expect(next.token == session.lease.token + 1)
            await store.close()
        }
    }

    @Test func expiredRowsArePurgedBySlicesOfWrites() async throws {
        try await withTemporaryFolder { folder async throws in
            let hand = Hand()
            let store = try await open(folder, hand.options)
            let session = try await openSession(store)
            let mortal = (0..<2_000).map { (EntityKey(canonical: "\($0)"), RowSample(value: 1)) }
            _ = try await session.write(try RowBatch(mortal, ttl: .seconds(1)), in: space, mode: .newest)
            hand.advance(1_000)
            #expect(try await store.scan(space, from: .start, limit: 10).keys.isEmpty)
            var left: [Int64] = []
            for number in 0..<6 {
                _ = try await session.write(
                    EntityKey(canonical: "x\(number)"), RowSample(value: 1), in: space, ttl: .seconds(900))
                left.append(try await count(folder))
            }
            #expect(left.last == 6, "\(left)")
            #expect(zip(left, left.dropFirst()).allSatisfy { $0 - $1 <= 512 })
            await store.close()
        }
    }

    @Test func aFullDiskRefusesWritesAndServesReads() async throws {
        try await withTemporaryFolder { folder async throws in
            let store = try await open(folder, .init(maximumBytes: 400_000))
            let session = try await openSession(store)
            var written: [EntityKey] = []
            var refusal: StoreError?
            for page in 0..<200 where refusal == nil {
                let rows = (0..<100).map { (EntityKey(canonical: "\(page)-\($0)"), RowSample(value: 1)) }
                do {
                    _ = try await session.write(try RowBatch(rows), in: space, mode: .newest)
                    written += rows.map(\.0)
                } catch let error as StoreError {
                    refusal = error
                }
            }
            #expect(refusal?.code == .writesRefused && refusal?.isRetryable == true)
            #expect(!written.isEmpty)
            #expect(try await store.read(written, in: space).allSatisfy { $0 != nil })
            #expect(try await store.scanAll(space, limit: 1_000) == Set(written), "the batch refused left nothing")
            await store.close()
            let larger = try await open(folder)
            let again = try await openSession(larger, "other")
            #expect(try await again.write(key, RowSample(value: 1), in: space) == .created)
            await larger.close()
        }
    }

    @Test func filesThatAreNoStoresAreRefusedAndLeftAlone() async throws {
        try await withTemporaryFolder { folder async throws in
            func refusal(_ name: String) async -> StoreError? {
                do {
                    await (try open(folder, name: name)).close()
                    return nil
                } catch {
                    return error as? StoreError
                }
            }
            let foreign = try await LocalDatabase(.init(path: folder + "/foreign.db", setup: "CREATE TABLE t(a)"))
            await foreign.close()
            #expect(await refusal("foreign.db")?.code == .misconfigured)
            let marked = try await LocalDatabase(.init(path: folder + "/marked.db", setup: "PRAGMA application_id = 7"))
            await marked.close()
            #expect(await refusal("marked.db")?.code == .misconfigured)

            await (try open(folder)).close()
            let newer = try await LocalDatabase(.init(path: folder + "/store.db", setup: "PRAGMA user_version = 2"))
            await newer.close()
            let error = await refusal("store.db")
            #expect(error?.code == .misconfigured && error?.detail.contains("schema 2") == true)

            try Data(repeating: 65, count: 5_000).write(to: URL(fileURLWithPath: folder + "/noise.db"))
            #expect(await refusal("noise.db")?.code == .corrupt)
            #expect(try Data(contentsOf: URL(fileURLWithPath: folder + "/noise.db")).count == 5_000)
            #expect(await refusal("missing/store.db")?.code == .misconfigured)
            try FileManager.default.createDirectory(atPath: folder + "/dir.db", withIntermediateDirectories: true)
            #expect(await refusal("dir.db")?.code == .misconfigured)
        }
    }

    @Test func aFileTakenAwayEndsSessionsAndTheStoreGoesOnEmpty() async throws {
        try await withTemporaryFolder { folder async throws in
            let store = try await open(folder)
            let session = try await openSession(store)
            try await session.advance(space, to: Marker(sequence: 1, bytes: []))
            for name in ["store.db", "store.db-wal", "store.db-shm"] {
                try? FileManager.default.removeItem(atPath: folder + "/" + name)
            }
            let batch = try RowBatch([(key, RowSample(value: 1))])
            await expectCode(.sessionLost) { _ = try await session.write(batch, in: space, mode: .newest) }
            await expectCode(.sessionLost) { try await session.advance(space, to: Marker(sequence: 2, bytes: [])) }
            let next = try await openSession(store)
            #expect(try await next.marker(space) == nil)
            #expect(next.lease.token >= session.lease.token)
            #expect(try await next.write(batch, in: space, mode: .newest) == [.created])
            await store.close()
        }
    }

    @Test func aLockedFileIsUnavailableWithinTheTimeoutAndStillRead() async throws {
        try await withTemporaryFolder { folder async throws in
            let store = try await open(folder, .init(timeout: .milliseconds(50)))
            let session = try await openSession(store)
            _ = try await session.write(key, RowSample(value: 1), in: space)
            let other = try await LocalDatabase(.init(path: folder + "/store.db"))
            try await other.run { connection in try connection.execute("BEGIN IMMEDIATE") }
            let batch = try RowBatch([(key, RowSample(position: 2, value: 2))])
            do {
                _ = try await session.write(batch, in: space, mode: .newest)
                Issue.record("a locked file was written")
            } catch let error as StoreError {
                #expect(error.code == .unavailable || error.code == .deadlineExceeded)
            }
            #expect(try await store.row(key, in: space)?.value == 1)
            try await other.run { connection in try connection.execute("COMMIT") }
            #expect(try await session.write(batch, in: space, mode: .newest) == [.replaced])
            await other.close()
            await store.close()
        }
    }

    /// Copies the files at every moment between two calls, as a power cut would leave them.
    @Test func theMarkerIsNeverAheadOfTheRows() async throws {
        try await withTemporaryFolder { folder async throws in
            let store = try await open(folder)
            let session = try await openSession(store)
            for step in 1...40 {
                let rows = (0..<5).map { (EntityKey(canonical: "\(step)-\($0)"), RowSample(value: Int64(step))) }
                _ = try await session.write(try RowBatch(rows), in: space, mode: .newest)
                try copy(folder, "\(step)a")
                try await session.advance(space, to: Marker(sequence: Int64(step), bytes: []))
                try copy(folder, "\(step)b")
            }
            await store.close()
            for step in 1...40 {
                for (suffix, marked) in [("a", step - 1), ("b", step)] {
                    let survivor = try await open(folder, name: "copy-\(step)\(suffix).db")
                    let next = try await survivor.openSession(session.lease)
                    #expect(try await next.marker(space)?.sequence ?? 0 == Int64(marked))
                    #expect(try await survivor.scanAll(space, limit: 1_000).count == step * 5)
                    await survivor.close()
                }
            }
        }
    }

    private func copy(_ folder: String, _ name: String) throws {
        for suffix in ["", "-wal"] {
            try FileManager.default.copyItem(
                atPath: folder + "/store.db" + suffix, toPath: "\(folder)/copy-\(name).db" + suffix)
        }
    }

    @Test func theDoctorLooksAtTheFile() async throws {
        try await withTemporaryFolder { folder async throws in
            let store = try await open(folder)
            let findings = try await store.diagnose()
            #expect(Set(findings.map(\.check)) == ["schema", "journal", "integrity", "writable", "disk"])
            #expect(findings.filter { $0.check != "disk" }.allSatisfy { $0.grade == .good })
            #expect(try await store.usedBytes() ?? 0 > 4_096)
            await store.close()
            #expect(try await open(folder).diagnose().count == 5)
        }
    }

    @Test(.enabled(if: geteuid() != 0, "root may write everywhere"))
    func aFileThatMayNotBeWrittenIsServedAndRefusesWrites() async throws {
        try await withTemporaryFolder { folder async throws in
            let store = try await open(folder)
            let session = try await openSession(store)
            _ = try await session.write(key, RowSample(value: 1), in: space)
            await store.close()
            try FileManager.default.setAttributes([.posixPermissions: 0o444], ofItemAtPath: folder + "/store.db")
            let reader = try await open(folder)
            #expect(try await reader.row(key, in: space)?.value == 1)
            await expectCode(.writesRefused) {
                _ = try await reader.acquireLease("x", owner: "b", duration: .seconds(1))
            }
            #expect(try await reader.diagnose().contains { $0.grade == .bad && $0.check == "writable" })
            await reader.close()
        }
    }
}
