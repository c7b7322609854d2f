import FeatureModel
import Testing

/// `serve` in the config: what it says, what it means where it says nothing, and each mistake by line and key.
@Suite struct ServeConfigTests {
    static let right = """
        project: shop
        online_store: {url: "redis://127.0.0.1:6379/0"}
        sources: {shop: {url: "sqlite:shop.db"}}
        serve:
          http: 127.0.0.1:7000
          grpc: 127.0.0.1:7001
          threads: 3
          timeout: 20ms
          max_timeout: 2s
          max_in_flight: 64
          limits:
            body: 1MiB
            header_bytes: 8KiB
            headers: 50
            entities: 500
            features: 300
            values: 20000
            connections: 1000
          client: {request: 5s, idle: 30s, write: 2s}
          drain: 5s
          unready: 0s
          catalog_refresh: 500ms
          feast_statuses: feast
          breaker: {failures: 7, open: 3s, window: 20s, min_calls: 8, failure_share: 0.4, slow_share: 0.6, slow_call: 40ms}
        """

    private func parse(_ text: String) throws(DefinitionErrors) -> Config {
        try Config.parse(file: "tidemark.yaml", text: Array(text.utf8))
    }

    @Test func everyKeyIsRead() throws {
        let serve = try parse(Self.right).serve
        #expect(serve.http == NetworkAddress(host: "127.0.0.1", port: 7_000))
        #expect(serve.grpc == NetworkAddress(host: "127.0.0.1", port: 7_001))
        #expect(serve.threads == 3)
        #expect(serve.timeout == .milliseconds(20))
        #expect(serve.maximumTimeout == .seconds(2))
        #expect(serve.maximumInFlight == .fixed(64))
        #expect(serve.limits.body == 1 << 20)
        #expect(serve.limits.headerBytes == 8 << 10)
        #expect(serve.limits.headers == 50)
        #expect(serve.limits.entities == 500)
        #expect(serve.limits.features == 300)
        #expect(serve.limits.values == 20_000)
        #expect(serve.limits.connections == 1_000)
        #expect(serve.client.request == .seconds(5))
        #expect(serve.client.idle == .seconds(30))
        #expect(serve.client.write == .seconds(2))
        #expect(serve.drain == .seconds(5))
        #expect(serve.unready == .zero)
        #expect(serve.catalogRefresh == .milliseconds(500))
        #expect(serve.feastStatuses == .feast)
        #expect(serve.breaker.failures == 7)
        #expect(serve.breaker.open == .seconds(3))
        #expect(serve.breaker.window == .seconds(20) && serve.breaker.minimumCalls == 8)
        #expect(serve.breaker.failureShare == 0.4 && serve.breaker.slowShare == 0.6)
        #expect(serve.breaker.slowCall == .milliseconds(40))
        #expect(try parse(Self.right).uninterpreted.isEmpty)
    }

    @Test func defaultsStandInForWhatIsNotSaid() throws {
        let head = Self.right.split(separator: "serve:")[0]
        let serve = try parse(String(head)).serve
        #expect(serve == (try parse("\(head)serve: {}")).serve)
        #expect(serve.http == NetworkAddress(host: "0.0.0.0", port: 6_566))
        #expect(serve.threads == nil)
        #expect(serve.timeout == .milliseconds(50))
        #expect(serve.maximumTimeout == .seconds(10))
        #expect(serve.maximumInFlight == .adaptive)
        #expect(serve.limits.body == 4 << 20)
        #expect(serve.limits.entities == 10_000)
        #expect(serve.limits.features == 2_000)
        #expect(serve.limits.values == 1_000_000)
        #expect(serve.client.request == .seconds(10))
        #expect(serve.client.idle == .seconds(75))
        #expect(serve.client.write == .seconds(10))
        #expect(serve.drain == .seconds(10))
        #expect(serve.unready == .seconds(1))
        #expect(serve.catalogRefresh == .seconds(1))
        #expect(serve.feastStatuses == .honest)
        #expect(serve.breaker.failures == 5)
        #expect(serve.breaker.open == .seconds(1))
        #expect(serve.breaker.window == .seconds(10) && serve.breaker.minimumCalls == 20)
        #expect(serve.breaker.failureShare == 0.5 && serve.breaker.slowShare == 0.8)
        #expect(serve.breaker.slowCall == nil, "lookups are of any size")
    }

    @Test func aLongTimeoutRaisesTheDefaultOfTheLongest() throws {
        let head = Self.right.split(separator: "serve:")[0]
        let serve = try parse("\(head)serve: {timeout: 20s, max_in_flight: adaptive}").serve
        #expect(serve.maximumTimeout == .seconds(20))
        #expect(serve.drain == .seconds(20))
        #expect(serve.maximumInFlight == .adaptive)
    }

    static let mistakes = [
        WrongFile(5, "  http: 6566", "serve.http", "found 6566", "0.0.0.0:6566"),
        WrongFile(5, "  http: off", "serve.http", "found \"off\"", "an address such as"),
        WrongFile(5, "  http: \"::1:6566\"", "serve.http", "[::1]:6566"),
        WrongFile(5, "  htp: 0.0.0.0:6566", "serve.htp", "found \"htp\"", "did you mean \"http\"?"),
        WrongFile(6, "  grpc: 6568", "serve.grpc", "found 6568", "an address such as"),
        WrongFile(6, "  tls: {certificate: a, key: b}", "serve.tls.key", "env:NAME or file:PATH"),
        WrongFile(6, "  tsl: {certificate: a}", "serve.tsl", "found \"tsl\"", "did you mean \"tls\"?"),
        WrongFile(7, "  threads: 0", "serve.threads", "found 0", "from 1 to 256"),
        WrongFile(8, "  timeout: 20", "serve.timeout", "found 20", "a duration such as"),
        WrongFile(8, "  timeout: 3s", "serve.timeout", "found 3s", "at most max_timeout = 2s"),
        WrongFile(8, "  timeout: 2m", "serve.timeout", "from 1ms to 1m"),
        WrongFile(8, "  time_out: 20ms", "serve.time_out", "did you mean \"timeout\"?"),
        WrongFile(8, "", at: 9, "serve.timeout", "found 50ms", "at most max_timeout = 10ms"),
        WrongFile(9, "  max_timeout: 10ms", at: 8, "serve.timeout", "found 20ms", "at most max_timeout = 10ms"),
        WrongFile(10, "  max_in_flight: adaptiv", "serve.max_in_flight", "adaptive", "a whole number"),
        WrongFile(10, "  max_in_flight: 0", "serve.max_in_flight", "found 0", "from 1 to 1000000"),
        WrongFile(12, "    body: 4MB", "serve.limits.body", "found \"4MB\"", "4MiB"),
        WrongFile(12, "    body: 10", "serve.limits.body", "found 10", "from 1024"),
        WrongFile(15, "    entities: 1.5", "serve.limits.entities", "found 1.5", "a whole number"),
        WrongFile(15, "    entities: 20001", at: 17, "serve.limits.values", "found 20000", "entities = 20001"),
        WrongFile(16, "    feature: 3", "serve.limits.feature", "did you mean \"features\"?"),
        WrongFile(17, "    values: 400", "serve.limits.values", "found 400", "at least entities = 500"),
        WrongFile(19, "  client: {idle: 1ms}", "serve.client.idle", "from 100ms"),
        WrongFile(20, "  drain: 10ms", "serve.drain", "found 10ms", "at least timeout = 20ms"),
        WrongFile(22, "  catalog_refresh: 1ms", "serve.catalog_refresh", "from 50ms to 1h"),
        WrongFile(23, "  feast_statuses: fast", "serve.feast_statuses", "did you mean \"feast\"?"),
        WrongFile(24, "  breaker: {failures: 0}", "serve.breaker.failures", "found 0", "from 1 to 1000"),
    ]

    @Test(arguments: mistakes)
    func mistakeIsNamedWithItsPlace(_ wrong: WrongFile) {
        var right = Self.right
        // Without its own timeout the default is held against the file's longest.
        if wrong.replaced == 8, wrong.text.isEmpty {
            right = right.replacing("max_timeout: 2s", with: "max_timeout: 10ms")
        }
        do {
            _ = try Config.parse(file: "tidemark.yaml", text: wrong.file(from: right))
            Issue.record("accepted: \(wrong.text)")
        } catch {
            wrong.expect(in: error, file: "tidemark.yaml")
        }
    }

    @Test func feastsRowsNeedNothingOfOurs() throws {
        let config = try parse(
            "project: shop\nserve:\n  feast: {registry: r.db, redis: \"redis://127.0.0.1:6379/1\"}\n")
        let feast = try #require(config.serve.feast)
        #expect(
            feast.registry == "r.db" && feast.project == "shop" && feast.store.url.text == "redis://127.0.0.1:6379/1")
        #expect(feast.keyVersion == 3 && !feast.versionedNames && config.sources.isEmpty)
        let whole = try parse(
            Self.right
                + "\n  feast: {registry: r.db, redis: \"rediss://r:1/0\", project: Drivers, password: \"env:P\", key_version: 2, "
                + "versioned_names: true, command_timeout: 2s}\n")
        let other = try #require(whole.serve.feast)
        #expect(other.project == "Drivers" && other.keyVersion == 2 && other.versionedNames)
        #expect(other.store.password == .environment("P") && other.store.commandTimeout == .seconds(2))
        #expect(whole.sources.count == 1)
    }

    @Test(arguments: [
        ("{redis: \"redis://a:1/0\"}", "registry"), ("{registry: r.db}", "redis"),
        ("{registry: r.db, redis: \"sqlite:x\"}", "redis"),
        ("{registry: r.db, redis: \"redis://u:secret@a:1/0\"}", "redis"),
        ("{registry: r.db, redis: \"redis://a:1/0\", key_version: 1}", "key_version"),
        ("{registry: r.db, redis: \"redis://a:1/0\", registrie: x}", "registrie"),
    ])
    func wrongSettingsOfFeastAreNamed(_ text: String, _ word: String) {
        do {
            _ = try parse("project: shop\nserve:\n  feast: \(text)\n")
            Issue.record("accepted: \(text)")
        } catch {
            #expect(error.description.contains(word) && error.description.contains("tidemark.yaml:3"), "\(error)")
            #expect(!error.description.contains("secret"))
        }
    }
}
