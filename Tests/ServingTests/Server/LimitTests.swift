import FeatureModel
import Foundation
import Serving
import Testing
import TidemarkTesting

/// Requests over a limit, clients that keep the daemon waiting, and its end.
@Suite(.enabled(if: DaemonStage.isPossible), .timeLimit(.minutes(2))) struct LimitTests {
    private static func lookup(entities: Int, features: Int = 1) -> String {
        let names = DaemonStage.views.flatMap { view in view.features.map { "\"\(view.name):\($0.name)\"" } }
        let list = (0..<features).map { names[$0 % names.count] }.joined(separator: ",")
        let rows = (0..<entities).map { "{\"user_id\":\($0)}" }.joined(separator: ",")
        return "{\"features\":[\(list)],\"entities\":[\(rows)]}"
    }

    @Test func whatIsOverALimitIsRefusedAndWhatIsAtItIsNot() async throws {
        var options = DaemonStage.Options()
        options.settings.bodyBytes = 2_000
        options.settings.entities = 50
        options.settings.features = 10
        options.settings.values = 100
        options.settings.headerBytes = 1_000
        options.settings.headers = 20
        try await DaemonStage.with(options) { stage in
            func status(_ body: String, headers: [String] = []) async throws -> Int {
                try await stage.connect().ask("POST", "/v1/lookup", body, headers: headers).status
            }
            let atLimit = try await status(Self.lookup(entities: 50))
            #expect(atLimit == 200)
            #expect(try await status(Self.lookup(entities: 51)) == 422)
            #expect(try await status(Self.lookup(entities: 10, features: 10)) == 200)
            #expect(try await status(Self.lookup(entities: 11, features: 10)) == 422)
            #expect(try await status(Self.lookup(entities: 1, features: 11)) == 422)
            let body = Self.lookup(entities: 1)
            #expect(try await status(body + String(repeating: " ", count: 2_000 - body.utf8.count)) == 200)
            #expect(try await status(body + String(repeating: " ", count: 2_001 - body.utf8.count)) == 413)
            #expect(try await status(body, headers: (0..<15).map { "x-\($0): 1" }) == 200)
            #expect(try await status(body, headers: (0..<25).map { "x-\($0): 1" }) == 431)
            #expect(try await status(body, headers: ["x: \(String(repeating: "y", count: 1_500))"]) == 431)
            #expect(try await status(body, headers: ["content-encoding: gzip"]) == 415)
            for wrong in ["0", "-1", "1.5", "ten", "99999999999", ""] {
                #expect(try await status(body, headers: ["x-request-timeout-ms: \(wrong)"]) == 400, "\(wrong)")
            }
        }
    }

    @Test func aChunkedBodyOverTheLimitIsRefusedOnTheWay() async throws {
        var options = DaemonStage.Options()
        options.settings.bodyBytes = 1_000
        try await DaemonStage.with(options) { stage in
            for path in ["/v1/lookup", "/nothing"] {
                let client = try stage.connect()
                try await client.send("POST \(path) HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n")
                for _ in 0..<3 { try await client.send("190\r\n\(String(repeating: " ", count: 400))\r\n") }
                let answer = try await client.receive()
                #expect(answer.status == (path == "/nothing" ? answer.status : 413), "\(answer)")
            }
        }
    }

    @Test func clientsThatKeepItWaitingAreLeft() async throws {
        var options = DaemonStage.Options()
        options.settings.requestTimeout = .milliseconds(300)
        options.settings.idleTimeout = .milliseconds(300)
        try await DaemonStage.with(options) { stage in
            let idle = try stage.connect()
            let head = try stage.connect()
            let body = try stage.connect()
            let routed = try stage.connect()
            try await head.send("POST /v1/loo")
            try await body.send("POST /v1/lookup HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\n{")
            try await routed.send("POST /livez HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\n{")
            #expect(try await head.receive().status == 408)
            #expect(try await body.receive().status == 408)
            #expect(try await idle.receiveEnd().isEmpty)
            _ = try await routed.receiveEnd()
            let used = try stage.connect()
            #expect(try await used.ask("GET", "/livez").status == 200)
            #expect(try await used.receiveEnd().isEmpty)
        }
    }

    @Test func aClientThatDoesNotReadIsLeft() async throws {
        var options = DaemonStage.Options()
        options.settings.writeTimeout = .milliseconds(300)
        try await DaemonStage.with(options) { stage in
            let client = try RawClient(port: stage.port, receiveBuffer: 4_096)
            let request = RawClient.request("POST", "/v1/lookup", Self.lookup(entities: 2_000, features: 15))
            // Sending ends with an error when the daemon closes; reading comes to an end, too.
            var refused = false
            for _ in 0..<200 where !refused {
                do { try await client.send(request) } catch { refused = true }
            }
            #expect(refused)
            let other = try stage.connect()
            #expect(try await other.ask("GET", "/livez").status == 200)
        }
    }

    @Test func itsEndLosesNoRequest() async throws {
        var options = DaemonStage.Options()
        options.settings.unready = .milliseconds(500)
        try await DaemonStage.with(options) { stage in
            let idle = try stage.connect()
            #expect(try await idle.ask("GET", "/readyz").status == 200)
            let busy = try stage.connect()
            stage.redis.pause()
            try await busy.send(ConnectionTests.lookup(3, headers: ["X-Request-Timeout-Ms: 3000"]))
            let late = try stage.connect()
            await stage.stop()
            // The word that it isn't ready comes before it stops to listen.
            var answer = try await late.ask("GET", "/readyz")
            while answer.status == 200 { answer = try await late.ask("GET", "/readyz") }
            #expect(answer.status == 503 && answer.headers["connection"] == "close", "\(answer)")
            #expect(try await late.receiveEnd().isEmpty)
            #expect(try await idle.receiveEnd().isEmpty)
            // The listener and its connections end on loops of their own; the suite's time limit ends the wait.
            while (try? stage.connect()) != nil {}
            stage.redis.resume()
            let last = try await busy.receive()
            #expect(last.status == 200 && last.body.contains(ConnectionTests.count(3)), "\(last)")
            #expect(last.headers["connection"] == "close")
            #expect(try await busy.receiveEnd().isEmpty)
        }
    }

    @Test func itsEndWaitsNoLongerThanTold() async throws {
        var options = DaemonStage.Options()
        options.settings.drain = .milliseconds(300)
        let began = ContinuousClock.now
        try await DaemonStage.with(options) { stage in
            let busy = try stage.connect()
            stage.redis.pause()
            try await busy.send(ConnectionTests.lookup(3, headers: ["X-Request-Timeout-Ms: 9000"]))
            #expect(try await stage.connect().ask("GET", "/livez").status == 200)
            await stage.stop()
            _ = try await busy.receiveEnd()
            stage.redis.resume()
        }
        #expect(ContinuousClock.now - began < .seconds(8))
    }

    @Test func everyDescribedRouteAnswers() async throws {
        try await DaemonStage.with { stage in
            let client = try stage.connect()
            let document = try await client.ask("GET", "/openapi.json").json()
            #expect(document["openapi"] as? String == "3.1.0")
            let paths = try #require(document["paths"] as? [String: [String: Any]])
            let described = paths.flatMap { path, methods in methods.keys.map { "\($0.uppercased()) \(path)" } }
            let daemon = ServingDaemon(stage.serving, recommender: stage.recommender, routes: stage.routes)
            #expect(described.sorted() == daemon.answered.sorted())
            for (path, methods) in paths {
                for method in methods.keys {
                    let answer = try await client.ask(method.uppercased(), path, method == "post" ? "{}" : nil)
                    #expect(![404, 405, 500].contains(answer.status), "\(method) \(path): \(answer)")
                    #expect(answer.headers["x-request-id"] != nil)
                }
            }
        }
    }
}
