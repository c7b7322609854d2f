import FeatureModel
import OnlineStore
import Serving
import Telemetry
import Testing
import TidemarkTesting

/// Changes happen once, are recorded once, and say what they did.
@Suite(.timeLimit(.minutes(3))) struct AdminChangeTests {
    @Test func aThousandConcurrentCallsWithOneKeyExecuteOnce() async throws {
        try await AdminFixture.with(try AdminFixture.config()) { fixture async throws in
            let answers = try await withThrowingTaskGroup(of: AdminClient.Answer.self) { group in
                for _ in 0..<1_000 {
                    group.addTask {
                        try await fixture.client.call(
                            "POST", "/admin/v1/breakers/store:force", token: fixture.token(.operate), key: "\"one\"",
                            body: "{\"state\":\"open\"}")
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(answers.count == 1_000)
            #expect(fixture.breakers.calls == 1)
            #expect(Set(answers.map(\.status)).isSubset(of: [200, 409]))
            let done = answers.filter { $0.status == 200 }
            let fresh = done.filter { $0.headers["idempotency-replayed"] == nil }
            #expect(fresh.count == 1)
            #expect(Set(done.map(\.body)).count == 1)
            #expect(try fixture.auditLines().count == 1)
            let last = try await fixture.client.call(
                "POST", "/admin/v1/breakers/store:force", token: fixture.token(.operate), key: "one",
                body: "{\"state\":\"open\"}")
            #expect(last.headers["idempotency-replayed"] == "true")
            #expect(last.body == done.first?.body)
        }
    }

    @Test func aKeyIsNeededAndBelongsToOneRequestOfOneToken() async throws {
        try await AdminFixture.with(try AdminFixture.config()) { fixture async throws in
            func force(_ state: String, _ key: String?, _ scope: AdminScope = .operate) async throws -> Int {
                try await fixture.client.call(
                    "POST", "/admin/v1/breakers/store:force", token: fixture.token(scope), key: key,
                    body: "{\"state\":\"\(state)\"}"
                ).status
            }
            #expect(try await force("open", nil) == 400)
            #expect(try await force("open", "") == 400)
            #expect(try await force("open", "two words") == 400)
            #expect(try await force("open", String(repeating: "k", count: 256)) == 400)
            #expect(fixture.breakers.calls == 0)
            #expect(try await force("open", "k") == 200)
            #expect(try await force("closed", "k") == 422)
            #expect(fixture.breakers.calls == 1)
            #expect(try await force("closed", "k", .admin) == 200)
            #expect(fixture.breakers.calls == 2)
            let elsewhere = try await fixture.client.call(
                "POST", "/admin/v1/breakers/store:reset", token: fixture.token(.operate), key: "k")
            #expect(elsewhere.status == 422)
            // What was wrong in itself took no effect, so its key is free.
            #expect(try await force("ajar", "free") == 400)
            #expect(try await force("open", "free") == 200)
            #expect(try fixture.auditLines().count == 3)
        }
    }

    @Test func versionsAreActivatedAndRolledBackAsTheCommandLineDoesIt() async throws {
        try await AdminFixture.with(try AdminFixture.config()) { fixture async throws in
            func change(_ path: String, _ body: String, _ key: String) async throws -> AdminClient.Answer {
                try await fixture.client.call(
                    "POST", "/admin/v1/versions/\(path)", token: fixture.token(.operate), key: key, body: body)
            }
            #expect(try await change("activity:activate", "{}", "a").status == 400)
            #expect(try await change("activity:activate", "{\"version\":2,\"force\":true}", "b").status == 400)
            #expect(try await change("activity:activate", "{\"version\":9}", "c").status == 404)
            #expect(try await change("nothing:activate", "{\"version\":1}", "d").status == 404)
            #expect(try await change("activity:rollback", "", "e").status == 409)
            let stale = try await change("activity:activate", "{\"version\":2,\"expect_current\":7}", "f")
            #expect(stale.status == 409 && stale.body.contains("not 7 as expected"))
            #expect(try await fixture.versions()?.current?.number == 1)
            let done = try await change("activity:activate", "{\"version\":2,\"expect_current\":1}", "g")
            #expect(done.status == 200, "\(done.text)")
            #expect(done.body == "{\"before\":1,\"current\":2,\"view\":\"activity\"}")
            #expect(try await fixture.versions()?.current?.number == 2)
            #expect(try await fixture.versions()?.previous?.number == 1)
            #expect(try await change("activity:rollback", "{\"expect_current\":1}", "h").status == 409)
            #expect(try await change("activity:rollback", "{\"expect_current\":2}", "i").status == 200)
            #expect(try await fixture.versions()?.current?.number == 1)
            let listed = try await fixture.client.call(
                "GET", "/admin/v1/versions/activity", token: fixture.token(.read))
            #expect(listed.body.contains("\"current\":1,\"paused\":false,\"previous\":2"))
        }
    }

    @Test func aWatermarkIsSetOnlyWhileItsViewRests() async throws {
        try await AdminFixture.with(try AdminFixture.config()) { fixture async throws in
            func set(_ watermark: String, _ key: String) async throws -> AdminClient.Answer {
                try await fixture.client.call(
                    "PUT", "/admin/v1/watermarks/activity", token: fixture.token(.admin), key: key,
                    body: "{\"watermark\":\"\(watermark)\"}")
            }
            let early = try await set("seq:7", "a")
            #expect(early.status == 409 && early.body.contains("not paused"))
            let pause = try await fixture.client.call(
                "POST", "/admin/v1/sync/activity:pause", token: fixture.token(.operate), key: "p")
            #expect(pause.status == 200)
            for (index, wrong) in ["", "start", "end:7", "xid:7", "seq:", "seq:x", "seq:-1", "seq:7\\n"].enumerated() {
                #expect(try await set(wrong, "w\(index)").status == 422, "\(wrong)")
            }
            let lease = try await fixture.memory.acquireLease("activity", owner: "sync-host", duration: .seconds(60))
            let busy = try await set("seq:7", "b")
            #expect(busy.status == 409 && busy.body.contains("sync-host") && busy.headers["retry-after"] == "5")
            try await fixture.memory.releaseLease(try #require(lease))
            // Who was told to come back may come with the same key.
            let done = try await set("seq:7", "b")
            #expect(done.status == 200, "\(done.text)")
            #expect(done.body.contains("\"before\":{\"1\":\"seq:42@17\"}"))
            let shown = try await fixture.client.call(
                "GET", "/admin/v1/watermarks/activity", token: fixture.token(.read))
            #expect(shown.body.contains("\"watermark\":\"seq:7\""))
            #expect(try await fixture.memory.leaseHolder("activity") == nil)
        }
    }

    @Test func theAuditLogHasOneEntryAChangeWithWhoWhatBeforeAndAfter() async throws {
        try await AdminFixture.with(try AdminFixture.config()) { fixture async throws in
            func call(_ key: String, _ id: String) async throws -> AdminClient.Answer {
                try await fixture.client.call(
                    "POST", "/admin/v1/versions/activity:activate", token: fixture.token(.operate), key: key,
                    body: "{\"version\":2}", headers: [("X-Request-Id", id)])
            }
            #expect(try await call("a", "first").status == 200)
            for _ in 0..<3 { #expect(try await call("a", "again").headers["idempotency-replayed"] == "true") }
            fixture.config.fail("serve.timeout is no duration")
            let reload = try await fixture.client.call(
                "POST", "/admin/v1/config:reload", token: fixture.token(.admin), key: "r")
            #expect(reload.status == 422 && reload.body.contains("generation 1 stays in force"))
            let lines = try fixture.auditLines()
            #expect(lines.count == 2)
            #expect(
                lines.first
                    == "{\"action\":\"versions.activate\",\"after\":{\"current\":2},\"at\":\"2023-11-14T22:13:20Z\","
                    + "\"before\":{\"current\":1},\"outcome\":\"done\",\"peer\":\"127.0.0.1\","
                    + "\"principal\":\"operate-token\",\"request_id\":\"first\",\"status\":200,\"target\":\"activity\"}"
            )
            #expect(lines.last?.contains("\"outcome\":\"refused\"") == true)
            let shown = try await fixture.client.call(
                "GET", "/admin/v1/audit?limit=1", token: fixture.token(.admin))
            #expect(shown.body.contains("config.reload") && !shown.body.contains("versions.activate"))
            for limit in ["0", "-1", "x", "1001", ""] {
                let wrong = try await fixture.client.call(
                    "GET", "/admin/v1/audit?limit=\(limit)", token: fixture.token(.admin))
                #expect(wrong.status == 400, "\(limit)")
            }
        }
    }

    @Test func nothingIsChangedThatCannotBeRecorded() async throws {
        try await AdminFixture.with(try AdminFixture.config(), audit: "/dev/null/audit.jsonl") { fixture async throws in
            let answer = try await fixture.client.call(
                "POST", "/admin/v1/breakers/store:reset", token: fixture.token(.operate), key: "a")
            #expect(answer.status == 503)
            #expect(fixture.breakers.calls == 0)
            let status = try await fixture.client.call("GET", "/admin/v1/status", token: fixture.token(.read))
            #expect(status.status == 200 && status.body.contains("the audit log can't be"))
        }
    }

    @Test func aStoreThatIsAwayIsAnsweredAndItsKeyMayBeTriedAgain() async throws {
        try await AdminFixture.with(try AdminFixture.config()) { fixture async throws in
            let closed = MemoryStore()
            await closed.close()
            try await AdminFixture.with(try AdminFixture.config(), store: closed) { away async throws in
                for _ in 0..<2 {
                    let answer = try await away.client.call(
                        "POST", "/admin/v1/sync/activity:pause", token: away.token(.operate), key: "a")
                    #expect(answer.status == 503 && answer.headers["idempotency-replayed"] == nil)
                }
                let read = try await away.client.call("GET", "/admin/v1/views", token: away.token(.read))
                #expect(read.status == 503)
            }
        }
    }

    @Test func bodiesHaveALimitAndMustBeObjects() async throws {
        try await AdminFixture.with(try AdminFixture.config()) { fixture async throws in
            func status(_ body: String) async throws -> Int {
                try await fixture.client.call(
                    "POST", "/admin/v1/breakers/store:force", token: fixture.token(.operate), key: "k", body: body
                ).status
            }
            #expect(try await status(String(repeating: " ", count: 65_537)) == 413)
            #expect(try await status(String(repeating: "[", count: 60_000)) == 400)
            for body in ["[]", "1", "{\"state\":", "{\"state\":1}", "\"open\"", "{\"state\":null}"] {
                #expect(try await status(body) == 400, "\(body)")
            }
            #expect(fixture.breakers.calls == 0)
        }
    }

    @Test func secretsAreInNoAnswerNoLogAndNoFile() async throws {
        try await AdminFixture.with(try AdminFixture.config(failures: 5)) { fixture async throws in
            var outputs: [String] = []
            let paths = ["status", "views", "config", "audit", "breakers", "limits", "nothing", "versions/activity"]
            for path in paths {
                for token in Array(AdminFixture.tokens.values) + ["guess"] {
                    outputs.append(
                        try await fixture.client.call("GET", "/admin/v1/\(path)", token: token).text)
                }
            }
            for (number, path) in ["config:reload", "breakers/store:force", "sync/activity:pause"].enumerated() {
                outputs.append(
                    try await fixture.client.call(
                        "POST", "/admin/v1/\(path)", token: fixture.token(.admin), key: "\(number)", body: "{\"x\":1}"
                    ).text)
            }
            outputs += [fixture.log.text, fixture.registry.render(.prometheus), try fixture.auditLines().joined()]
            outputs.append("\(try AdminFixture.config())")
            outputs.append(String(reflecting: try AdminSettings(try AdminFixture.config()) { _, _ in "" }))
            for token in AdminFixture.tokens.values {
                let secrets = [token, AdminToken.sha256(token)]
                for output in outputs {
                    let isShown = secrets.contains { output.contains($0) }
                    #expect(!isShown, "a secret is in an output")
                }
            }
            #expect(fixture.log.text.contains("an admin token was refused"))
        }
    }
}
