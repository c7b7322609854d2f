import FeatureModel
import Testing

/// Each row is one mistake in a config; the reader must name line and key, say what should stand there, and show no secret.
@Suite struct WrongConfigTests {
    static let right = """
        project: shop
        schemas: schemas/shop
        online_store:
          url: redis://127.0.0.1:6379/0
          password: env:STORE_PASSWORD
          command_timeout: 1s
        sources:
          shop:
            url: postgresql://localhost/shop
            password: file:/run/secrets/shop
            statement_timeout: 10s
        sync:
          metrics: 127.0.0.1:9566
          lease: 30s
        telemetry: {log_level: info}
        """

    static let mistakes = [
        WrongFile(0, "", "", "found an empty file", "online_store"),
        WrongFile(0, "# nothing\n", "", "found an empty file"),
        WrongFile(0, "project", at: 1, "", "found \"project\"", "a mapping with the keys project"),
        WrongFile(0, "[project]", at: 1, "", "found a list"),
        WrongFile(0, "project: shop\n---\nproject: shop\n", at: 2, "", "another document"),
        WrongFile(1, "project: My Shop", "project", "found \"My Shop\"", "1 to 32 of a-z"),
        WrongFile(1, "projct: shop", "projct", "found \"projct\"", "did you mean \"project\"?"),
        WrongFile(1, "", at: 2, "", "found no project"),
        WrongFile(1, "project: shop\nproject: shop", at: 2, "", "\"project\" twice", "line 1"),
        WrongFile(2, "schemas: [a]", "schemas", "found a list", "a path"),
        WrongFile(2, "schemas: *here", "", "undefined alias", "in quotes"),
        WrongFile(2, "schemas: &here a", "", "an anchor"),
        WrongFile(2, "schemas: !!int 5", "", "a tag"),
        WrongFile(2, "schemas: \"a", at: 15, "", "unexpected end of stream", "from line 2"),
        WrongFile(2, "\tschemas: a", "", "expected YAML", "indent with blanks"),
        WrongFile(2, "schemas: a: b", "", "mapping values are not allowed"),
        WrongFile(2, "{a: b}: 1", "", "a mapping as a key", "a word"),
        WrongFile(2, "? a\n: 1", "", "a key marked by ?"),
        WrongFile(4, "  url: redis//127.0.0.1", "online_store.url", "text without a scheme", "redis://HOST:PORT/DB"),
        WrongFile(
            4, "  url: redsi://127.0.0.1", "online_store.url", "the scheme \"redsi\"", "did you mean \"redis:\"?"),
        WrongFile(4, "  url: http://127.0.0.1", "online_store.url", "the scheme \"http\""),
        WrongFile(4, "  url: redis://u:hunter2@h/0", "online_store.url", "a password in the URL", "password: env:NAME"),
        WrongFile(4, "  url: \"redis://:hunter2@h/0\"", "online_store.url", "a password in the URL"),
        WrongFile(4, "  url: \"redis://u:hun/ter2@h/0\"", "online_store.url", "a password in the URL"),
        WrongFile(4, "  url: \"redis://:hunter2/0\"", "online_store.url", "a port that is none"),
        WrongFile(4, "  url: redis://h:0/0", "online_store.url", "a port that is none", "1 to 65535"),
        WrongFile(4, "  url: redis://h:65536/0", "online_store.url", "a port that is none"),
        WrongFile(4, "  url: redis://h/first", "online_store.url", "a database that is none"),
        WrongFile(4, "  url: redis://h1,h2/0", "online_store.url", "several hosts"),
        WrongFile(4, "  url: redis:///0", "online_store.url", "no host"),
        WrongFile(4, "  url: redis://h/0?timeout=3", "online_store.url", "the option \"timeout\""),
        WrongFile(4, "  url: redis+unix://run/redis.sock", "online_store.url", "no socket", "an absolute path"),
        WrongFile(4, "  url: redis+sentinel://h:26379/main/0", "online_store.url", "redis+sentinel://", "no Sentinel"),
        WrongFile(4, "  url: redis+cluster://a:1,b:2", "online_store.url", "redis+cluster://", "no Cluster"),
        WrongFile(4, "  url: \"sqlite:\"", "online_store.url", "no path"),
        WrongFile(4, "  url: sqlite:///a.db", "online_store.url", "// behind sqlite:", "the path itself"),
        WrongFile(4, "  url: memory:here", "online_store.url", "memory: alone"),
        WrongFile(4, "  url: \"redis://a b\"", "online_store.url", "a blank in a URL"),
        WrongFile(4, "  url: 5", "online_store.url", "text without a scheme"),
        WrongFile(4, "  url: {}", "online_store.url", "found a mapping", "a URL"),
        WrongFile(4, "", at: 5, "online_store", "found no url"),
        WrongFile(5, "  password: hunter2", "online_store.password", "a text of 7 characters", "env:NAME or file:PATH"),
        WrongFile(5, "  password: \"env:A B\"", "online_store.password", "env:NAME or file:PATH"),
        WrongFile(5, "  pasword: env:A", "online_store.pasword", "did you mean \"password\"?"),
        WrongFile(5, "  ca_file: ca.pem", "online_store.ca_file", "only for rediss:"),
        WrongFile(6, "  command_timeout: 1", "online_store.command_timeout", "found 1", "a duration such as"),
        WrongFile(6, "  command_timeout: 5m", "online_store.command_timeout", "from 10ms to 1m"),
        WrongFile(6, "  command_timeout: 20s", at: 14, "sync.lease", "found 30s", "3 × 20s = 1m"),
        WrongFile(6, "  max_connections: 0", "online_store.max_connections", "found 0", "from 1 to 64"),
        WrongFile(6, "  max_connections: 1.5", "online_store.max_connections", "a whole number"),
        WrongFile(6, "  max_connections: 99999999999999999999", "online_store.max_connections", "from 1 to 64"),
        WrongFile(6, "  pipeline: {bytes: 8MB}", "online_store.pipeline.bytes", "found \"8MB\"", "4MiB"),
        WrongFile(6, "  pipeline: {bytes: 99999999999GiB}", "online_store.pipeline.bytes", "a number of bytes"),
        WrongFile(7, "sources: {}\nserve:", at: 7, "sources", "found 0 entries"),
        WrongFile(8, "  my-shop:", "sources", "found \"my-shop\"", "a name"),
        WrongFile(9, "    url: mysql://localhost/shop", "sources.shop.url", "the scheme \"mysql\"", "a source URL"),
        WrongFile(9, "    url: postgresql://u:hunter2@h/d", "sources.shop.url", "a password in the URL"),
        WrongFile(9, "    url: \"postgresql://h/d?password=hunter2\"", "sources.shop.url", "a password in the URL"),
        WrongFile(9, "    url: postgresql:shop", "sources.shop.url", "no // behind postgresql:"),
        WrongFile(9, "    url: sqlite:shop.db", at: 10, "sources.shop.password", "nobody logs in there"),
        WrongFile(
            9, "    url: postgresql://u@h/d\n    username: v", at: 10, "sources.shop.username",
            "a user here and in the URL"),
        WrongFile(
            11, "    statement_timeout: 10s\n    lock_timeout: 11s", at: 12, "sources.shop.lock_timeout",
            "at most statement_timeout = 10s"),
        WrongFile(13, "  metrics: 9566", "sync.metrics", "found 9566", "127.0.0.1:9566"),
        WrongFile(13, "  metrics: 127.0.0.1:99999", "sync.metrics", "a port up to 65535"),
        WrongFile(13, "  metrics: 300.0.0.1:80", "sync.metrics", "an address such as"),
        WrongFile(14, "  lease: 2s", "sync.lease", "found 2s", "3 × 1s = 3s"),
        WrongFile(14, "  chunk_rows: 10001", "sync.chunk_rows", "found 10001", "1 to 10000"),
        WrongFile(
            14, "  retry: {initial: 10s, maximum: 5s}", "sync.retry.initial", "found 10s", "at most maximum = 5s"),
        WrongFile(14, "  retry: {budget: 2}", "sync.retry.budget", "from 0 to 1"),
        WrongFile(14, "  breaker: {failures: none}", "sync.breaker.failures", "found \"none\""),
        WrongFile(15, "telemetry: {log_level: inf}", "telemetry.log_level", "did you mean \"info\"?"),
        WrongFile(15, "telemetry: {log_format: xml}", "telemetry.log_format", "json or text"),
        WrongFile(15, "serve: 5", "serve", "found 5", "a mapping"),
    ]

    @Test(arguments: mistakes)
    func mistakeIsNamedWithItsPlace(_ wrong: WrongFile) {
        do {
            _ = try Config.parse(file: "tidemark.yaml", text: wrong.file(from: Self.right))
            Issue.record("accepted: \(wrong.text)")
        } catch {
            wrong.expect(in: error, file: "tidemark.yaml")
            #expect(!error.description.contains("hunter2"))
            #expect(!error.description.contains("ter2"))
        }
    }

    @Test func theFileIsRightWithoutMistakes() throws {
        _ = try Config.parse(file: "tidemark.yaml", text: Array(Self.right.utf8))
    }

    @Test(
        arguments: [
            ([0xff, 0xfe, 0x61, 0x00], "UTF-16"), ([0x61, 0x3a, 0x20, 0xc3, 0x28], "no UTF-8"),
            ([0x61, 0x3a, 0x0a, 0x00], "a NUL byte"), ([0x61, 0x3a, 0x20, 0x1b], "a control character"),
        ] as [([UInt8], String)])
    func bytesThatAreNoTextAreRefused(_ bytes: [UInt8], _ words: String) {
        do {
            _ = try Config.parse(file: "tidemark.yaml", text: bytes)
            Issue.record("accepted")
        } catch {
            #expect(error.description.contains(words))
        }
    }

    @Test func theLineOfABadByteIsNamed() {
        let text = Array("project: shop\nschemas: \"".utf8) + [0xc3, 0x28] + Array("\"\n".utf8)
        do {
            _ = try Config.parse(file: "tidemark.yaml", text: text)
            Issue.record("accepted")
        } catch {
            #expect(error.description.hasPrefix("tidemark.yaml:2: found bytes that are no UTF-8"))
        }
    }

    @Test func byteOrderMarksAndCarriageReturnsAreAccepted() throws {
        let plain = try Config.parse(file: "tidemark.yaml", text: Array(Self.right.utf8))
        let windows = [0xef, 0xbb, 0xbf] + Array(Self.right.replacing("\n", with: "\r\n").utf8)
        #expect(try Config.parse(file: "tidemark.yaml", text: windows) == plain)
    }
}
