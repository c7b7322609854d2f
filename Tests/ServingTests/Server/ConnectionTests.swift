import FeatureModel
import Foundation
import Serving
import Testing
import TidemarkTesting

/// What a connection does whatever comes over it.
@Suite(.enabled(if: DaemonStage.isPossible), .timeLimit(.minutes(2))) struct ConnectionTests {
    static func lookup(_ user: Int, headers: [String] = []) -> String {
        RawClient.request(
            "POST", "/v1/lookup",
            "{\"features\":[\"activity:activity_count\"],\"entities\":[{\"user_id\":\(user)}]}", headers: headers)
    }

    static func count(_ user: Int) -> String {
        (DaemonStage.values(0, user)?[0] ?? .null).json
    }

    @Test func pipelinedRequestsAreAnsweredInOrder() async throws {
        try await DaemonStage.with { stage in
            let client = try stage.connect()
            var text = ""
            for number in 0..<600 {
                let id = ["x-request-id: n\(number)"]
                switch number % 4 {
                case 0, 1: text += Self.lookup(number % 100, headers: id)
                case 2: text += RawClient.request("GET", "/livez", headers: id)
                default: text += RawClient.request("POST", "/v1/lookup", "{", headers: id)
                }
            }
            async let sent: Void = client.send(text)
            for number in 0..<600 {
                let answer = try await client.receive()
                #expect(answer.headers["x-request-id"] == "n\(number)")
                switch number % 4 {
                case 0, 1:
                    let words = "{\"values\":[\(Self.count(number % 100))]"
                    #expect(answer.status == 200 && answer.body.contains(words), "\(answer)")
                case 2: #expect(answer.status == 200 && answer.body == "ok\n")
                default: #expect(answer.status == 400)
                }
            }
            try await sent
        }
    }

    @Test func aRequestMayComeByteByByte() async throws {
        try await DaemonStage.with { stage in
            let client = try stage.connect()
            for byte in Array(Self.lookup(8).utf8) { try await client.send([byte]) }
            let answer = try await client.receive()
            #expect(answer.status == 200 && answer.body.contains(Self.count(8)), "\(answer)")
        }
    }

    @Test func aBodyMayComeInChunks() async throws {
        try await DaemonStage.with { stage in
            let client = try stage.connect()
            let body = "{\"features\":[\"activity:activity_count\"],\"entities\":[{\"user_id\":9}]}"
            let chunks = [body.prefix(20), body.dropFirst(20)].map {
                "\(String($0.utf8.count, radix: 16))\r\n\($0)\r\n"
            }
            try await client.send(
                "POST /v1/lookup HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n\(chunks.joined())0\r\n\r\n")
            let answer = try await client.receive()
            #expect(answer.status == 200 && answer.body.contains(Self.count(9)), "\(answer)")
        }
    }

    @Test func aConnectionEndsWhenTheClientWantsItTo() async throws {
        try await DaemonStage.with { stage in
            for path in ["/v1/lookup", "/livez"] {
                let client = try stage.connect()
                let request =
                    path == "/livez"
                    ? RawClient.request("GET", path, headers: ["Connection: close"])
                    : Self.lookup(1, headers: ["Connection: close"])
                try await client.send(request)
                let answer = try await client.receive()
                #expect(answer.status == 200 && answer.headers["connection"] == "close", "\(answer)")
                #expect(try await client.receiveEnd().isEmpty)
            }
            let old = try stage.connect()
            let body = "{\"features\":[\"activity:activity_count\"],\"entities\":[{\"user_id\":3}]}"
            try await old.send("POST /v1/lookup HTTP/1.0\r\ncontent-length: \(body.utf8.count)\r\n\r\n\(body)")
            #expect(try await old.receiveEnd().contains(Self.count(3)))
        }
    }

    @Test func aClientThatOnlyStoppedSendingIsAnswered() async throws {
        try await DaemonStage.with { stage in
            let client = try stage.connect()
            try await client.send(Self.lookup(4) + Self.lookup(5))
            client.finishSending()
            #expect(try await client.receive().body.contains(Self.count(4)))
            #expect(try await client.receive().body.contains(Self.count(5)))
            #expect(try await client.receiveEnd().isEmpty)
        }
    }

    @Test func aClientMayAskBeforeItSendsABody() async throws {
        try await DaemonStage.with { stage in
            let client = try stage.connect()
            let body = "{\"features\":[\"activity:activity_count\"],\"entities\":[{\"user_id\":6}]}"
            try await client.send(
                "POST /v1/lookup HTTP/1.1\r\nhost: t\r\nexpect: 100-continue\r\ncontent-length: \(body.utf8.count)\r\n\r\n"
            )
            #expect(try await client.receive().status == 100)
            try await client.send(body)
            #expect(try await client.receive().body.contains(Self.count(6)))
            try await client.send("POST /v1/lookup HTTP/1.1\r\nhost: t\r\nexpect: tea\r\ncontent-length: 2\r\n\r\n")
            #expect(try await client.receive().status == 417)
        }
    }

    @Test func headAndOptionsAndWrongMethods() async throws {
        try await DaemonStage.with { stage in
            let client = try stage.connect()
            let head = try await client.ask("HEAD", "/livez")
            #expect(head.status == 200 && head.headers["content-length"] == "3", "\(head)")
            let options = try await client.ask("OPTIONS", "/v1/lookup")
            #expect(options.status == 204 && options.headers["allow"] == "OPTIONS, POST", "\(options)")
            let wrong = try await client.ask("GET", "/get-online-features")
            #expect(wrong.status == 405 && wrong.headers["allow"] == "OPTIONS, POST", "\(wrong)")
            #expect(wrong.headers["content-type"] == "application/problem+json")
            let none = try await client.ask("GET", "/nothing")
            #expect(none.status == 404 && none.body.contains("not-found"), "\(none)")
            let query = try await client.ask(
                "POST", "/v1/lookup?x=1",
                "{\"features\":[\"activity:activity_count\"],\"entities\":[{\"user_id\":6}]}")
            #expect(query.status == 200)
        }
    }

    @Test func whatIsNoHTTPEndsTheConnection() async throws {
        try await DaemonStage.with { stage in
            let wrong = [
                "hello\r\n\r\n", "POST /v1/lookup HTTP/1.1\r\nhost: a\r\ncontent-length: x\r\n\r\n",
                "POST /v1/lookup HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}x",
                "POST /v1/lookup HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
                "POST /v1/lookup HTTP/1.1\r\nhost : a\r\n\r\n",
                "POST /v1/lookup HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n",
            ]
            for text in wrong {
                let client = try stage.connect()
                try await client.send(text + Self.lookup(1))
                let answer = try await client.receive()
                #expect(answer.status == 400 && answer.headers["connection"] == "close", "\(text) \(answer)")
                #expect(try await client.receiveEnd().isEmpty, "\(text)")
            }
            // The word on what isn't HTTP comes behind the answers to what was.
            let client = try stage.connect()
            try await client.send(Self.lookup(1) + "what?\r\n\r\n")
            #expect(try await client.receive().status == 200)
            #expect(try await client.receive().status == 400)
        }
    }
}
