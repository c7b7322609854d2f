import FeatureModel
import Testing

@Suite struct ConfigTests {
    /// A config with every key.
    static let right = """
        project: shop
        schemas: schemas/shop
        online_store:
          url: rediss://store.example:6380/3
          username: tidemark
          password: env:TIDEMARK_STORE_PASSWORD
          ca_file: /etc/tidemark/ca.pem
          connect_timeout: 3s
          command_timeout: 500ms
          max_connections: 8
          pipeline: {commands: 1000, bytes: 16MiB}
        sources:
          shop: {url: "sqlite:shop.db", statement_timeout: 10s, lock_timeout: 1s}
          warehouse:
            url: postgresql://db.example:5433,db2.example/warehouse?sslmode=verify-full
            username: reader
            password: file:/run/secrets/warehouse
        sync:
          metrics: "[::1]:9566"
          chunk_rows: 500
          chunks_in_flight: 2
          lease: 20s
          sweep_rows_per_second: 1000
          quarantine_limit: 100
          erasures: /var/lib/tidemark/erasures
          retry: {initial: 100ms, maximum: 10s, budget: 0.1}
          breaker: {failures: 3, open: 5s}
          shutdown: 15s
        telemetry: {log_level: debug, log_format: json}
        serve: {http: "[::1]:80"}
        admin: {http: "127.0.0.1:6567"}
        models: {}
        """

    private func parse(_ text: String) throws(DefinitionErrors) -> Config {
        try Config.parse(file: "tidemark.yaml", text: Array(text.utf8))
    }

    @Test func everyKeyIsRead() throws {
        let config = try parse(Self.right)
        #expect(config.project == "shop")
        #expect(config.schemas == "schemas/shop")
        let store = config.onlineStore
        #expect(store.url.scheme == .rediss)
        #expect(store.url.text == "rediss://store.example:6380/3")
        #expect(store.username == "tidemark")
        #expect(store.password == .environment("TIDEMARK_STORE_PASSWORD"))
        #expect(store.caFile == "/etc/tidemark/ca.pem")
        #expect(store.connectTimeout == .seconds(3))
        #expect(store.commandTimeout == .milliseconds(500))
        #expect(store.maximumConnections == 8)
        #expect(store.pipelineCommands == 1_000)
        #expect(store.pipelineBytes == 16 << 20)
        let shop = try #require(config.source("shop"))
        #expect(shop.url.scheme == .sqlite)
        #expect(shop.url.path == "shop.db")
        #expect(shop.statementTimeout == .seconds(10))
        #expect(shop.lockTimeout == .seconds(1))
        #expect(shop.connectTimeout == .seconds(5))
        let warehouse = try #require(config.source("warehouse"))
        #expect(warehouse.url.scheme == .postgresql)
        #expect(warehouse.password == .file("/run/secrets/warehouse"))
        #expect(warehouse.password?.description == "file:/run/secrets/warehouse")
        #expect(config.sync.metrics == NetworkAddress(host: "::1", port: 9566))
        #expect(config.sync.chunkRows == 500)
        #expect(config.sync.chunksInFlight == 2)
        #expect(config.sync.lease == .seconds(20))
        #expect(config.sync.sweepRowsPerSecond == 1_000)
        #expect(config.sync.quarantineLimit == 100)
        #expect(config.sync.erasures == "/var/lib/tidemark/erasures")
        #expect(config.sync.retry == config.sync.retry)
        #expect(config.sync.retry.initial == .milliseconds(100))
        #expect(config.sync.retry.maximum == .seconds(10))
        #expect(config.sync.retry.budget == 0.1)
        #expect(config.sync.breaker.failures == 3)
        #expect(config.sync.breaker.open == .seconds(5))
        #expect(config.sync.shutdown == .seconds(15))
        #expect(config.telemetry.logLevel == .debug)
        #expect(config.telemetry.logFormat == .json)
        #expect(config.uninterpreted.isEmpty)
    }

    @Test func defaultsStandInForWhatIsNotSaid() throws {
        let config = try parse(
            """
            project: demo
            online_store: {url: "memory:"}
            sources: {shop: {url: "csv:exports"}}
            """)
        #expect(config.schemas == "schemas/demo")
        #expect(config.onlineStore.url.scheme == .memory)
        #expect(config.onlineStore.commandTimeout == .seconds(1))
        #expect(config.sync.metrics == NetworkAddress(host: "127.0.0.1", port: 9566))
        #expect(config.sync.chunkRows == 1_000)
        #expect(config.sync.lease == .seconds(30))
        #expect(config.telemetry.logLevel == .info)
        #expect(config.telemetry.logFormat == .text)
        #expect(config.uninterpreted.isEmpty)
    }

    @Test func theExampleOfTheInterfaceIsRead() throws {
        let config = try parse(
            """
            project: shop
            schemas: schemas/shop
            online_store: {url: redis://127.0.0.1:6379/0}     # rediss:// sqlite:PATH memory:
            sources:
              shop: {url: sqlite:shop.db}                     # postgresql://…  csv:DIR
            serve: {http: 0.0.0.0:6566, grpc: 0.0.0.0:6568, timeout: 50ms, max_in_flight: adaptive}
            admin: {http: 127.0.0.1:6567, tokens: [{name: ops, sha256: env:TIDEMARK_ADMIN_TOKEN_SHA256, scopes: [operate]}]}
            """)
        #expect(config.uninterpreted.isEmpty)
        #expect(config.serve.grpc == NetworkAddress(host: "0.0.0.0", port: 6_568))
        #expect(config.sources.map(\.name) == ["shop"])
    }

    @Test(arguments: [
        "redis://localhost", "redis://localhost/0", "redis://user@10.0.0.1:1/15", "redis://[::1]:6379", "redis://[::1]",
        "rediss://a.b-c.example:65535?verify=none", "redis+unix:///run/redis.sock?db=3", "sqlite:/var/lib/t.db",
        "memory:",
    ])
    func storeURLsAreAccepted(_ url: String) throws {
        let text = "project: a\nonline_store: {url: \"\(url)\"}\nsources: {s: {url: \"sqlite:a\"}}"
        #expect(try parse(text).onlineStore.url.text == url)
    }

    @Test(arguments: [
        "postgresql:///db", "postgres://u@h:5432/db", "postgresql://h1,h2:5433/db?target_session_attrs=any",
        "sqlite:a b.db".replacing(" ", with: "_"), "csv:dir/sub",
    ])
    func sourceURLsAreAccepted(_ url: String) throws {
        let text = "project: a\nonline_store: {url: \"memory:\"}\nsources: {s: {url: \"\(url)\"}}"
        #expect(try parse(text).sources.first?.url.text == url)
    }

    @Test func metricsCanBeSwitchedOff() throws {
        let config = try parse(Self.right.replacing("\"[::1]:9566\"", with: "off"))
        #expect(config.sync.metrics == nil)
    }

    @Test func aViewOfAnUnknownSourceIsNamed() throws {
        let config = try parse(Self.right)
        let good = try Catalog.compile(project: "shop", files: try Files.shop())
        try config.validate(good)
        let text = WrongDefinitionTests.right.replacing("from: shop", with: "from: warehous")
        let bad = try Catalog.compile(project: "shop", files: [("views.yaml", Array(text.utf8))])
        do {
            try config.validate(bad)
            Issue.record("accepted")
        } catch {
            #expect(
                error.description
                    == "tidemark.yaml:13: sources: found \"warehous\", expected the view activity to read from a source of "
                    + "the config: shop or warehouse; did you mean \"warehouse\"?")
        }
    }

    @Test func addressesKeepTheirSpelling() {
        for text in ["127.0.0.1:9566", "[::1]:0", "localhost:65535", "[fe80::1]:80"] {
            #expect(NetworkAddress(spelling: text)?.description == text)
        }
        for text in [
            "", ":80", "host", "host:", "host:65536", "host:-1", "host:+1", "::1:80", "a b:80", "[x]:80", "h:08",
            "256.1.1.1:80",
        ] {
            #expect(NetworkAddress(spelling: text) == nil, "\(text)")
        }
    }
}
