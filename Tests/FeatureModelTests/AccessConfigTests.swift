import FeatureModel
import Testing

/// `serve.tokens`, `serve.jwt` and `tls`: everything is taken, and mistakes are found without showing a secret.
struct AccessConfigTests {
    private func parse(_ section: String) throws -> Config {
        let text = """
            project: shop
            online_store: {url: "redis://127.0.0.1/0"}
            sources: {shop: {url: "sqlite:shop.db"}}
            \(section)
            """
        return try Config.parse(file: "tidemark.yaml", text: Array(text.utf8))
    }

    private let hash = String(repeating: "0aF9", count: 16)

    @Test func withoutASectionEverybodyMayDoEverythingInTheClear() throws {
        #expect(try parse("").serve.access.isOpen)
        // Whoever takes back the last token wants nobody in.
        #expect(try !parse("serve: {tokens: []}").serve.access.isOpen)
        #expect(try parse("").serve.tls == nil)
    }

    @Test func everythingIsTaken() throws {
        let config = try parse(
            """
            serve:
              tls: {certificate: tls/server.pem, key: file:tls/server.key, client_ca: tls/ca.pem}
              tokens:
                - {name: web, sha256: env:WEB_SHA256, scopes: [read]}
                - {name: etl, sha256: "\(hash)", scopes: [write, read], projects: [shop, other]}
              jwt:
                keys: jwks.json
                issuer: https://issuer
                audience: tidemark
                algorithms: [EdDSA]
                scope_claim: scp
                scope_prefix: "features:"
                project_claim: projects
                leeway: 5s
            admin:
              tls: {certificate: admin.pem, key: env:ADMIN_KEY}
            """)
        let access = config.serve.access
        #expect(access.tokens?.map(\.name) == ["web", "etl"])
        #expect(access.tokens?.map(\.scopes) == [[.read], [.read, .write]])
        #expect(access.tokens?.map(\.projects) == [nil, ["shop", "other"]])
        let jwt = try #require(access.jwt)
        #expect(jwt.keys == "jwks.json" && jwt.issuer == "https://issuer" && jwt.audience == "tidemark")
        #expect(jwt.algorithms == ["EdDSA"] && jwt.scopeClaim == "scp" && jwt.scopePrefix == "features:")
        #expect(jwt.projectClaim == "projects" && jwt.leeway == .seconds(5))
        #expect(config.serve.tls?.key == .file("tls/server.key") && config.serve.tls?.clientCA == "tls/ca.pem")
        #expect(config.admin?.tls?.key == .environment("ADMIN_KEY") && config.admin?.tls?.clientCA == nil)
        #expect(
            config.document["serve"]?["tokens"] == [
                ["name": "web", "sha256": "env:WEB_SHA256", "scopes": ["read"]],
                ["name": "etl", "sha256": "(hidden)", "scopes": ["write", "read"], "projects": ["shop", "other"]],
            ])
        #expect(!"\(config) \(config.document)".contains(hash))
    }

    @Test(arguments: [
        "serve: {tokens: [{name: a, sha256: hunter2, scopes: [read]}]}",
        "serve: {tokens: [{name: a, sha256: env:A, scopes: [operate]}]}",
        "serve: {tokens: [{name: a, sha256: env:A, scopes: []}]}", "serve: {tokens: [{name: a, sha256: env:A}]}",
        "serve: {tokens: [{name: a, sha256: env:A, scopes: [read], projects: []}]}",
        "serve: {tokens: [{name: a, sha256: env:A, scopes: [read]}, {name: a, sha256: env:B, scopes: [read]}]}",
        "serve: {jwt: {keys: k, issuer: i}}", "serve: {jwt: {issuer: i, audience: a}}",
        "serve: {jwt: {keys: k, issuer: i, audience: a, algorithms: [none]}}",
        "serve: {jwt: {keys: k, issuer: i, audience: a, algorithms: [HS256]}}",
        "serve: {jwt: {keys: k, issuer: i, audience: a, algorithms: []}}",
        "serve: {jwt: {keys: k, issuer: i, audience: a, leeway: 1h}}",
        "serve: {tls: {certificate: c}}", "serve: {tls: {key: env:A}}",
        "serve: {tls: {certificate: c, key: hunter2}}", "admin: {tls: {certificate: c, key: hunter2}}",
        "serve: {tls: {certificate: c, key: env:A, ca: x}}", "serve: {tls: true}",
    ])
    func mistakesAreFoundAndShowNoSecret(section: String) {
        let error = #expect(throws: DefinitionErrors.self) { try parse(section) }
        let words = error.map { "\($0)" } ?? "hunter2"
        #expect(!words.contains("hunter2"))
    }
}
