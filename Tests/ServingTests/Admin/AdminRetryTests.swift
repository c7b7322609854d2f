import FeatureModel
import Foundation
import LocalDatabase
import OnlineStore
import Serving
import Synchronization
import Testing
import TidemarkTesting

/// A change that comes again because nobody knows what became of it goes where it went at first, or nowhere.
@Suite(.timeLimit(.minutes(2))) struct AdminRetryTests {
    private static func flip(
        _ fixture: AdminFixture, _ word: String, _ key: String, _ body: String = ""
    ) async throws -> AdminClient.Answer {
        try await fixture.client.call(
            "POST", "/admin/v1/versions/activity:\(word)", token: fixture.token(.operate), key: key, body: body)
    }

    /// The next write of a document takes effect, and its answer is lost.
    private static func loseNextReply(_ store: MemoryStore) {
        let isLost = Mutex(false)
        store.setFaultHook { operation, moment throws(StoreError) in
            guard operation == .replaceDocument, moment == .after else { return }
            let isFirst = isLost.withLock { isLost in
                defer { isLost = true }
                return !isLost
            }
            if isFirst { throw StoreError(.deadlineExceeded, "no answer in time") }
        }
    }

    /// Daemons one after the other over one store, whose view has version 2 and 1 before it.
    private static func withDaemons(
        _ body: @escaping @Sendable (AdminFixture, _ state: String) async throws -> Void
    ) async throws {
        try await Workdir.with { folder async throws in
            try await AdminFixture.with(try AdminFixture.config()) { home async throws in
                #expect(try await flip(home, "activate", "up", "{\"version\":2}").status == 200)
                try await body(home, folder.file("state.db"))
            }
        }
    }

    private static func next(
        _ home: AdminFixture, _ state: String?,
        _ body: @escaping @Sendable (AdminFixture) async throws -> Void
    ) async throws {
        try await AdminFixture.with(try AdminFixture.config(), store: home.memory, state: state, body)
    }

    @Test(arguments: [false, true]) func aRollbackWhoseAnswerWasLostIsNotMadeTwice(isRestarted: Bool) async throws {
        try await Self.withDaemons { home, state async throws in
            let again: @Sendable (AdminFixture) async throws -> Void = { fixture async throws in
                let done = try await Self.flip(fixture, "rollback", "r")
                #expect(done.status == 200 && done.headers["idempotency-replayed"] == nil, "\(done.text)")
                #expect(done.body == "{\"before\":2,\"current\":1,\"view\":\"activity\"}")
                #expect(try await home.versions()?.current?.number == 1)
                #expect(try await Self.flip(fixture, "rollback", "r").headers["idempotency-replayed"] == "true")
                #expect(try await home.versions()?.current?.number == 1)
            }
            try await Self.next(home, isRestarted ? state : nil) { fixture async throws in
                Self.loseNextReply(home.memory)
                #expect(try await Self.flip(fixture, "rollback", "r").status == 504)
                #expect(try await home.versions()?.current?.number == 1)
                // The key belongs to this request.
                #expect(try await Self.flip(fixture, "rollback", "r", "{\"expect_current\":1}").status == 422)
                if !isRestarted { try await again(fixture) }
            }
            if isRestarted { try await Self.next(home, state, again) }
        }
    }

    @Test func aRollbackThatWasCutOffBeforeItsAnswerWasKeptIsNotMadeTwice() async throws {
        try await Self.withDaemons { home, state async throws in
            try await Self.next(home, state) { fixture async throws in
                #expect(try await Self.flip(fixture, "rollback", "r").status == 200)
            }
            // As a daemon leaves it that is killed between the change and its answer.
            let database = try await LocalDatabase(.init(path: state))
            try await database.run { connection in
                try connection.execute("UPDATE answers SET status = NULL, body = NULL")
            }
            await database.close()
            try await Self.next(home, state) { fixture async throws in
                let done = try await Self.flip(fixture, "rollback", "r")
                #expect(done.body == "{\"before\":2,\"current\":1,\"view\":\"activity\"}")
                #expect(try await home.versions()?.current?.number == 1)
            }
        }
    }

    @Test func aChangeThatOthersCameBetweenIsGivenUp() async throws {
        try await Self.withDaemons { home, state async throws in
            let catalog = CatalogStore(home.memory)
            _ = try await catalog.updateVersions(of: "activity") { versions in
                let third = CatalogFixture.view("activity", ["views", "more"])
                let definition = String(decoding: ViewDocument.encode(third), as: UTF8.self)
                let number = versions.begin(definition: definition, fingerprint: "f", reason: "test", at: 1)
                return versions.finishBuilding(number)
            }
            try await Self.next(home, state) { fixture async throws in
                Self.loseNextReply(home.memory)
                #expect(try await Self.flip(fixture, "rollback", "r").status == 504)
                #expect(try await Self.flip(home, "activate", "third", "{\"version\":3}").status == 200)
                let late = try await Self.flip(fixture, "rollback", "r")
                #expect(late.status == 409 && late.body.contains("not 2 as expected"), "\(late.text)")
                #expect(try await home.versions()?.current?.number == 3)
            }
        }
    }

    @Test func aFileOfAVersionBeforeIsTakenOver() async throws {
        try await Self.withDaemons { home, state async throws in
            let database = try await LocalDatabase(.init(path: state))
            try await database.run { connection in
                try connection.execute(
                    """
                    CREATE TABLE answers (
                        principal TEXT NOT NULL, key TEXT NOT NULL, fingerprint BLOB NOT NULL, at INTEGER NOT NULL,
                        status INTEGER, content_type TEXT, headers TEXT, body BLOB, PRIMARY KEY (principal, key)
                    ) STRICT
                    """)
            }
            await database.close()
            for isReplayed in [nil, "true"] {
                try await Self.next(home, state) { fixture async throws in
                    let answer = try await Self.flip(fixture, "rollback", "r")
                    #expect(answer.status == 200 && answer.headers["idempotency-replayed"] == isReplayed)
                }
            }
        }
    }

    @Test func keysOfAFileThatCouldNotBeReadAtTheStartAreKnownOnceItCan() async throws {
        try await Workdir.with { folder async throws in
            let (here, away) = (folder.file("state"), folder.file("away"))
            try FileManager.default.createDirectory(atPath: here, withIntermediateDirectories: false)
            let force: @Sendable (AdminFixture) async throws -> AdminClient.Answer = { fixture async throws in
                try await fixture.client.call(
                    "POST", "/admin/v1/breakers/store:force", token: fixture.token(.operate), key: "k",
                    body: "{\"state\":\"open\"}")
            }
            let first = try await AdminFixture.answer(state: "\(here)/state.db", force)
            try FileManager.default.moveItem(atPath: here, toPath: away)
            try await AdminFixture.with(try AdminFixture.config(), state: "\(here)/state.db") { fixture async throws in
                #expect(try await force(fixture).status == 503)
                try FileManager.default.moveItem(atPath: away, toPath: here)
                let again = try await force(fixture)
                #expect(again.status == 200 && again.body == first.body)
                #expect(again.headers["idempotency-replayed"] == "true")
                #expect(fixture.breakers.calls == 0)
            }
        }
    }
}
