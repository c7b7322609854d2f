import NIOCore
import RedisClient
import Testing
import TidemarkTesting

/// Lanes to a real server.
@Suite(.enabled(if: RedisServer.isAvailable, "redis-server is not installed"), .timeLimit(.minutes(2)))
struct RedisLaneServerTests {
    private func store(_ server: RedisServer, _ keys: [String], repeating count: Int = 1) async throws {
        var pipeline = RedisPipeline()
        for key in keys {
            guard let value = value(of: key) else { continue }
            pipeline.append("SET", .text(key), .text(String(repeating: value, count: count)))
        }
        try await server.send(pipeline)
    }

    private func expectValues(_ lane: LaneProbe, _ keys: [[String]]) async {
        #expect(await lane.read(keys) == LaneOutcome(elements: bytes(keys.flatMap { $0.map(value(of:)) })))
    }

    @Test func valuesComeInTheOrderOfTheKeys() async throws {
        try await RedisServer.with { server in
            let keys = (0..<300).map { "row:\($0)" }
            try await store(server, keys)
            try await server.command("SADD", "set", "x")
            try await LaneProbe.with(server.topology) { lane in
                let wasReady = try await lane.isReady()
                #expect(!wasReady)
                await expectValues(lane, [Array(keys[..<100]), [keys[100]], Array(keys[101...])])
                let isReady = try await lane.isReady()
                #expect(isReady)
                // Another type is as good as nothing.
                #expect(await lane.read([["set", "no such row"]]) == LaneOutcome(elements: [nil, nil]))
            }
        }
    }

    @Test(arguments: [1, 2])
    func manyReadsAtOnceFarBeyondTheSocketBuffersGetTheirOwn(_ connections: Int) async throws {
        try await RedisServer.with { server in
            let keys = (0..<200).map { "row:\($0)" }
            try await store(server, keys, repeating: 50)
            try await LaneProbe.with(server.topology, { $0.laneConnections = connections }) { lane in
                await withTaskGroup(of: Void.self) { group in
                    for task in 0..<8 {
                        group.addTask {
                            let reads = (0..<100).map { read in
                                [(0...(read % 20)).map { keys[(task * 31 + read * 7 + $0) % keys.count] }]
                            }
                            let outcomes = await lane.readTogether(reads)
                            for (read, outcome) in zip(reads, outcomes) {
                                let expected = bytes(
                                    read[0].map { key in value(of: key).map { String(repeating: $0, count: 50) } })
                                #expect(outcome == LaneOutcome(elements: expected))
                            }
                        }
                    }
                }
            }
        }
    }

    @Test func killedConnectionIsReplaced() async throws {
        try await RedisServer.with { server in
            try await store(server, ["a", "b"])
            try await LaneProbe.with(server.topology, { $0.connectsPerSecond = 100 }) { lane in
                for _ in 0..<5 {
                    await expectValues(lane, [["a", "b"]])
                    try await server.command("CLIENT", "KILL", "TYPE", "normal")
                    await expectValues(lane, [["b"], ["a"]])
                }
            }
        }
    }

    @Test func deadServerFailsAtOnceAndComesBack() async throws {
        try await RedisServer.with { server in
            try await LaneProbe.with(server.topology) { lane in
                #expect(await lane.read([["none"]]) == LaneOutcome(elements: [nil]))
                server.stop(.kill)
                for _ in 0..<5 {
                    let error = await lane.read([["none"]], within: .milliseconds(1)).error
                    #expect([.connectionFailed, .connectionClosed, .deadlineExceeded].contains(error))
                }
                try server.start()
                // The back-off is real: ask until it is over, without waiting longer than the suite allows.
                while let error = await lane.read([["none"]], within: .milliseconds(100)).error {
                    #expect([.connectionFailed, .deadlineExceeded].contains(error))
                    await Task.yield()
                }
            }
        }
    }

    @Test func laneStaysConnectedWithoutReads() async throws {
        try await RedisServer.with { server in
            try await LaneProbe.with(server.topology) { lane in
                try await lane.connect()
                while !(try await lane.isReady()) { await Task.yield() }
                server.stop(.kill)
                while try await lane.isReady() { await Task.yield() }
                try server.start()
                while !(try await lane.isReady()) { await Task.yield() }
            }
        }
    }

    @Test func pausedServerCostsADeadlineAndShiftsNothing() async throws {
        try await RedisServer.with { server in
            try await store(server, ["a", "b", "c"])
            try await LaneProbe.with(server.topology) { lane in
                await expectValues(lane, [["a"]])
                server.pause()
                #expect(await lane.read([["b", "b"]], within: .milliseconds(20)).error == .deadlineExceeded)
                server.resume()
                await expectValues(lane, [["c"]])
            }
        }
    }

    @Test func refusalsAreTold() async throws {
        var options = RedisServer.Options()
        options.configuration = ["user default off", "user reader on >correct ~row:* +@all"]
        try await RedisServer.with(options) { server in
            var endpoint = server.topology.primary
            endpoint.user = "reader"
            endpoint.password = "correct"
            try await LaneProbe.with(RedisTopology(endpoint)) { lane in
                #expect(await lane.read([["row:1"], ["other"]]).error == .errorReply(.noperm))
                #expect(await lane.read([["row:1"]]) == LaneOutcome(elements: [nil]))
            }
            endpoint.password = "wrong"
            try await LaneProbe.with(RedisTopology(endpoint)) { lane in
                #expect(await lane.read([["row:1"]]).error == .errorReply(.wrongpass))
                // The next try is not made before the pause for logins ends: who can't wait so long is told at once.
                #expect(await lane.read([["row:1"]], within: .seconds(1)).error == .errorReply(.wrongpass))
            }
        }
    }

    @Test func encryptedLaneReads() async throws {
        var options = RedisServer.Options()
        options.listensOnTLS = true
        try await RedisServer.with(options) { server in
            try await store(server, ["a", "b", "c", "d"], repeating: 1)
            let tls = RedisEndpoint.TLS(caFile: server.caFile)
            let endpoint = RedisEndpoint(address: .host("localhost", port: server.tlsPort), tls: tls)
            try await LaneProbe.with(RedisTopology(endpoint)) { lane in
                for _ in 0..<20 { await expectValues(lane, [["a", "b"], ["c"], ["d"]]) }
            }
        }
    }
}
