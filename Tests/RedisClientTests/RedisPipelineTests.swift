import Testing

// SHA-1 and the way back from EVALSHA to EVAL have no package API.
@testable import RedisClient

struct RedisPipelineTests {
    private func text(_ pipeline: RedisPipeline) -> String {
        String(decoding: pipeline.bytes, as: UTF8.self)
    }

    @Test func argumentsGoWithTheirLengths() {
        var pipeline = RedisPipeline()
        pipeline.append("SET", .text("a b"), .bytes([13, 10, 36]), .integer(-7))
        pipeline.begin("GET", argumentCount: 1)
        pipeline.add("p:{", "é", "}v")
        #expect(
            text(pipeline)
                == "*4\r\n$3\r\nSET\r\n$3\r\na b\r\n$3\r\n\r\n$\r\n$2\r\n-7\r\n*2\r\n$3\r\nGET\r\n$7\r\np:{é}v\r\n")
        #expect(pipeline.count == 2)
        #expect(pipeline.isComplete)
    }

    @Test(arguments: [0, 1, 9, 10, 11, 99, 100, 101, 999, 1_000, 65_536])
    func lengthsOfEveryWidthAreRight(_ count: Int) {
        var pipeline = RedisPipeline()
        pipeline.append("ECHO", .text(String(repeating: "x", count: count)))
        #expect(text(pipeline).hasPrefix("*2\r\n$4\r\nECHO\r\n$\(count)\r\n"))
        #expect(pipeline.byteCount == 14 + "\(count)".count + 3 + count + 2)
    }

    @Test func commandThatLacksArgumentsIsIncomplete() {
        var pipeline = RedisPipeline()
        pipeline.begin("GET", argumentCount: 1)
        #expect(!pipeline.isComplete)
    }

    @Test func forgottenScriptsAreSentWithTheirSource() {
        let script = RedisScript("return 1")
        var pipeline = RedisPipeline()
        pipeline.append(script, keys: ["a"], [.integer(1)])
        pipeline.append("PING")
        pipeline.append(script, keys: ["b"], [.text("two")])
        pipeline.append("PING")
        let (again, positions) = pipeline.evaluating([2])
        #expect(positions == [2])
        #expect(text(again) == "*5\r\n$4\r\nEVAL\r\n$8\r\nreturn 1\r\n$1\r\n1\r\n$1\r\nb\r\n$3\r\ntwo\r\n")
        #expect(pipeline.evaluating([0, 2]).positions == [0, 2])
        #expect(pipeline.evaluating([1]).pipeline.count == 0)
    }

    @Test(arguments: [
        ("", "da39a3ee5e6b4b0d3255bfef95601890afd80709"), ("abc", "a9993e364706816aba3e25717850c26c9cd0d89d"),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "84983e441c3bd26ebaae4aa1f95129e5e54670f1"
        ),
        (String(repeating: "a", count: 1_000), "291e9a6c66994949b57ba5e650361e98fc36b1ba"),
    ])
    func digestIsSHA1(_ text: String, _ digest: String) {
        #expect(RedisScript(text).digest == digest)
    }
}
