import RedisClient
import Testing

struct RedisErrorReplyTests {
    typealias Kind = RedisErrorReply.Kind

    @Test(arguments: [
        ("LOADING Redis is loading the dataset in memory", Kind.loading),
        ("READONLY You can't write against a read only replica.", .readonly),
        ("OOM command not allowed when used memory > 'maxmemory'.", .oom),
        ("MISCONF Redis is configured to save RDB snapshots, but", .misconf),
        ("NOREPLICAS Not enough good replicas to write.", .noreplicas),
        ("BUSY Redis is busy running a script.", .busy), ("NOSCRIPT No matching script.", .noscript),
        ("EXECABORT Transaction discarded because of previous errors.", .execabort),
        ("WRONGTYPE Operation against a key holding the wrong kind of value", .wrongtype),
        ("NOAUTH Authentication required.", .noauth), ("WRONGPASS invalid username-password pair", .wrongpass),
        ("NOPERM this user has no permissions", .noperm), ("ERR max number of clients reached", .maxclients),
        ("MOVED 3999 127.0.0.1:6381", .moved), ("ASK 3999 127.0.0.1:6381", .ask), ("TRYAGAIN Multiple keys", .tryagain),
        ("CROSSSLOT Keys in request don't hash to the same slot", .crossslot),
        ("CLUSTERDOWN The cluster is down", .clusterdown),
        ("MASTERDOWN Link with MASTER is down", .masterdown), ("ERR syntax error", .other), ("", .other),
        ("LOADINGX", .other), ("FENCED a newer lease exists", .other),
    ])
    func firstWordTellsTheKind(_ text: String, _ kind: Kind) {
        #expect(RedisErrorReply(text).kind == kind)
    }

    @Test func echoedArgumentsAreCutOff() {
        let reply = RedisErrorReply("ERR unknown command 'hunter2', with args beginning with: 'hunter2' ")
        #expect(!reply.text.contains("hunter2"))
    }

    @Test func textIsOneShortLine() {
        let reply = RedisErrorReply("ERR a\r\nb\u{7f}" + String(repeating: "x", count: 10_000))
        #expect(reply.text.hasPrefix("ERR a  b x"))
        #expect(reply.text.count == 200)
    }

    @Test func kindsAreSortedAsTheReferenceSays() {
        #expect(Kind.allCases.filter(\.refusesWrites) == [.readonly, .oom, .misconf, .noreplicas])
        #expect(Kind.allCases.filter(\.isMisconfiguration) == [.noauth, .wrongpass, .noperm, .crossslot])
        #expect(Kind.allCases.filter(\.isConnectionFatal) == [.readonly, .noauth, .maxclients, .masterdown])
        #expect(
            Kind.allCases.filter { !$0.isRetryable } == [.wrongtype, .noauth, .wrongpass, .noperm, .crossslot, .other])
    }
}
