import FeatureModel
import Testing
import TidemarkTesting

/// Requests of one connection, and keys, on the admin listener.
@Suite(.timeLimit(.minutes(2))) struct AdminRequestTests {
    private static let next = "GET /admin/v1/status HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n"

    @Test func nothingBehindAWrongRequestIsTakenForOne() async throws {
        try await AdminFixture.with(try AdminFixture.config()) { fixture async throws in
            for wrong in FramingTests.framing where wrong.statuses == [400] {
                let text = String(decoding: wrong.bytes, as: UTF8.self).replacing(
                    " /v1/lookup ", with: " /admin/v1/config:reload ")
                let client = try RawClient(port: fixture.client.port)
                try await client.send(text + Self.next)
                client.finishSending()
                let answers = try await client.receiveEnd()
                #expect(answers.ranges(of: #/HTTP/1[.]1 [0-9]{3} /#).count <= 1, "\(wrong.testDescription): \(answers)")
                #expect(answers.isEmpty || answers.hasPrefix("HTTP/1.1 4"), "\(wrong.testDescription): \(answers)")
            }
            #expect(try fixture.auditLines().isEmpty)
        }
    }

    @Test func aWrongRequestIsRefusedBehindTheAnswersBeforeIt() async throws {
        try await AdminFixture.with(try AdminFixture.config()) { fixture async throws in
            let client = try RawClient(port: fixture.client.port)
            let bearer = "host: 127.0.0.1\r\nauthorization: Bearer \(fixture.token(.read))\r\n"
            let right = "GET /admin/v1/views HTTP/1.1\r\n\(bearer)\r\n"
            try await client.send(right + right + "GET /admin/v1/views HTTP/1.1\r\n\(bearer)host: b\r\n\r\n" + right)
            for status in [200, 200, 400] { #expect(try await client.receive().status == status) }
            client.finishSending()
            #expect(try await client.receiveEnd().isEmpty)
        }
    }

    @Test func oneRequestBehindTheOtherIsAnsweredInOrder() async throws {
        try await AdminFixture.with(try AdminFixture.config()) { fixture async throws in
            let client = try RawClient(port: fixture.client.port)
            let bearer = "host: 127.0.0.1:\(fixture.client.port)\r\nauthorization: Bearer \(fixture.token(.read))\r\n"
            let paths = ["status", "views", "nothing"]
            try await client.send(paths.map { "GET /admin/v1/\($0) HTTP/1.1\r\n\(bearer)\r\n" }.joined())
            for path in paths {
                #expect(try await client.receive().status == (path == "nothing" ? 404 : 200), "\(path)")
            }
        }
    }

    @Test func keysMayBeAsLongAsSaidAndOfPrintableASCII() async throws {
        try await AdminFixture.with(try AdminFixture.config()) { fixture async throws in
            func status(_ key: String) async throws -> Int {
                try await fixture.client.call(
                    "POST", "/admin/v1/breakers/store:reset", token: fixture.token(.operate), key: key
                ).status
            }
            #expect(try await status(String(repeating: "k", count: 255)) == 200)
            #expect(try await status("\"" + String(repeating: "q", count: 255) + "\"") == 200)
            #expect(fixture.breakers.calls == 2)
            for wrong in [
                String(repeating: "k", count: 256), "a\u{1}b", "a\tb", "a\u{7f}", "é", "a\"b", "a\\b", "\"\"", "\"",
                "\"a",
            ] {
                #expect(try await status(wrong) == 400, "\(wrong.debugDescription)")
            }
            #expect(fixture.breakers.calls == 2)
        }
    }
}
