import FeatureModel
import Foundation
import NIOCore
import NIOPosix
import Serving
import Telemetry
import Testing
import TidemarkTesting

/// What happens when there is no room for another connection.
@Suite(.enabled(if: DaemonStage.isPossible), .timeLimit(.minutes(2))) struct ConnectionRoomTests {
    @Test(arguments: [
        (10_000, 1_000_000, 30, 10_000), (10_000, 10_158, 30, 10_000), (10_000, 10_157, 30, 9_999),
        (10_000, 1_024, 30, 866), (10_000, 64, 30, 17), (10, 64, 30, 10), (10_000, 64, 64, 1), (10_000, 10, 64, 1),
    ])
    func connectionsLeaveDescriptorsToOthers(_ wanted: Int, _ limit: Int, _ open: Int, _ expected: Int) {
        #expect(ConnectionRoom.connections(wanted, limit: limit, open: open) == expected)
    }

    @Test func theConnectionsThatAreIdleForLongestMakeRoom() async throws {
        var options = DaemonStage.Options()
        options.settings.connections = 4
        try await DaemonStage.with(options) { stage in
            let idle = try stage.connect()
            #expect(try await idle.ask("GET", "/livez").status == 200)
            let silent = try stage.connect()
            let busy = try stage.connect()
            stage.redis.pause()
            try await busy.send(ConnectionTests.lookup(3))
            let head = try stage.connect()
            try await head.send("POST /v1/loo")
            // Each waits in the backlog until one of those with nothing under way is ended for it.
            for _ in 0..<2 { #expect(try await stage.connect().ask("GET", "/livez").status == 200) }
            stage.redis.resume()
            #expect(try await idle.receiveEnd().isEmpty)
            #expect(try await silent.receiveEnd().isEmpty)
            #expect(try await busy.receive().body.contains(ConnectionTests.count(3)))
            try await head.send("kup HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n{}")
            #expect(try await head.receive().status == 400)
            let page = try await stage.connect().ask("GET", "/metrics").body
            #expect(page.contains("tidemark_http_connections_evicted_total"))
            #expect(!page.contains("tidemark_http_connections_evicted_total 0\n"))
        }
    }
}
