import FeatureModel
import OnlineStore
import RedisClient
import Testing
import TidemarkTesting

/// Leases, fences, markers, and servers that fail under a session.
@Suite(.enabled(if: RedisServer.isAvailable, "redis-server is not installed"), .timeLimit(.minutes(2)))
struct RedisSessionTests {
    private let row = PackedRow(order: .init(epoch: 0, eventTime: nil, position: 1), body: [1])

    private func batch(_ count: Int = 1, bodyBytes: Int = 1) -> RowBatch {
        var row = row
        row.body = Array(repeating: 7, count: bodyBytes)
        return RowBatch((0..<count).map { (key($0), row.bytes) })
    }

    private func writeCode(_ session: any StoreSession, _ batch: RowBatch, _ mode: WriteMode = .newest) async
        -> StoreError.Code?
    {
        await code { () throws(StoreError) in try await session.write(batch, in: space, mode: mode) }
    }

    @Test func leaseHasOneHolder() async throws {
        try await withStore { store, server async throws in
            let first = try #require(try await store.acquireLease("v", owner: "a b", duration: .seconds(60)))
            #expect(first.token > 1_700_000_000)
            #expect(try await store.acquireLease("v", owner: "c", duration: .seconds(60)) == nil)
            #expect(try await store.leaseHolder("v") == first)
            let again = try #require(try await store.acquireLease("v", owner: "a b", duration: .seconds(60)))
            #expect(again.token > first.token)
            #expect(try await store.renewLease(first, duration: .seconds(60)) == false)
            #expect(try await store.renewLease(again, duration: .seconds(60)))
            try await store.releaseLease(first)
            #expect(try await store.leaseHolder("v") == again)
            try await store.releaseLease(again)
            #expect(try await store.leaseHolder("v") == nil)
            let next = try await store.acquireLease("v", owner: "c", duration: .seconds(60))
            #expect(next?.token ?? 0 > again.token)
            try await server.command("FLUSHALL")
            #expect(try await store.renewLease(again, duration: .seconds(60)) == false)
            #expect(try await store.acquireLease("v", owner: "d", duration: .seconds(60))?.token ?? 0 > 1_700_000_000)
        }
    }

    @Test func sessionsInARowShareAConnection() async throws {
        // A pass over a view takes a session, and views may be passed over ten times a second each.
        try await withStore { store, server async throws in
            let before = try await server.connectionsReceived()
            for _ in 0..<50 {
                let session = try await session(store, owner: "a")
                _ = try await session.write(batch(), in: space, mode: .newest)
                await session.close()
                #expect(await writeCode(session, batch()) == .sessionLost)
            }
            // At most the shared ones, the session's, and the one that asks.
            #expect(try await server.connectionsReceived() <= before + 4)
        }
    }

    @Test func sessionThatFailedLeavesNoConnection() async throws {
        try await withStore { store, server async throws in
            let fenced = try await session(store, owner: "a")
            _ = try #require(try await store.acquireLease("activity", owner: "a", duration: .seconds(60)))
            #expect(await writeCode(fenced, batch()) == .fenced)
            await fenced.close()
            let before = try await server.connectionsReceived()
            await (try await store.openSession(fenced.lease)).close()
            // The session's, and the one that asks.
            #expect(try await server.connectionsReceived() == before + 2)
        }
    }

    @Test func expiredLeaseIsTakenUpAgainUnlessAnotherTookIt() async throws {
        try await withStore { store, server async throws in
            let lease = try #require(try await store.acquireLease("v", owner: "a", duration: .seconds(60)))
            try await server.command("DEL", "shop:!lease:v")
            #expect(try await store.renewLease(lease, duration: .seconds(60)))
            #expect(try await store.leaseHolder("v") == lease)
            try await server.command("DEL", "shop:!lease:v")
            let other = try #require(try await store.acquireLease("v", owner: "b", duration: .seconds(60)))
            try await server.command("DEL", "shop:!lease:v")
            #expect(try await store.renewLease(lease, duration: .seconds(60)) == false)
            #expect(try await store.renewLease(other, duration: .seconds(60)))
        }
    }

    @Test func olderSessionIsFencedWhereItCouldDoHarm() async throws {
        try await withStore { store, server async throws in
            let old = try await session(store, owner: "a")
            try await old.advance(space, to: Marker(sequence: 1, bytes: [1]))
            try await server.command("DEL", "shop:!lease:activity")
            let new = try await session(store, owner: "b")
            #expect(await writeCode(old, batch(), .repair) == .fenced)
            #expect(
                await code { () throws(StoreError) in try await old.advance(space, to: Marker(sequence: 2, bytes: [])) }
                    == .fenced)
            #expect(await writeCode(old, batch()) == .fenced)
            #expect(try await old.write(batch(), in: space, mode: .compare) == [.created])
            #expect(try await new.write(batch(), in: space, mode: .newest) == [.created])
            #expect(try await new.write(batch(), in: space, mode: .repair) == [.renewed])
            try await new.advance(space, to: Marker(sequence: 2, bytes: [2, 0, 13]))
            #expect(try await old.marker(space) == Marker(sequence: 2, bytes: [2, 0, 13]))
        }
    }

    @Test func markerMovesOneStepAtATime() async throws {
        try await withSession { session, _, _ async throws in
            func advance(_ sequence: Int64) async -> StoreError.Code? {
                await code { () throws(StoreError) in
                    try await session.advance(space, to: Marker(sequence: sequence, bytes: []))
                }
            }
            #expect(try await session.marker(space) == nil)
            #expect(await advance(2) == .markerMoved)
            #expect(await advance(1) == nil)
            #expect(await advance(1) == .markerMoved)
            #expect(await advance(2) == nil)
            #expect(await advance(.min) == .markerMoved)
            let other = KeySpace(project: "shop", viewKey: "activity", version: 4)
            #expect(try await session.marker(other) == nil)
        }
    }

    @Test func scriptFlushInTheMiddleLosesNothing() async throws {
        try await withSession { session, store, server async throws in
            var outcomes: [WriteOutcome] = []
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { for _ in 0..<20 { try await server.command("SCRIPT", "FLUSH") } }
                for round in 0..<20 {
                    var row = row
                    row.order.position = UInt64(round)
                    let batch = RowBatch((0..<1_000).map { (key($0), row.bytes) })
                    outcomes += try await session.write(batch, in: space, mode: .newest)
                }
                try await group.waitForAll()
            }
            #expect(outcomes.prefix(1_000).allSatisfy { $0 == .created })
            #expect(outcomes.dropFirst(1_000).allSatisfy { $0 == .renewed })
            #expect(try await store.read([key(0), key(999)], in: space).compactMap { $0?[10] } == [19, 19])
        }
    }

    @Test func fullServerRefusesWritesAndGoesOnReading() async throws {
        var options = RedisServer.Options()
        options.configuration = ["maxmemory-policy noeviction"]
        try await withSession(options) { session, store, server async throws in
            _ = try await session.write(batch(), in: space, mode: .newest)
            try await server.command("CONFIG", "SET", "maxmemory", "1mb")
            #expect(await writeCode(session, batch(500, bodyBytes: 4_000)) == .writesRefused)
            #expect(
                await code { () throws(StoreError) in try await store.replaceDocument("d", bytes: [], expecting: 0) }
                    == .writesRefused)
            #expect(try await store.read([key(0)], in: space)[0] != nil)
            try await server.command("CONFIG", "SET", "maxmemory", "0")
            // The session is the same: nothing was lost.
            #expect(try await session.write(batch(500, bodyBytes: 4_000), in: space, mode: .repair).count == 500)
        }
    }

    @Test func serverWithoutEnoughReplicasRefusesWrites() async throws {
        try await withSession { session, store, server async throws in
            try await server.command("CONFIG", "SET", "min-replicas-to-write", "1")
            #expect(await writeCode(session, batch()) == .writesRefused)
            #expect(try await store.read([key(0)], in: space) == [nil])
        }
    }

    @Test func demotedMasterRefusesWritesAndLosesItsSessions() async throws {
        try await withSession { session, store, server async throws in
            _ = try await session.write(batch(), in: space, mode: .newest)
            try await server.command("REPLICAOF", "127.0.0.1", "1")
            try await server.command("CONFIG", "SET", "replica-serve-stale-data", "yes")
            #expect(await writeCode(session, batch(2)) == .writesRefused)
            #expect(await writeCode(session, batch(2)) == .sessionLost)
            #expect(try await store.read([key(0)], in: space)[0] != nil)
        }
    }

    @Test(arguments: [RedisServer.Ending.kill, .terminate])
    func sessionEndsWithItsServerAndAnotherOneGoesOn(_ ending: RedisServer.Ending) async throws {
        try await withSession { session, store, server async throws in
            _ = try await session.write(batch(100), in: space, mode: .newest)
            server.stop(ending)
            #expect(await writeCode(session, batch(100)) == .sessionLost)
            #expect(await code { () throws(StoreError) in try await store.document("x") } == .unavailable)
            try server.start(erasing: true)
            #expect(await writeCode(session, batch(100)) == .sessionLost)
            #expect(await code { () throws(StoreError) in try await session.marker(space) } == .sessionLost)
            var next: (any StoreSession)?
            while next == nil {
                // The store's back-off is real; every try is refused until it is over.
                do { next = try await OnlineStoreTests.session(store, owner: "a") } catch let error as StoreError {
                    #expect(error.code == .unavailable)
                }
            }
            #expect(try await next?.marker(space) == nil)
            #expect(
                try await next?.write(batch(100), in: space, mode: .newest) == Array(repeating: .created, count: 100))
        }
    }

    @Test func pausedServerCostsADeadline() async throws {
        try await withSession({ () in RedisServer.Options() }(), { $0.writeTimeout = .milliseconds(50) }) {
            session, _, server in
            server.pause()
            #expect(await writeCode(session, batch()) == .deadlineExceeded)
            server.resume()
        }
    }

    @Test func missingPermissionIsMisconfigured() async throws {
        var options = RedisServer.Options()
        options.configuration = ["user limited on >secret ~shop:* +@all -evalsha -eval"]
        try await RedisServer.with(options) { server in
            var endpoint = server.topology.primary
            (endpoint.user, endpoint.password) = ("limited", "secret")
            let store = try await RedisStore(configuration: patientConfiguration(endpoint))
            let session = try await store.openSession(Lease(name: "v", owner: "a", token: 1))
            #expect(await writeCode(session, batch()) == .misconfigured)
            #expect(try await store.read([key(0)], in: space) == [nil])
            let permissions = try await store.diagnose().first { $0.check == "redis.permissions" }
            #expect(permissions?.grade == .bad)
            #expect(permissions?.text.contains("+evalsha") == true)
            await store.close()
        }
    }

    @Test func newSessionUnderAChangedPasswordIsMisconfigured() async throws {
        try await withSession { session, store, server async throws in
            try await server.command("CONFIG", "SET", "requirepass", "changed")
            let error = await failure { () throws(StoreError) in try await store.openSession(session.lease) }
            #expect(error?.code == .misconfigured)
        }
    }

    @Test func failureTellsNoSecret() async throws {
        var options = RedisServer.Options()
        options.configuration = ["requirepass correct"]
        try await RedisServer.with(options) { server in
            var endpoint = server.topology.primary
            endpoint.password = "hunter2"
            let store = try await RedisStore(configuration: patientConfiguration(endpoint))
            for _ in 0..<3 {
                let error = await failure { () throws(StoreError) in try await store.read([key(0)], in: space) }
                #expect(error?.code == .misconfigured)
                #expect(error.map { "\($0) \(String(reflecting: $0))".contains("hunter2") } == false)
            }
            await store.close()
        }
    }
}
