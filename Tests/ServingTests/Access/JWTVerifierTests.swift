import FeatureModel
import JWTKit
import NIOCore
import Testing
import TidemarkTesting

@testable import Serving  // A token's grant is nobody's business outside of the module.

/// Signed tokens: only what the issuer signed for us, now, with an algorithm that we asked for.
@Suite(.timeLimit(.minutes(2))) struct JWTVerifierTests {
    private static func grant(
        _ verifier: JWTVerifier, _ token: String, now: Int64 = TokenIssuer.now
    ) -> Result<AccessGrant, AccessRefusal> {
        do throws(AccessRefusal) {
            return .success(
                try verifier.grant(Array(token.utf8)[...], project: "shop", now: now, at: .uptimeNanoseconds(0)))
        } catch {
            return .failure(error)
        }
    }

    @Test func whatTheIssuerSignedIsTaken() async throws {
        let issuer = try await TokenIssuer.make()
        for (more, keys) in [("", issuer.set), (", algorithms: [ES256]", Array(issuer.publicPEM.utf8))] {
            let verifier = try await JWTVerifier(TokenIssuer.jwt(more), text: keys)
            let grant = try Self.grant(verifier, issuer.token(TokenIssuer.claims())).get()
            #expect(grant.name == "svc" && grant.scopes == [.read] && grant.isOfProject)
            // 600 s and the leeway.
            #expect(grant.expiresAt == .uptimeNanoseconds(630_000_000_000))
        }
    }

    @Test(
        arguments: [
            (["exp": nil], AccessRefusal.invalid), (["exp": "\"1900000000\""], .invalid), (["exp": "1e300"], .invalid),
            (["exp": "9223372036854775807"], .invalid), (["exp": "-9223372036854775808"], .invalid),
            (["exp": "\(TokenIssuer.now - 30)"], .expired), (["nbf": "\(TokenIssuer.now + 31)"], .invalid),
            (["nbf": "true"], .invalid), (["iss": "\"https://issuer/\""], .invalid), (["iss": nil], .invalid),
            (["aud": "\"other\""], .invalid), (["aud": nil], .invalid), (["aud": "[\"other\"]"], .invalid),
            (["aud": "\"other tidemark\""], .invalid),
        ] as [([String: String?], AccessRefusal)])
    func claimsThatAreNotForUsAreRefused(changes: [String: String?], reason: AccessRefusal) async throws {
        let issuer = try await TokenIssuer.make()
        let verifier = try await JWTVerifier(TokenIssuer.jwt(), text: issuer.set)
        #expect(Self.grant(verifier, try issuer.token(TokenIssuer.claims(changes))) == .failure(reason))
    }

    @Test func clocksMayDifferByTheLeeway() async throws {
        let issuer = try await TokenIssuer.make()
        let verifier = try await JWTVerifier(TokenIssuer.jwt(), text: issuer.set)
        let now = TokenIssuer.now
        for changes in [
            ["exp": "\(now - 29)"], ["nbf": "\(now + 30)"], ["exp": "\(now).5"], ["aud": "[\"a\",\"tidemark\"]"],
        ] {
            let result = Self.grant(verifier, try issuer.token(TokenIssuer.claims(changes)))
            #expect((try? result.get()) != nil, "\(changes)")
        }
    }

    @Test func scopesAndProjectsAreReadAsTheConfigSays() async throws {
        let issuer = try await TokenIssuer.make()
        func grant(_ more: String, _ changes: [String: String?]) async throws -> AccessGrant {
            let verifier = try await JWTVerifier(TokenIssuer.jwt(more), text: issuer.set)
            return try Self.grant(verifier, issuer.token(TokenIssuer.claims(changes))).get()
        }
        #expect(try await grant("", ["scope": "\"openid write read\""]).scopes == [.read, .write])
        #expect(try await grant("", ["scope": "[\"write\"]"]).scopes == [.write])
        #expect(try await grant("", ["scope": nil]).scopes.isEmpty)
        #expect(try await grant("", ["scope": "\"reader\""]).scopes.isEmpty)
        #expect(try await grant(", scope_claim: scp, scope_prefix: \"tm:\"", ["scp": "\"tm:read\""]).scopes == [.read])
        #expect(try await grant(", scope_prefix: \"tm:\"", [:]).scopes.isEmpty)
        #expect(try await grant(", project_claim: shops", ["shops": "[\"shop\"]"]).isOfProject)
        #expect(try await !grant(", project_claim: shops", ["shops": "\"other\""]).isOfProject)
        #expect(try await !grant(", project_claim: shops", [:]).isOfProject)
    }

    @Test func whatIsNotSignedByTheIssuerIsRefused() async throws {
        let (issuer, other) = (try await TokenIssuer.make(), try await TokenIssuer.make())
        let verifier = try await JWTVerifier(TokenIssuer.jwt(), text: issuer.set)
        let claims = TokenIssuer.claims()
        let right = try issuer.token(claims)
        let parts = right.split(separator: ".").map(String.init)
        let more = TokenIssuer.base64(Array(TokenIssuer.claims(["scope": "\"read write\""]).utf8))
        func header(_ text: String) throws -> String { try issuer.token(claims, header: text) }
        // A secret that everybody knows: the public key.
        let hmac = await JWTKeyCollection().add(
            hmac: HMACKey(from: issuer.publicPEM), digestAlgorithm: .sha256, kid: "k1")
        let confused = TokenIssuer(
            key: try await hmac.getKey(for: "k1", alg: "HS256"), publicPEM: "", jwk: "")
        var wrong = [
            try other.token(claims), "\(parts[0]).\(more).\(parts[2])", "\(parts[0]).\(parts[1]).",
            "\(parts[0]).\(parts[1])", "\(right).", "\(right).x", "", ".", "..", "...", right + "=",
            try header("{\"alg\":\"none\"}"), try header("{\"alg\":\"HS256\",\"kid\":\"k1\"}"),
            try header("{\"alg\":\"es256\",\"kid\":\"k1\"}"), try header("{\"kid\":\"k1\"}"),
            try header("{\"alg\":\"ES256\",\"kid\":\"k2\"}"), try header("{\"alg\":\"RS256\",\"kid\":\"k1\"}"),
            try header("{\"alg\":\"ES256\",\"kid\":\"k1\",\"crit\":[\"b64\"],\"b64\":false}"),
            try header("[]"), try header(String(repeating: "[", count: 4_000)), try issuer.token("[]"),
            try issuer.token(""),
            try confused.token(claims, header: "{\"alg\":\"HS256\",\"kid\":\"k1\"}"),
            "\(TokenIssuer.base64(Array("{\"alg\":\"none\"}".utf8))).\(parts[1]).",
        ]
        var generator = SeededGenerator(seed: 0x7e57)
        for _ in 0..<200 {
            var bytes = Array(right.utf8)
            bytes[Int.random(in: bytes.indices, using: &generator)] = UInt8.random(in: 0x21...0x7e, using: &generator)
            if bytes != Array(right.utf8) { wrong.append(String(decoding: bytes, as: UTF8.self)) }
        }
        for token in wrong { #expect(Self.grant(verifier, token) == .failure(.invalid), "\(token), seed 0x7e57") }
        let strict = try await JWTVerifier(TokenIssuer.jwt(", algorithms: [ES256, ES384]"), text: issuer.set)
        #expect((try? Self.grant(strict, right).get()) != nil)
    }

    @Test func filesThatAreNoPublicKeysAreNamedWithTheReason() async throws {
        let issuer = try await TokenIssuer.make()
        let secret = "c2VjcmV0LXNlY3JldA"
        let wrong: [(String, String)] = [
            ("", "neither a JWK set"), ("{}", "neither a JWK set"), ("{\"keys\":[]}", "no key in it fits"),
            ("{\"keys\":[{\"kty\":\"oct\",\"k\":\"\(secret)\"}]}", "private or secret key"),
            ("{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"d\":\"\(secret)\"}]}", "private or secret key"),
            ("{\"keys\":[\(issuer.jwk.replacing("\"use\":\"sig\"", with: "\"use\":\"enc\""))]}", "no key in it fits"),
            ("-----BEGIN PRIVATE KEY-----\n\(secret)\n", "it is a private key"),
            ("-----BEGIN PUBLIC KEY-----\n\(secret)\n", "no public key in PEM"),
        ]
        for (text, reason) in wrong {
            let config = try TokenIssuer.jwt()
            let error = await #expect(throws: AccessKeyError.self) {
                try await JWTVerifier(config, text: Array(text.utf8))
            }
            let words = error?.description ?? ""
            #expect(words.hasPrefix("serve.jwt, keys, keys.json: ") && words.contains(reason), "\(words)")
            #expect(!words.contains(secret))
        }
        let other = try TokenIssuer.jwt(", algorithms: [RS256]")
        await #expect(throws: AccessKeyError.self) { try await JWTVerifier(other, text: issuer.set) }
    }
}
