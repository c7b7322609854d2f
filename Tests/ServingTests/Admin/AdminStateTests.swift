import FeatureModel
import Foundation
import LocalDatabase
import OnlineStore
import Serving
import Testing
import TidemarkTesting

/// Idempotency keys outlive the daemon, and runs are asked for.
@Suite(.timeLimit(.minutes(2))) struct AdminStateTests {
    private static func force(
        _ fixture: AdminFixture, _ state: String, _ key: String, _ scope: AdminScope = .operate
    ) async throws -> AdminClient.Answer {
        try await fixture.client.call(
            "POST", "/admin/v1/breakers/store:force", token: fixture.token(scope), key: key,
            body: "{\"state\":\"\(state)\"}")
    }

    @Test func anAnswerIsReplayedByTheNextDaemon() async throws {
        try await Workdir.with { folder async throws in
            let state = folder.file("state.db")
            let first = try await AdminFixture.answer(state: state) { try await Self.force($0, "open", "k") }
            let missing = try await AdminFixture.answer(state: state) { fixture in
                try await fixture.client.call(
                    "POST", "/admin/v1/sync/nothing:run", token: fixture.token(.operate), key: "gone")
            }
            #expect(first.status == 200 && missing.status == 404)
            let mode = try FileManager.default.attributesOfItem(atPath: state)[.posixPermissions] as? Int
            #expect(mode == 0o600)
            try await AdminFixture.with(try AdminFixture.config(), state: state) { fixture async throws in
                let again = try await Self.force(fixture, "open", "k")
                #expect(again.status == 200 && again.body == first.body)
                #expect(again.headers["idempotency-replayed"] == "true")
                #expect(try await Self.force(fixture, "closed", "k").status == 422)
                #expect(fixture.breakers.calls == 0)
                let replayed = try await fixture.client.call(
                    "POST", "/admin/v1/sync/nothing:run", token: fixture.token(.operate), key: "gone")
                #expect(replayed.status == 404 && replayed.body == missing.body)
                // Keys belong to their token.
                #expect(try await Self.force(fixture, "closed", "k", .admin).status == 200)
                #expect(fixture.breakers.calls == 1)
            }
        }
    }

    @Test func whatWasCutOffIsCarriedOutAnewAndByTheSameRequestOnly() async throws {
        try await Workdir.with { folder async throws in
            let state = folder.file("state.db")
            _ = try await AdminFixture.answer(state: state) { try await Self.force($0, "open", "k") }
            // As a daemon leaves it that is killed between the change's beginning and its end.
            let database = try await LocalDatabase(.init(path: state))
            try await database.run { connection in
                try connection.execute("UPDATE answers SET status = NULL, body = NULL")
            }
            await database.close()
            try await AdminFixture.with(try AdminFixture.config(), state: state) { fixture async throws in
                #expect(try await Self.force(fixture, "closed", "k").status == 422)
                #expect(fixture.breakers.calls == 0)
                let answer = try await Self.force(fixture, "open", "k")
                #expect(answer.status == 200 && answer.headers["idempotency-replayed"] == nil)
                #expect(fixture.breakers.calls == 1)
                #expect(try await Self.force(fixture, "open", "k").headers["idempotency-replayed"] == "true")
                #expect(fixture.breakers.calls == 1)
            }
        }
    }

    @Test func aKeyThatIsFreeAgainAndOneThatIsOldAreNotKept() async throws {
        try await Workdir.with { folder async throws in
            let state = folder.file("state.db")
            let wrong = try await AdminFixture.answer(state: state) { try await Self.force($0, "ajar", "free") }
            #expect(wrong.status == 400)
            _ = try await AdminFixture.answer(state: state) { try await Self.force($0, "open", "old") }
            let database = try await LocalDatabase(.init(path: state))
            let keys = try await database.run { connection in
                try connection.execute("UPDATE answers SET at = at - 86400000001")
                return try connection.rows("SELECT key FROM answers")
            }
            await database.close()
            #expect(keys == [[.text("old")]])
            try await AdminFixture.with(try AdminFixture.config(), state: state) { fixture async throws in
                #expect(try await Self.force(fixture, "closed", "old").status == 200)
                #expect(fixture.breakers.calls == 1)
            }
        }
    }

    @Test(arguments: ["/dev/null/state.db", "junk"])
    func nothingIsChangedUnderAKeyThatCannotBeKept(path: String) async throws {
        try await Workdir.with { folder async throws in
            try folder.write(String(repeating: "this is no database", count: 100), to: "junk")
            let state = path.hasPrefix("/") ? path : folder.file(path)
            try await AdminFixture.with(try AdminFixture.config(), state: state) { fixture async throws in
                for _ in 0..<2 {
                    let answer = try await Self.force(fixture, "open", "k")
                    #expect(answer.status == 503 && answer.headers["retry-after"] == "1", "\(answer.text)")
                    #expect(!answer.body.contains(folder.path))
                }
                #expect(fixture.breakers.calls == 0)
                #expect(
                    try await fixture.client.call("GET", "/admin/v1/status", token: fixture.token(.read)).status == 200)
            }
        }
    }

    @Test func aRunIsAskedForByWhoMayOperate() async throws {
        try await AdminFixture.with(try AdminFixture.config()) { fixture async throws in
            func run(_ view: String, _ key: String, _ scope: AdminScope = .operate, _ body: String = "") async throws
                -> AdminClient.Answer
            {
                try await fixture.client.call(
                    "POST", "/admin/v1/sync/\(view):run", token: fixture.token(scope), key: key, body: body)
            }
            #expect(try await run("activity", "a", .read).status == 403)
            #expect(try await run("nothing", "b").status == 404)
            #expect(try await run("activity", "c", .operate, "{\"force\":true}").status == 400)
            let requests = RunRequests(fixture.memory)
            #expect(try await requests.stamp(of: "activity") == nil)
            let done = try await run("activity", "d")
            #expect(done.status == 200, "\(done.text)")
            #expect(done.body == "{\"requested_at\":\"2023-11-14T22:13:20Z\",\"view\":\"activity\"}")
            #expect(try await requests.stamp(of: "activity") == Array("1700000000000000".utf8))
            #expect(try await run("activity", "d").headers["idempotency-replayed"] == "true")
            let last = try fixture.auditLines().last ?? ""
            #expect(last.contains("\"action\":\"sync.run\"") && last.contains("\"target\":\"activity\""))
        }
    }
}

extension AdminFixture {
    /// What a listener of its own answers.
    static func answer(
        state: String, _ body: @escaping @Sendable (AdminFixture) async throws -> AdminClient.Answer
    ) async throws -> AdminClient.Answer {
        let (answers, found) = AsyncStream.makeStream(
            of: AdminClient.Answer.self, bufferingPolicy: .bufferingNewest(1))
        try await with(try config(), state: state) { found.yield(try await body($0)) }
        found.finish()
        for await answer in answers { return answer }
        throw AdminClient.Broken(text: "no answer")
    }
}
