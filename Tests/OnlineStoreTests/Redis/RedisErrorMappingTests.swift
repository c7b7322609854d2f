import FeatureModel
import OnlineStore
import RedisClient
import Testing
import TidemarkTesting

/// What a session's caller is told about error replies and about answers that no Redis gives.
@Suite(.timeLimit(.minutes(1)))
struct RedisErrorMappingTests {
    /// Answers the handshake, and every call of a script with `answer`. Serves one connection at a time.
    private func withPeer(_ answer: String, _ body: (RedisStore) async throws -> Void) async throws {
        try await RedisPeer.with { peer in
            while let command = peer.readCommand() {
                let name = String(decoding: command[0], as: UTF8.self)
                peer.write(name.hasPrefix("EVAL") ? answer : "+OK\r\n")
            }
        } _: { peer in
            var configuration = try RedisStore.Configuration(project: "shop", url: peer.url)
            configuration.connectTimeout = .seconds(10)
            configuration.callTimeout = .seconds(20)
            let store = try await RedisStore(configuration: configuration)
            try await body(store)
            await store.close()
        }
    }

    private func withSession(_ answer: String, _ body: (any StoreSession) async throws -> Void) async throws {
        try await withPeer(answer) { store async throws in
            try await body(try await store.openSession(Lease(name: "v", owner: "a", token: 1)))
        }
    }

    private var batch: RowBatch {
        RowBatch([(key(1), PackedRow(order: .init(epoch: 0, eventTime: nil, position: 1)).bytes)])
    }

    private func writeCode(_ session: any StoreSession) async -> StoreError.Code? {
        await code { () throws(StoreError) in try await session.write(batch, in: space, mode: .newest) }
    }

    @Test(arguments: [
        ("LOADING Redis is loading the dataset in memory", StoreError.Code.unavailable, true),
        ("BUSY Redis is busy running a script.", .unavailable, true), ("TRYAGAIN x", .unavailable, true),
        ("NOSCRIPT No matching script.", .unavailable, true), ("CLUSTERDOWN x", .unavailable, true),
        ("MASTERDOWN Link with MASTER is down", .unavailable, false),
        ("ERR max number of clients reached", .unavailable, false),
        ("READONLY You can't write against a read only replica.", .writesRefused, false),
        ("OOM command not allowed", .writesRefused, true), ("MISCONF Redis is configured to", .writesRefused, true),
        ("NOREPLICAS Not enough good replicas to write.", .writesRefused, true), ("WRONGTYPE x", .corrupt, true),
        ("NOAUTH Authentication required.", .misconfigured, false), ("NOPERM x", .misconfigured, true),
        ("MOVED 1 h:1", .misconfigured, true), ("CROSSSLOT x", .misconfigured, true), ("ERR x", .misconfigured, true),
        ("FENCED a newer lease exists", .fenced, true),
    ])
    func errorReplyTellsWhatToDo(_ text: String, _ expected: StoreError.Code, _ survives: Bool) async throws {
        try await withSession("-\(text)\r\n") { session async throws in
            let first = await writeCode(session)
            #expect(first == expected)
            let second = await writeCode(session)
            #expect(second == (survives ? expected : .sessionLost))
        }
    }

    @Test(arguments: ["$1\r\n9\r\n", "$2\r\n11\r\n", "$0\r\n\r\n", "$-1\r\n", ":1\r\n", "*0\r\n", "!\r\n"])
    func answerThatMakesNoSenseEndsTheSession(_ answer: String) async throws {
        try await withSession(answer) { session async throws in
            let first = await writeCode(session)
            #expect(first == .sessionLost)
            let second = await writeCode(session)
            #expect(second == .sessionLost)
        }
    }

    @Test func sharedConnectionIsReplacedAfterAnAnswerThatMakesNoSense() async throws {
        try await withPeer(":1\r\n") { store async throws in
            // A call may still meet the connection that is being closed: that one is `unavailable`, and the next goes on.
            var answers = 0
            for _ in 0..<1_000 where answers < 3 {
                let code = await code { () throws(StoreError) in try await store.read([key(1)], in: space) }
                #expect(code == .corrupt || code == .unavailable)
                // While a back-off runs, calls fail at once: a thousand of them would be over before it is.
                if code == .corrupt { answers += 1 } else { try await Task.sleep(for: .milliseconds(5)) }
            }
            #expect(answers == 3)
        }
    }
}
