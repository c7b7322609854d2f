import FeatureModel
import Testing

struct AdminConfigTests {
    private func parse(_ admin: String, store: String = "{url: \"redis://127.0.0.1/0\"}") throws -> Config {
        let text = """
            project: shop
            online_store: \(store)
            sources: {shop: {url: "postgresql://reader@db:5432/shop?sslmode=require", password: env:DB_PASSWORD}}
            \(admin)
            """
        return try Config.parse(file: "tidemark.yaml", text: Array(text.utf8))
    }

    private let hash = String(repeating: "0aF9", count: 16)

    @Test func withoutASectionThereIsNoListener() throws {
        #expect(try parse("").admin == nil)
    }

    @Test func aSectionAloneHasTheDefaults() throws {
        let admin = try #require(try parse("admin: {}").admin)
        #expect(admin.http == NetworkAddress(host: "127.0.0.1", port: 6567))
        #expect(admin.tokens.isEmpty && admin.hosts.isEmpty)
        #expect(admin.audit == "admin-audit.jsonl" && admin.state == "admin-state.db")
        #expect(admin.readsPerMinute == 600 && admin.changesPerMinute == 60 && admin.failuresPerMinute == 10)
    }

    @Test func everythingIsTaken() throws {
        let admin = try #require(
            try parse(
                """
                admin:
                  http: "[::1]:7000"
                  hosts: [Tidemark.Internal]
                  audit: off
                  state: off
                  rate: {reads: 7, changes: 8, failures: 9}
                  tokens:
                    - {name: ops, sha256: env:OPS_SHA256, scopes: [operate, read]}
                    - {name: root, sha256: file:/run/root.sha256, scopes: [admin]}
                    - {name: ci, sha256: "\(hash)", scopes: [read]}
                """
            ).admin)
        #expect(admin.http == NetworkAddress(host: "::1", port: 7000))
        #expect(admin.hosts == ["tidemark.internal"])
        #expect(admin.audit == nil && admin.state == nil)
        #expect([admin.readsPerMinute, admin.changesPerMinute, admin.failuresPerMinute] == [7, 8, 9])
        #expect(admin.tokens.map(\.name) == ["ops", "root", "ci"])
        #expect(
            admin.tokens.map(\.sha256)
                == [.kept(.environment("OPS_SHA256")), .kept(.file("/run/root.sha256")), .digits(hash.lowercased())])
        #expect(admin.tokens.map { $0.scopes.max() } == [.operate, .admin, .read])
        #expect(try parse("admin: {http: off}").admin?.http == nil)
    }

    @Test(arguments: [
        "admin: {tokens: [{name: ops, sha256: hunter2hunter2, scopes: [read]}]}",
        "admin: {tokens: [{name: ops, sha256: env:A, scopes: [root]}]}",
        "admin: {tokens: [{name: ops, sha256: env:A, scopes: []}]}",
        "admin: {tokens: [{name: ops, sha256: env:A}]}",
        "admin: {tokens: [{name: \"o s\", sha256: env:A, scopes: [read]}]}",
        "admin: {tokens: [{name: a, sha256: env:A, scopes: [read]}, {name: a, sha256: env:B, scopes: [read]}]}",
        "admin: {http: nowhere}", "admin: {rate: {reads: 0}}", "admin: {token: []}",
    ])
    func mistakesAreFoundAndShowNoSecret(section: String) {
        let error = #expect(throws: DefinitionErrors.self) { try parse(section) }
        let words = error.map { "\($0)" } ?? "hunter2"
        #expect(!words.contains("hunter2"))
    }

    @Test func theDocumentShowsWhatIsWrittenWithoutWhatMustNotBeShown() throws {
        let config = try parse(
            "admin: {tokens: [{name: ci, sha256: \"\(hash)\", scopes: [read]}], rate: {reads: 7}}",
            store: "{url: \"redis://user@127.0.0.1:6379/0\", password: file:/run/secret, command_timeout: 2s}")
        let document = config.document
        #expect(document["project"] == "shop")
        #expect(document["online_store"]?["url"] == "redis://(hidden)@127.0.0.1:6379/0")
        #expect(document["online_store"]?["password"] == "file:/run/secret")
        #expect(document["online_store"]?["command_timeout"] == "2s")
        #expect(document["sources"]?["shop"]?["url"] == "postgresql://(hidden)@db:5432/shop")
        #expect(document["admin"]?["rate"]?["reads"] == 7)
        #expect(
            document["admin"]?["tokens"] == [["name": "ci", "sha256": "(hidden)", "scopes": ["read"]]])
        #expect(!"\(document) \(config)".contains(hash))
    }
}
