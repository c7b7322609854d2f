import FeatureModel
import Serving
import Testing
import TidemarkTesting

/// Requests whose framing is wrong, doubtful or meant for somebody else: one answer each, and what stands behind a wrong one is never
/// taken for a request.
@Suite(.enabled(if: DaemonStage.isPossible), .timeLimit(.minutes(2))) struct FramingTests {
    private static let body = "{\"features\":[\"activity:activity_count\"],\"entities\":[{\"user_id\":1}]}"
    private static let size = body.utf8.count
    private static let hex = String(size, radix: 16)
    private static let post = "POST /v1/lookup HTTP/1.1\r\nhost: a\r\n"
    private static let next = "GET /livez HTTP/1.1\r\nhost: a\r\n\r\n"
    private static let chunked = "\(hex)\r\n\(body)\r\n"

    /// What to send before the next request, and the statuses that must come back.
    struct Case: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let bytes: [UInt8]
        let statuses: [Int]

        init(_ name: String, _ text: String, _ statuses: Int...) {
            testDescription = name
            bytes = Array(text.utf8)
            self.statuses = statuses
        }
    }

    static let framing = [
        Case(
            "a length and an encoding", post + "content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        Case(
            "an encoding and a length", post + "transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n", 400),
        Case("two lengths, equal", post + "content-length: \(size)\r\ncontent-length: \(size)\r\n\r\n\(body)", 400),
        Case("two lengths", post + "content-length: \(size)\r\ncontent-length: 3\r\n\r\n\(body)", 400),
        Case("a list of lengths", post + "content-length: \(size), \(size)\r\n\r\n\(body)", 400),
        Case("a plus", post + "content-length: +\(size)\r\n\r\n\(body)", 400),
        Case("blanks around a length", post + "content-length:   \(size)  \r\n\r\n\(body)", 200, 200),
        Case("a length in hex", post + "content-length: 0x42\r\n\r\n\(body)", 400),
        Case("a huge length", post + "content-length: 99999999999999999999999\r\n\r\n\(body)", 400),
        Case("a negative length", post + "content-length: -1\r\n\r\n\(body)", 400),
        Case("no length", post + "content-length: \r\n\r\n\(body)", 400),
        Case("an unknown encoding", post + "transfer-encoding: xchunked\r\n\r\n\(chunked)0\r\n\r\n", 400),
        Case("chunked first", post + "transfer-encoding: chunked, identity\r\n\r\n\(chunked)0\r\n\r\n", 400),
        Case("a packed body in chunks", post + "transfer-encoding: gzip, chunked\r\n\r\n\(chunked)0\r\n\r\n", 400),
        Case("a blank before the colon", post + "transfer-encoding : chunked\r\n\r\n\(chunked)0\r\n\r\n", 400),
        Case("a vertical tab", post + "transfer-encoding:\u{0B}chunked\r\n\r\n\(chunked)0\r\n\r\n", 400),
        Case(
            "two encodings",
            post + "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n\(chunked)0\r\n\r\n", 400),
        Case("a folded line", post + "x: a\r\n b\r\ncontent-length: \(size)\r\n\r\n\(body)", 400),
        Case("bare line feeds", "POST /v1/lookup HTTP/1.1\nhost: a\ncontent-length: \(size)\n\n\(body)", 400),
        Case("a carriage return in a value", post + "x: a\rb\r\ncontent-length: \(size)\r\n\r\n\(body)", 400),
        Case("a NUL in a value", post + "x: a\u{0}b\r\ncontent-length: \(size)\r\n\r\n\(body)", 400),
        Case(
            "a chunk's extension", post + "transfer-encoding: chunked\r\n\r\n\(hex);a=b\r\n\(body)\r\n0\r\n\r\n", 200,
            200),
        Case(
            "a chunk's size beyond numbers", post + "transfer-encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n\(body)",
            400),
        Case("a chunk's negative size", post + "transfer-encoding: chunked\r\n\r\n-1\r\n\(body)", 400),
        Case("a chunk without its end", post + "transfer-encoding: chunked\r\n\r\n\(hex)\r\n\(body)0\r\n\r\n", 400),
        Case("no last chunk", post + "transfer-encoding: chunked\r\n\r\n\(chunked)", 400),
        Case(
            "a length in a trailer",
            post + "transfer-encoding: chunked\r\n\r\n\(chunked)0\r\ncontent-length: 5\r\n\r\n", 400),
        Case(
            "chunks in HTTP/1.0", "POST /v1/lookup HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n\(chunked)0\r\n\r\n",
            400),
        Case(
            "chunks in HTTP/1.0, kept alive",
            "POST /v1/lookup HTTP/1.0\r\nconnection: keep-alive\r\ntransfer-encoding: chunked\r\n\r\n\(chunked)0\r\n\r\n",
            400),
    ]

    static let lines = [
        Case("a long path", "GET /\(String(repeating: "a", count: 9_000)) HTTP/1.1\r\nhost: a\r\n\r\n", 404, 200),
        Case("a longer path", "GET /\(String(repeating: "a", count: 40_000)) HTTP/1.1\r\nhost: a\r\n\r\n", 431),
        Case("somebody else's path", "GET http://127.0.0.1:6567/admin/v1/status HTTP/1.1\r\nhost: a\r\n\r\n", 404, 200),
        Case("an authority", "GET x:80 HTTP/1.1\r\nhost: a\r\n\r\n", 400),
        Case("an asterisk", "GET * HTTP/1.1\r\nhost: a\r\n\r\n", 404, 200),
        Case("HTTP/0.9", "GET /livez\r\n\r\n", 400),
        Case("HTTP/3.7", "GET /livez HTTP/3.7\r\nhost: a\r\n\r\n", 400),
        Case("the beginning of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        Case("a method in lower case", "get /livez HTTP/1.1\r\nhost: a\r\n\r\n", 400),
        Case("CONNECT", "CONNECT x:443 HTTP/1.1\r\nhost: a\r\n\r\n", 404),
        Case("TRACE", "TRACE /livez HTTP/1.1\r\nhost: a\r\n\r\n", 405, 200),
        Case("no ASCII", "GET /é HTTP/1.1\r\nhost: a\r\n\r\n", 400),
        Case("two slashes", "GET //livez HTTP/1.1\r\nhost: a\r\n\r\n", 404, 200),
        Case("an escaped NUL", "GET /livez%00 HTTP/1.1\r\nhost: a\r\n\r\n", 404, 200),
        Case("a way up", "GET /..;/livez HTTP/1.1\r\nhost: a\r\n\r\n", 404, 200),
        Case("a way round", "GET /x/../livez HTTP/1.1\r\nhost: a\r\n\r\n", 404, 200),
        Case("escaped twice", "GET /%256civez HTTP/1.1\r\nhost: a\r\n\r\n", 404, 200),
        Case("a header without a name", "GET /livez HTTP/1.1\r\nhost: a\r\n: x\r\n\r\n", 400),
        Case("two hosts", "GET /livez HTTP/1.1\r\nhost: a\r\nhost: a\r\n\r\n", 400),
        Case("no host", "GET /livez HTTP/1.1\r\n\r\n", 400),
        Case("a host that is none", "GET /livez HTTP/1.1\r\nhost: a/b\r\n\r\n", 400),
        Case("an empty host", "GET /livez HTTP/1.1\r\nhost:\r\n\r\n", 200, 200),
        Case("another expectation", post + "expect: x\r\ncontent-length: \(size)\r\n\r\n\(body)", 417),
        Case(
            "HTTP/2 wished for", "GET /livez HTTP/1.1\r\nhost: a\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n", 200),
    ]

    @Test(arguments: [framing, lines]) func nothingBehindAWrongRequestIsTakenForOne(_ cases: [Case]) async throws {
        try await DaemonStage.with { stage in
            for wrong in cases {
                let client = try stage.connect()
                try await client.send(wrong.bytes + Array(Self.next.utf8))
                client.finishSending()
                for status in wrong.statuses {
                    let answer = try await client.receive()
                    #expect(answer.status == status, "\(wrong.testDescription): \(answer)")
                }
                let rest = try await client.receiveEnd()
                #expect(rest.isEmpty, "\(wrong.testDescription): \(rest)")
            }
        }
    }

    /// The same framing on routes that the router has, whose answers are their own.
    @Test(arguments: ["/push", "/v1/recommend"]) func framingIsTheSameForRoutedRequests(_ path: String) async throws {
        try await DaemonStage.with { stage in
            for wrong in Self.framing where wrong.statuses == [400] {
                let text = String(decoding: wrong.bytes, as: UTF8.self)
                guard text.contains("POST /v1/lookup ") else { continue }
                let client = try stage.connect()
                try await client.send(text.replacing("POST /v1/lookup ", with: "POST \(path) ") + Self.next)
                client.finishSending()
                let answer = try await client.receive()
                #expect(answer.status == 400, "\(wrong.testDescription): \(answer)")
                let rest = try await client.receiveEnd()
                #expect(rest.isEmpty, "\(wrong.testDescription): \(rest)")
            }
        }
    }

    @Test(arguments: ["/v1/lookup", "/push", "/v1/recommend"]) func aBodyThatIsCutEndsTheConnectionAtOnce(
        _ path: String
    ) async throws {
        var options = DaemonStage.Options()
        // Longer than a client of a test waits.
        options.settings.requestTimeout = .seconds(60)
        try await DaemonStage.with(options) { stage in
            let cut = [
                "POST \(path) HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n\r\n{",
                "POST \(path) HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{",
            ]
            for text in cut {
                for before in [0, 1, 5] {
                    let client = try stage.connect()
                    try await client.send((0..<before).map { ConnectionTests.lookup($0) }.joined() + text)
                    client.finishSending()
                    for number in 0..<before {
                        #expect(try await client.receive().body.contains(ConnectionTests.count(number)))
                    }
                    // With or without a word on what was cut.
                    _ = try await client.receiveEnd()
                }
            }
        }
    }
}
