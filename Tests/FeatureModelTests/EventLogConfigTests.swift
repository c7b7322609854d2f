import FeatureModel
import Testing

struct EventLogConfigTests {
    private func parse(_ sections: String, store: String = "redis://127.0.0.1:6379/0") throws -> Config {
        let text = "project: shop\nonline_store: {url: \"\(store)\"}\nsources: {shop: {url: \"csv:a\"}}\n\(sections)\n"
        return try Config.parse(file: "t.yaml", text: Array(text.utf8))
    }

    @Test func filesAndStreamsAreReadAndHaveDefaults() throws {
        let config = try parse(
            """
            exposures: {file: {path: exposures.jsonl, max_bytes: 1MiB, keep: 9}, queue: 77, queue_bytes: 128KiB}
            events: {stream: {key: shop:events}, remember: 5}
            """)
        let exposures = try #require(config.exposures)
        #expect(exposures.destination == .file(path: "exposures.jsonl", maximumBytes: 1 << 20, keep: 9))
        #expect(exposures.queue == 77 && exposures.queueBytes == 128 << 10)
        let events = try #require(config.events)
        #expect(
            events.log.destination
                == .stream(store: config.onlineStore, key: "shop:events", maximumLength: 1_000_000))
        #expect(events.log.queue == 10_000 && events.log.queueBytes == 64 << 20 && events.remember == 5)
        let plain = try parse("exposures: {file: {path: x}}")
        #expect(plain.exposures?.destination == .file(path: "x", maximumBytes: 256 << 20, keep: 4))
        #expect(plain.events == nil && plain.uninterpreted.isEmpty)
    }

    @Test func aStreamMayHaveARedisOfItsOwn() throws {
        let config = try parse(
            """
            exposures:
              stream: {store: {url: "redis://other:6379/3", password: "env:P"}, key: k, max_length: 10}
            """, store: "sqlite:store.db")
        guard case .stream(let store, "k", 10)? = config.exposures?.destination else {
            Issue.record("no stream: \(String(describing: config.exposures))")
            return
        }
        #expect(store.url.text == "redis://other:6379/3" && store.password == .environment("P"))
    }

    @Test(arguments: [
        ("exposures: {queue: 5}", "exposures", "file"),
        ("exposures: {file: {path: a}, stream: {key: b}}", "exposures", "one of"),
        ("exposures: {file: {max_bytes: 1MiB}}", "exposures.file", "path"),
        ("exposures: {file: {path: a, kept: 3}}", "exposures.file.kept", "keep"),
        ("exposures: {file: {path: a}, remember: 3}", "exposures.remember", ""),
        ("events: {stream: {key: b}}", "events.stream.store", "a Redis"),
        ("events: {stream: {key: b, store: {url: \"sqlite:a\"}}}", "events.stream.store", "a Redis"),
        ("exposures: {file: {path: a}}\nevents: {file: {path: a}}", "events.file.path", "another file"),
        ("events: {file: {path: a}, queue: 0}", "events.queue", "from 1"),
    ])
    func whatCannotBeIsRefusedByItsPlace(sections: String, path: String, words: String) {
        let errors = #expect(throws: DefinitionErrors.self) { try self.parse(sections, store: "memory:") }
        let text = "\(errors.map { "\($0)" } ?? "")"
        #expect(text.contains(path) && text.contains(words), "\(text)")
    }
}
