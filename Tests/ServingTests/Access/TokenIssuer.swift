import FeatureModel
import Foundation
import JWTKit
import Serving

/// Somebody who signs tokens, with a key of its own.
struct TokenIssuer: Sendable {
    let key: any JWTAlgorithm
    let publicPEM: String
    /// The key as a member of a JWK set, as `kid` "k1".
    let jwk: String

    static let now: Int64 = 1_800_000_000

    static func make() async throws -> TokenIssuer {
        let key = ES256PrivateKey()
        let collection = await JWTKeyCollection().add(ecdsa: key, kid: "k1")
        guard let point = key.parameters else { throw AdminClient.Broken(text: "no point") }
        return TokenIssuer(
            key: try await collection.getKey(for: "k1", alg: "ES256"), publicPEM: key.publicKey.pemRepresentation,
            jwk: "{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"k1\",\"use\":\"sig\",\"x\":\"\(Self.url(point.x))\","
                + "\"y\":\"\(Self.url(point.y))\"}")
    }

    var set: [UInt8] { Array("{\"keys\":[\(jwk)]}".utf8) }

    /// A token of these claims, as JSON.
    func token(_ claims: String, header: String = "{\"alg\":\"ES256\",\"kid\":\"k1\",\"typ\":\"JWT\"}") throws -> String
    {
        let signed = "\(Self.base64(Array(header.utf8))).\(Self.base64(Array(claims.utf8)))"
        return "\(signed).\(Self.base64(try key.sign(Array(signed.utf8))))"
    }

    /// Claims that are right, with others in their place or beside them.
    static func claims(_ changes: [String: String?] = [:], at now: Int64 = now) -> String {
        var claims: [String: String?] = [
            "iss": "\"https://issuer\"", "aud": "\"tidemark\"", "sub": "\"svc\"", "exp": "\(now + 600)",
            "scope": "\"read\"",
        ]
        claims.merge(changes) { $1 }
        return "{\(claims.compactMap { name, value in value.map { "\"\(name)\":\($0)" } }.joined(separator: ","))}"
    }

    static func config(_ more: String = "") throws -> Config {
        let text = """
            project: shop
            online_store: {url: "redis://127.0.0.1:6379/0"}
            sources: {shop: {url: "sqlite:shop.db"}}
            serve:
              jwt: {keys: keys.json, issuer: "https://issuer", audience: tidemark\(more)}
            """
        return try Config.parse(file: "tidemark.yaml", text: Array(text.utf8))
    }

    static func jwt(_ more: String = "") throws -> JWTConfig {
        guard let jwt = try config(more).serve.access.jwt else { throw AdminClient.Broken(text: "no jwt") }
        return jwt
    }

    static func base64(_ bytes: [UInt8]) -> String { url(Data(bytes).base64EncodedString()) }

    private static func url(_ text: String) -> String {
        text.replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
    }
}
