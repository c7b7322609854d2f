import FeatureModel
import Foundation
import NIOCore
import Telemetry
import Testing
import TidemarkTesting

@testable import Serving  // What a cache holds is nobody's business outside of the module.

/// Tokens on the listener of lookups: who may read, who may write, and in what words others are refused.
@Suite(.enabled(if: DaemonStage.isPossible), .timeLimit(.minutes(3))) struct AccessDaemonTests {
    private static let question = "{\"features\":[\"activity:activity_count\"],\"entities\":[{\"user_id\":1}]}"
    private static let tokens = ["reader", "writer", "both", "elsewhere"].map { ($0, AdminToken.make()) }

    private static func token(_ name: String) -> String { tokens.first { $0.0 == name }?.1 ?? "" }

    private static func config(without name: String = "", jwt: String = "") throws -> Config {
        let scopes = ["reader": "read", "writer": "write", "both": "read, write", "elsewhere": "read, write"]
        let list = tokens.filter { $0.0 != name }.map { name, token in
            "{name: \(name), sha256: \(AdminToken.sha256(token)), scopes: [\(scopes[name] ?? "")]"
                + (name == "elsewhere" ? ", projects: [other]}" : ", projects: [other, shop]}")
        }
        let text = """
            project: shop
            online_store: {url: "redis://127.0.0.1:6379/0"}
            sources: {shop: {url: "sqlite:shop.db"}}
            serve:
              tokens: [\(list.joined(separator: ", "))]
              \(jwt)
            """
        return try Config.parse(file: "tidemark.yaml", text: Array(text.utf8))
    }

    private static func policy(without name: String = "", jwt: JWTVerifier? = nil) throws -> AccessPolicy {
        try AccessPolicy(config(without: name).serve.access, project: "shop", jwt: jwt) { _, _ in "" }
    }

    private static func with(
        _ access: DataAccess, _ body: @escaping @Sendable (DaemonStage) async throws -> Void
    ) async throws {
        var options = DaemonStage.Options()
        options.access = access
        try await DaemonStage.with(options, body)
    }

    private static func guarded() throws -> DataAccess {
        let access = DataAccess()
        access.apply(try policy())
        return access
    }

    /// Asks over a connection of its own.
    private static func ask(
        _ stage: DaemonStage, _ method: String, _ path: String, _ body: String? = nil, _ fields: [String]
    ) async throws -> RawAnswer {
        try await stage.connect().ask(method, path, body, headers: fields.map { "Authorization: \($0)" })
    }

    @Test func eachRouteAsksForItsScope() async throws {
        try await Self.with(try Self.guarded()) { stage async throws in
            let reads = [("/v1/lookup", Self.question), ("/get-online-features", Self.feastQuestion)]
            let writes = ["/push", "/write-to-online-store", "/materialize", "/materialize-incremental"]
            func status(_ path: String, _ body: String, _ name: String) async throws -> Int {
                try await Self.ask(stage, "POST", path, body, ["Bearer \(Self.token(name))"]).status
            }
            for (path, body) in reads {
                #expect(try await status(path, body, "reader") == 200, "\(path)")
                #expect(try await status(path, body, "both") == 200)
                for name in ["writer", "elsewhere"] { #expect(try await status(path, body, name) == 403, "\(path)") }
            }
            for path in writes {
                // Let in, and wrong in itself.
                #expect(try await status(path, "[]", "writer") == 422, "\(path)")
                for name in ["reader", "elsewhere"] { #expect(try await status(path, "[]", name) == 403, "\(path)") }
            }
            // Let in, and there is no such thing here.
            #expect(try await status("/v1/events", "[]", "writer") == 501)
            for name in ["reader", "elsewhere"] { #expect(try await status("/v1/events", "[]", name) == 403) }
            for path in [
                "/health", "/livez", "/readyz", "/v2/health/live", "/v2/health/ready", "/metrics", "/openapi.json",
            ] {
                #expect(try await Self.ask(stage, "GET", path, nil, []).status == 200, "\(path)")
            }
        }
    }

    private static let feastQuestion = "{\"features\":[\"activity:activity_count\"],\"entities\":{\"user_id\":[1]}}"

    @Test func refusalsSayWhyInTheWordsOfTheirRoute() async throws {
        try await Self.with(try Self.guarded()) { stage async throws in
            let missing = try await Self.ask(stage, "POST", "/v1/lookup", Self.question, [])
            #expect(missing.status == 401 && missing.headers["content-type"] == "application/problem+json")
            #expect(missing.headers["www-authenticate"] == "Bearer realm=\"tidemark\"")
            #expect(missing.body.contains("\"type\":\"unauthenticated\""))
            let wrong = try await Self.ask(stage, "POST", "/v1/lookup", Self.question, ["Bearer nobody"])
            #expect(wrong.headers["www-authenticate"] == "Bearer realm=\"tidemark\", error=\"invalid_token\"")
            let narrow = try await Self.ask(
                stage, "POST", "/v1/lookup", Self.question, ["Bearer \(Self.token("writer"))"])
            #expect(narrow.status == 403)
            #expect(
                narrow.headers["www-authenticate"]
                    == "Bearer realm=\"tidemark\", error=\"insufficient_scope\", scope=\"read\"")
            for path in ["/get-online-features", "/push"] {
                let missing = try await Self.ask(stage, "POST", path, "{}", [])
                #expect(missing.status == 401 && missing.body == "{\"detail\":\"Missing authentication token\"}")
                #expect(missing.headers["content-type"] == "application/json")
                let wrong = try await Self.ask(stage, "POST", path, "{}", ["Bearer x"])
                #expect(wrong.status == 401 && wrong.body == "{\"detail\":\"Invalid or expired access token\"}")
                let denied = try await Self.ask(stage, "POST", path, "{}", ["Bearer \(Self.token("elsewhere"))"])
                #expect(denied.status == 403 && denied.body.contains("FeastPermissionError"), "\(denied)")
                #expect(denied.body.contains("for other projects"))
            }
            let page = stage.serving.metrics.registry.render(.prometheus)
            #expect(page.contains("tidemark_access_refusals_total{transport=\"http\",reason=\"missing\"} 3"))
            #expect(page.contains("tidemark_access_refusals_total{transport=\"http\",reason=\"project\"} 2"))
        }
    }

    @Test func onlyOneWellFormedFieldCounts() async throws {
        try await Self.with(try Self.guarded()) { stage async throws in
            let token = Self.token("reader")
            for field in ["Bearer \(token)", "bearer \(token)", "BEARER   \(token)"] {
                let answer = try await Self.ask(stage, "POST", "/v1/lookup", Self.question, [field])
                #expect(answer.status == 200, "\(field)")
            }
            let wrong: [[String]] = [
                ["Bearer \(token)", "Bearer \(token)"], ["Bearer \(token)", "Bearer x"], ["Bearer"], [token],
                ["Basic \(token)"], ["Bearer\t\(token)"], ["Bearer \(token) x"], ["Bearer \(token),"],
                ["Bearer \(token.dropLast())"], ["Bearer \(token)0"], ["Bearer null"], ["Bearer \"\(token)\""],
                ["Bearer \(AdminToken.sha256(token))"], ["Bearer \(String(repeating: "a", count: 20_000))"],
            ]
            for fields in wrong {
                let answer = try await Self.ask(stage, "POST", "/v1/lookup", Self.question, fields)
                #expect(answer.status == 401, "\(fields)")
            }
            let query = try await Self.ask(stage, "POST", "/v1/lookup?access_token=\(token)", Self.question, [])
            #expect(query.status == 401)
        }
    }

    @Test func noSpellingOfAPathGetsByWithLess() async throws {
        try await Self.with(try Self.guarded()) { stage async throws in
            let push = "{\"push_source_name\":\"activity\",\"df\":{}}"
            for path in ["http://x/push", "//push", "/push/", "/%70ush", "/push#x", "/./push", "/PUSH", "*", "/none"] {
                let answer = try await Self.ask(stage, "POST", path, push, ["Bearer \(Self.token("reader"))"])
                #expect([400, 403].contains(answer.status), "\(path): \(answer.status)")
            }
            for method in ["GET", "PUT", "OPTIONS", "DELETE"] {
                #expect(try await Self.ask(stage, method, "/push", nil, []).status == 401, "\(method)")
            }
        }
    }

    @Test func aTokenThatIsTakenBackIsOutWithTheNextRequestAndNobodyElseIs() async throws {
        let access = try Self.guarded()
        try await Self.with(access) { stage async throws in
            let client = try stage.connect()
            func status(_ name: String) async throws -> Int {
                try await client.ask(
                    "POST", "/v1/lookup", Self.question, headers: ["Authorization: Bearer \(Self.token(name))"]
                ).status
            }
            for _ in 0..<3 { #expect(try await status("reader") == 200) }
            access.apply(try Self.policy(without: "reader"))
            #expect(try await status("both") == 200)
            #expect(try await status("reader") == 401)
            access.apply(nil)
            let open = try await stage.connect().ask("POST", "/v1/lookup", Self.question)
            #expect(open.status == 200)
        }
    }

    @Test func aSignedTokenIsTakenUntilItsEnd() async throws {
        let issuer = try await TokenIssuer.make()
        let now = Int64(Date().timeIntervalSince1970)
        let access = DataAccess()
        access.apply(
            try Self.policy(jwt: await JWTVerifier(TokenIssuer.jwt(), text: issuer.set)))
        try await Self.with(access) { stage async throws in
            let token = try issuer.token(TokenIssuer.claims(at: now))
            let late = try issuer.token(TokenIssuer.claims(["exp": "\(now - 60)"]))
            let client = try stage.connect()
            for _ in 0..<3 {
                let answer = try await client.ask(
                    "POST", "/v1/lookup", Self.question, headers: ["Authorization: Bearer \(token)"])
                #expect(answer.status == 200)
            }
            #expect(try await Self.ask(stage, "POST", "/push", "{}", ["Bearer \(token)"]).status == 403)
            #expect(try await Self.ask(stage, "POST", "/v1/lookup", Self.question, ["Bearer \(late)"]).status == 401)
        }
    }

    @Test func whatIsRememberedEndsWithItsTimeAndHasALimit() async throws {
        let issuer = try await TokenIssuer.make()
        let access = DataAccess()
        access.apply(try Self.policy(jwt: await JWTVerifier(TokenIssuer.jwt(), text: issuer.set)))
        var cache = AccessCache()
        // Each a new one: none has guessed before.
        var peers = 0
        func refusal(_ field: String, _ need: AccessNeed, at instant: NIODeadline) -> AccessRefusal? {
            cache.refusal(field, count: 1, need, access, at: instant) {
                peers += 1
                return "peer \(peers)"
            }
        }
        let now = Int64(Date().timeIntervalSince1970)
        let field = "Bearer \(try issuer.token(TokenIssuer.claims(at: now)))"
        let instant = NIODeadline.now()
        #expect(refusal(field, .read, at: instant) == nil)
        #expect(refusal(field, .read, at: instant + .seconds(600)) == nil)
        #expect(refusal(field, .read, at: instant + .seconds(640)) == .expired)
        #expect(refusal(field, .write, at: instant) == .scope(.write))
        // Far more than it has places for: each is still known for what it is.
        let reader = "Bearer \(Self.token("reader"))"
        for number in 0..<2_000 {
            let spelled = "Bearer\(String(repeating: " ", count: 1 + number))\(Self.token("reader"))"
            #expect(refusal(spelled, .read, at: instant) == nil)
            #expect(refusal(spelled + "x", .read, at: instant) == .invalid)
        }
        #expect(refusal(reader, .read, at: instant) == nil)
    }

    @Test func whoGuessesIsRefusedUnseenAndNobodyElseIs() async throws {
        let issuer = try await TokenIssuer.make()
        let access = DataAccess()
        access.apply(try Self.policy(jwt: await JWTVerifier(TokenIssuer.jwt(), text: issuer.set)))
        let now = Int64(Date().timeIntervalSince1970)
        let signed = try (0..<2).map { "Bearer \(try issuer.token(TokenIssuer.claims(["sub": "\"\($0)\""], at: now)))" }
        try await Self.with(access) { stage async throws in
            func ask(_ field: String) async throws -> RawAnswer {
                try await Self.ask(stage, "POST", "/v1/lookup", Self.question, [field])
            }
            // Known from before, to whichever loop its connections come.
            let known = try stage.connect()
            func again() async throws -> Int {
                try await known.ask("POST", "/v1/lookup", Self.question, headers: ["Authorization: \(signed[0])"])
                    .status
            }
            #expect(try await again() == 200)
            var answer = try await ask("Bearer guess")
            for number in 0..<70 where answer.status == 401 { answer = try await ask("Bearer guess\(number)") }
            #expect(answer.status == 429 && answer.headers["retry-after"] == "1", "\(answer)")
            #expect(answer.headers["www-authenticate"] == nil && answer.body.contains("rate-limited"))
            let feasts = try await Self.ask(stage, "POST", "/push", "{}", ["Bearer guess"])
            #expect(feasts.status == 429 && feasts.body.contains("FeastError"), "\(feasts)")
            // Whoever is known, or has a token of the config, is at work as before.
            #expect(try await again() == 200)
            #expect(try await ask("Bearer \(Self.token("reader"))").status == 200)
            let page = stage.serving.metrics.registry.render(.prometheus)
            #expect(page.contains("tidemark_access_refusals_total{transport=\"http\",reason=\"exhausted\"}"))
            // As gRPC asks, from the same peer and from another one.
            let calls = SharedAccess(access)
            func call(_ peer: String) -> AccessRefusal? {
                calls.refusal([signed[1]], .read, at: .now()) { PeerName.of(remotePeer: peer) }
            }
            #expect(call("ipv4:127.0.0.1:4711") == .exhausted)
            #expect(call("ipv6:[2001:db8::1]:4711") == nil)
            #expect(call("ipv4:127.0.0.1:4711") == nil)
        }
    }

    @Test func peersHaveTheSameNameOverBothProtocols() {
        #expect(PeerName.of(remotePeer: "ipv4:10.0.0.1:80") == "10.0.0.1")
        #expect(PeerName.of(remotePeer: "ipv6:[2001:db8::7]:80") == "2001:db8:0:0::/64")
        #expect(PeerName.of(remotePeer: "ipv6:[::1]:80") == "::1")
        for other in ["", ":", "unix:/x", "ipv4:", "ipv4:10.0.0.1", "vsock:1:2"] {
            #expect(PeerName.of(remotePeer: other) == "unknown", "\(other)")
        }
    }

    @Test func secretsAreInNoAnswerNoPageAndNoDescription() async throws {
        let config = try Self.config()
        let policy = try Self.policy()
        let access = DataAccess()
        access.apply(policy)
        try await Self.with(access) { stage async throws in
            var outputs = ["\(config)", "\(config.document)", "\(policy)", String(reflecting: policy)]
            var dumped = ""
            dump(policy, to: &dumped)
            outputs.append(dumped)
            for (_, token) in Self.tokens {
                for path in ["/v1/lookup", "/push", "/none", "/metrics"] {
                    let answer = try await Self.ask(stage, "POST", path, "{}", ["Bearer \(token)"])
                    outputs.append("\(answer.headers) \(answer.body)")
                }
            }
            outputs.append(stage.serving.metrics.registry.render(.prometheus))
            for (_, token) in Self.tokens {
                for secret in [token, AdminToken.sha256(token)] {
                    let isShown = outputs.contains { $0.contains(secret) }
                    #expect(!isShown, "a secret is in an output")
                }
            }
        }
    }
}
