import Extraction
import FeatureModel
import Testing
import TidemarkTesting

/// Servers that stop, freeze and refuse: each test has one of its own.
@Suite(.serialized, .enabled(if: PostgresServer.isAvailable), .timeLimit(.minutes(5)))
struct PostgresOutageTests {
    private func failure(_ body: () async throws -> Void) async -> ExtractionError? {
        await #expect(throws: ExtractionError.self) { try await body() }
    }

    /// Lends a server and removes it afterwards.
    private func withServer(_ body: (PostgresServer) async throws -> Void) async throws {
        let server = try await PostgresServer.start()
        do {
            try await body(server)
        } catch {
            await server.discard()
            throw error
        }
        await server.discard()
    }

    @Test func restartIsAPauseAndACrashIsABreak() async throws {
        try await withServer { server in
            let shop = try await ShopDatabase(on: server)
            let view = Shop.profile()
            let reader = try await shop.open(view)
            var cursor = try await reader.startCursor()
            var mirror = Mirror(view)
            let first = try await reader.history()
            try await shop.client.run("INSERT INTO users VALUES (1, 'a', 1)")
            try await server.stop()
            let error = await failure { _ = try await reader.readChanges(after: cursor, limit: 5) }
            #expect(error?.code == .unavailable && error?.isRetryable == true)
            #expect(await failure { _ = try await shop.connector.open(view) }?.code == .unavailable)
            try await server.restart()
            cursor = try await mirror.follow(reader, from: cursor)
            #expect(mirror.rows.count == 1)
            #expect(try await reader.history().identity == first.identity)

            let writer = try shop.session()
            try await writer.run("INSERT INTO users VALUES (2, 'b', 2)")
            try await server.stop(immediately: true)
            try await server.restart()
            #expect(try await reader.history().identity != first.identity, "numbers of transactions may come again")
            cursor = try await mirror.follow(reader, from: cursor)
            #expect(mirror.rows.count == 2)
        }
    }

    @Test func olderCopyAndNewTimelineAreBreaks() async throws {
        try await withServer { server in
            let shop = try await ShopDatabase(on: server)
            let reader = try await shop.open(Shop.profile())
            try await shop.client.run("INSERT INTO users VALUES (1, 'a', 1)")
            try await server.stop()
            try await server.saveCopy()
            try await server.restart()
            let other = try shop.session()
            for number in 2...20 { try await other.run("INSERT INTO users VALUES (\(number), 'b', 2)") }
            let before = try await reader.history()
            let cursor = try await reader.startCursor()
            await other.close()

            try await server.stop()
            try await server.restoreCopy(promoted: false)
            try await server.restart()
            let copied = try await reader.history()
            #expect(copied.identity == before.identity)
            #expect(try #require(copied.end) < (try #require(before.end)))
            #expect(await failure { _ = try await reader.readChanges(after: cursor, limit: 5) }?.code == .historyBroken)

            try await server.stop()
            try await server.restoreCopy(promoted: true)
            try await server.restart()
            // The server takes connections before its recovery has ended, and is on the old timeline until then.
            var promoted = try await reader.history()
            for _ in 0..<10_000 where !promoted.identity.contains("timeline:2") {
                promoted = try await reader.history()
            }
            #expect(before.identity.contains("timeline:1") && promoted.identity.contains("timeline:2"))
        }
    }

    @Test func lagHasAnAgeWhereTheServerKeepsCommitTimes() async throws {
        try await withServer { server in
            try await server.stop()
            try await server.set("track_commit_timestamp=on")
            try await server.restart()
            let shop = try await ShopDatabase(on: server)
            let reader = try await shop.open(Shop.profile())
            let cursor = try await reader.startCursor()
            try await shop.client.run("INSERT INTO users VALUES (1, 'a', 1), (2, 'b', 2)")
            let lag = try await reader.lag(behind: cursor)
            #expect(lag.rows == 2)
            #expect(try #require(lag.age) < .seconds(60))
        }
    }

    @Test func sessionKilledInACallIsUnavailableOnce() async throws {
        try await withServer { server in
            let shop = try await ShopDatabase(on: server)
            try await shop.client.run("INSERT INTO users VALUES (1, 'a', 1)")
            let reader = try await shop.open(Shop.profile())
            let holder = try shop.session()
            try await holder.run(all: ["BEGIN", "LOCK TABLE users"])
            let call = Task { try await reader.readEntities([key(1)]) }
            while try await holder.run("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE NOT granted").isEmpty {
                await Task.yield()
            }
            #expect(await failure { _ = try await call.value }?.code == .unavailable)
            try await holder.run("ROLLBACK")
            #expect(try await reader.readEntities([key(1)]).keys == [key(1)])
        }
    }

    @Test func sessionsKilledBetweenCallsAreNotNoticed() async throws {
        try await withServer { server in
            let shop = try await ShopDatabase(on: server)
            let view = Shop.profile()
            let reader = try await shop.open(view)
            var cursor = try await reader.startCursor()
            var mirror = Mirror(view)
            for round in 1...20 {
                try await shop.client.run("INSERT INTO users VALUES (\(round), 'x', \(round))")
                if round % 2 == 0 {
                    try await shop.client.run(
                        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'tidemark' AND pid <> pg_backend_pid()"
                    )
                }
                cursor = try await mirror.follow(reader, from: cursor)
            }
            #expect(mirror.rows.count == 20)
        }
    }

    @Test func frozenServerIsLeftAtTheDeadline() async throws {
        try await withServer { server in
            var options = PostgresOptions()
            options.connectTimeout = .milliseconds(300)
            options.statementTimeout = .milliseconds(500)
            let shop = try await ShopDatabase(on: server, options: options)
            let view = Shop.profile()
            let reader = try await shop.open(view)
            var cursor = try await reader.startCursor()
            try await shop.client.run("INSERT INTO users VALUES (1, 'a', 1)")
            try await server.freeze()
            let started = ContinuousClock.now
            #expect(
                await failure { _ = try await reader.readChanges(after: cursor, limit: 5) }?.code == .deadlineExceeded)
            #expect(await failure { _ = try await reader.readEntities([key(1)]) }?.code == .deadlineExceeded)
            #expect(await failure { _ = try await shop.connector.open(view) }?.code == .deadlineExceeded)
            // One call of 1.5 s and two connects of 0.3 s, with room for a busy machine.
            #expect(ContinuousClock.now - started < .seconds(10))
            try await server.thaw()
            var mirror = Mirror(view)
            cursor = try await mirror.follow(reader, from: cursor)
            #expect(mirror.rows.count == 1)
        }
    }

    @Test func slowStatementsAndLocksEndInTime() async throws {
        try await withServer { server in
            var options = PostgresOptions()
            options.statementTimeout = .milliseconds(400)
            options.lockTimeout = .milliseconds(100)
            let shop = try await ShopDatabase(on: server, options: options)
            try await shop.client.run("INSERT INTO users VALUES (1, 'a', 1)")
            let view = Shop.profile(
                query: "SELECT user_id, name, score + coalesce(length(pg_sleep(5)::text), 0) AS score FROM users")
            let reader = try await shop.open(view)
            #expect(await failure { _ = try await reader.readEntities([key(1)]) }?.code == .deadlineExceeded)
            // The connection is still good, and no transaction stayed open on it.
            #expect(try await reader.startCursor().text.hasPrefix("xid:"))
            let idle = try await shop.client.run(
                "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'")
            #expect(idle == [["0"]])

            let plain = try await shop.open(Shop.profile())
            let holder = try shop.session()
            try await holder.run(all: ["BEGIN", "LOCK TABLE users"])
            #expect(await failure { _ = try await plain.readEntities([key(1)]) }?.code == .unavailable)
            try await holder.run("ROLLBACK")
            #expect(try await plain.readEntities([key(1)]).keys == [key(1)])
        }
    }

    @Test func closeEndsARunningCall() async throws {
        try await withServer { server in
            let shop = try await ShopDatabase(on: server)
            try await shop.client.run("INSERT INTO users VALUES (1, 'a', 1)")
            let reader = try await shop.open(Shop.profile())
            let holder = try shop.session()
            try await holder.run(all: ["BEGIN", "LOCK TABLE users"])
            let call = Task { try await reader.readEntities([key(1)]) }
            // Waits in the server until the reader waits for the lock.
            while try await holder.run("SELECT count(*) FROM pg_locks WHERE NOT granted") == [["0"]] {
                await Task.yield()
            }
            let started = ContinuousClock.now
            await reader.close()
            #expect(await failure { _ = try await call.value }?.code == .unavailable)
            #expect(ContinuousClock.now - started < .seconds(3))
            #expect(await failure { _ = try await reader.startCursor() }?.code == .unavailable)
        }
    }

    @Test func refusedConnectionsAreTheOperatorsBusiness() async throws {
        try await withServer { server in
            let shop = try await ShopDatabase(on: server)
            try await shop.client.run("CREATE ROLE locked LOGIN PASSWORD 'right'")
            try await shop.client.run("ALTER SYSTEM SET password_encryption = 'scram-sha-256'")
            try await server.requirePasswords()
            let base = "host='\(server.directory)' dbname='postgres' "
            for (url, code) in [
                (base + "user='locked' password='wr0ngsecret'", ExtractionError.Code.misconfigured),
                (base + "user='locked'", .misconfigured),
                (base + "user='nobody' password='wr0ngsecret'", .misconfigured),
                ("host='\(server.directory)/none' user='locked' password='wr0ngsecret'", .unavailable),
            ] {
                let error = await failure { _ = try await PostgresConnector(url: url).open(Shop.profile()) }
                #expect(error?.code == code, "\(error?.description ?? "no error")")
                #expect(error?.description.contains("wr0ngsecret") == false)
            }
            let missing = shop.url.replacing("dbname='test", with: "dbname='nope")
            #expect(
                await failure { _ = try await PostgresConnector(url: missing).open(Shop.profile()) }?.code
                    == .misconfigured)
        }
    }

    @Test func resultsThatAreTooLargeAreRefused() async throws {
        try await withServer { server in
            var options = PostgresOptions()
            options.maximumResultBytes = 100_000
            let shop = try await ShopDatabase(on: server, options: options)
            let reader = try await shop.open(Shop.profile())
            try await shop.client.run("INSERT INTO users SELECT n, repeat('x', 1000), 1 FROM generate_series(1, 200) n")
            #expect(await failure { _ = try await reader.readRange(after: nil, limit: 200) }?.code == .tooLarge)
            #expect(try await reader.readRange(after: nil, limit: 50).rows.keys.count == 50)
        }
    }
}
