import RedisClient
import Testing
import TidemarkTesting

/// The client against a real server.
@Suite(.enabled(if: RedisServer.isAvailable, "redis-server is not installed"), .timeLimit(.minutes(2)))
struct RedisClientServerTests {
    private func withClient(
        _ endpoint: RedisEndpoint, _ change: (inout RedisClient.Configuration) -> Void = { _ in },
        _ body: (RedisClient) async throws -> Void
    ) async throws {
        var configuration = RedisClient.Configuration(topology: RedisTopology(endpoint))
        configuration.connectTimeout = .seconds(10)
        change(&configuration)
        let client = try RedisClient(configuration)
        do { try await body(client) } catch {
            await client.close()
            throw error
        }
        await client.close()
    }

    private func send(_ client: RedisClient, _ name: StaticString, _ arguments: String...) async throws -> RedisReply {
        var pipeline = RedisPipeline()
        pipeline.append(name, arguments.map { .text($0) })
        return try await client.send(pipeline, deadline: .now + .seconds(10), idempotent: true) { $0[0] }
    }

    private func expectPong(_ client: RedisClient) async throws {
        let reply = try await send(client, "PING")
        #expect(reply == .status("PONG"))
    }

    private func failure(_ client: RedisClient, within: Duration = .seconds(10)) async -> RedisError? {
        var pipeline = RedisPipeline()
        pipeline.append("PING")
        do throws(RedisError) {
            _ = try await client.send(pipeline, deadline: .now + within, idempotent: true) { $0 }
            return nil
        } catch {
            return error
        }
    }

    @Test func userPasswordAndDatabaseAreUsed() async throws {
        var options = RedisServer.Options()
        options.configuration = ["user default off", "user sync on >correct ~* +@all"]
        try await RedisServer.with(options) { server in
            var endpoint = server.topology.primary
            endpoint.user = "sync"
            endpoint.password = "correct"
            endpoint.database = 2
            try await withClient(endpoint) { client in
                let info = try await send(client, "CLIENT", "INFO").bytes() ?? []
                let text = String(decoding: info, as: UTF8.self)
                #expect(text.contains(" db=2 "))
                #expect(text.contains(" user=sync "))
                #expect(text.contains(" name=tidemark "))
            }
        }
    }

    @Test(arguments: [nil, "sync"] as [String?])
    func wrongPasswordIsRefusedWithoutBeingShown(_ user: String?) async throws {
        var options = RedisServer.Options()
        options.configuration = ["requirepass correct", "user sync on >correct ~* +@all"]
        try await RedisServer.with(options) { server in
            var endpoint = server.topology.primary
            endpoint.user = user
            endpoint.password = "hunter2"
            try await withClient(endpoint) { client in
                let error = try #require(await failure(client))
                #expect(error.code == .errorReply(.wrongpass))
                #expect(!"\(error) \(String(reflecting: error))".contains("hunter2"))
                // The next try is not made before the pause for logins ends, but is told the reason at once.
                #expect(await failure(client)?.code == .errorReply(.wrongpass))
            }
            endpoint.password = nil
            endpoint.user = nil
            try await withClient(endpoint) { client in
                #expect(await failure(client)?.code == .errorReply(.noauth))
            }
            #expect(try await rejectedLogins(server) == 1)
        }
    }

    private func rejectedLogins(_ server: RedisServer) async throws -> Int {
        var endpoint = server.topology.primary
        endpoint.password = "correct"
        let bytes = try await server.command("ACL", "LOG", endpoint: endpoint).elements()
        // One entry stands for all alike; `count` is its second element.
        return Int(try bytes.first?.elements()[1].integer() ?? 0)
    }

    @Test func passwordWhereNoneIsSetIsRefused() async throws {
        try await RedisServer.with { server in
            var endpoint = server.topology.primary
            endpoint.password = "hunter2"
            try await withClient(endpoint) { client in
                let error = try #require(await failure(client))
                #expect(error.code == .errorReply(.wrongpass))
                #expect(!"\(error)".contains("hunter2"))
            }
        }
    }

    @Test func tlsNeedsACertificateOfTheAuthorityForTheHost() async throws {
        var options = RedisServer.Options()
        options.listensOnTLS = true
        options.configuration = ["bind 127.0.0.1 127.0.0.2"]
        try await RedisServer.with(options) { server in
            let trusted = RedisEndpoint.TLS(caFile: server.caFile)
            for host in ["localhost", "127.0.0.1"] {
                let endpoint = RedisEndpoint(address: .host(host, port: server.tlsPort), tls: trusted)
                try await withClient(endpoint) { client in
                    let payload = String(repeating: "x", count: 1 << 20)
                    let echo = try await send(client, "ECHO", payload)
                    #expect(echo == .bulk(Array(payload.utf8)))
                }
            }
            let refused: [(String, RedisEndpoint.TLS)] = [("127.0.0.2", trusted), ("localhost", .init())]
            for (host, tls) in refused {
                try await withClient(RedisEndpoint(address: .host(host, port: server.tlsPort), tls: tls)) { client in
                    #expect(await failure(client)?.code == .connectionFailed)
                }
            }
            let blind = RedisEndpoint(
                address: .host("127.0.0.2", port: server.tlsPort), tls: .init(caFile: nil, verifies: false))
            try await withClient(blind) { client in try await expectPong(client) }
        }
    }

    @Test func missingCAFileIsAConfigurationError() {
        let endpoint = RedisEndpoint(address: .host("h", port: 1), tls: .init(caFile: "/nonexistent.pem"))
        let error = #expect(throws: RedisError.self) {
            try RedisClient(.init(topology: RedisTopology(endpoint)))
        }
        #expect(error?.code == .invalidConfiguration)
    }

    @Test func bytesOfAnyKindComeBack() async throws {
        try await RedisServer.with { server in
            try await withClient(server.topology.primary) { client in
                let value = (0..<100_000).map { UInt8(truncatingIfNeeded: $0) }
                var pipeline = RedisPipeline()
                pipeline.append("SET", .bytes([0, 13, 10, 255]), .bytes(value))
                pipeline.append("GET", .bytes([0, 13, 10, 255]))
                let replies = try await client.send(pipeline, deadline: .now + .seconds(10), idempotent: true) { $0 }
                #expect(replies == [.status("OK"), .bulk(value)])
            }
        }
    }

    @Test func pipelinesFarBeyondTheSocketBuffersKeepTheirOrder() async throws {
        try await RedisServer.with { server in
            try await withClient(server.topology.primary, { $0.connections = 1 }) { client in
                await withTaskGroup(of: Void.self) { group in
                    for task in 0..<4 {
                        group.addTask {
                            var pipeline = RedisPipeline()
                            var expected: [RedisReply] = []
                            for number in 0..<4_000 {
                                let text = "\(task).\(number)." + String(repeating: "x", count: 1_500)
                                pipeline.append("ECHO", .text(text))
                                expected.append(.bulk(Array(text.utf8)))
                            }
                            let sent = pipeline
                            let replies = try? await client.send(
                                sent, deadline: .now + .seconds(60), idempotent: false
                            ) { $0 }
                            #expect(replies == expected)
                        }
                    }
                }
            }
        }
    }

    @Test func forgottenScriptRunsOnce() async throws {
        try await RedisServer.with { server in
            let script = RedisScript("return redis.call('INCRBY', KEYS[1], ARGV[1])")
            try await withClient(server.topology.primary, { $0.scripts = [script] }) { client in
                var pipeline = RedisPipeline()
                pipeline.append(script, keys: ["a"], [.integer(1)])
                pipeline.append("SCRIPT", .text("FLUSH"))
                pipeline.append(script, keys: ["a"], [.integer(10)])
                pipeline.append("PING")
                pipeline.append(script, keys: ["a"], [.integer(100)])
                let replies = try await client.send(pipeline, deadline: .now + .seconds(10), idempotent: false) { $0 }
                #expect(replies == [.integer(1), .status("OK"), .integer(11), .status("PONG"), .integer(111)])
                let counts = try await send(client, "INFO", "commandstats").bytes() ?? []
                // Loaded on connect, so the first call needed no source.
                #expect(String(decoding: counts, as: UTF8.self).contains("cmdstat_eval:calls=2,"))
            }
        }
    }

    @Test func killedConnectionsAreReplaced() async throws {
        try await RedisServer.with { server in
            try await withClient(server.topology.primary) { client in
                for _ in 0..<3 {
                    try await expectPong(client)
                    try await server.command("CLIENT", "KILL", "TYPE", "normal")
                    try await expectPong(client)
                }
            }
        }
    }

    @Test func deadServerFailsAtOnceAndComesBack() async throws {
        try await RedisServer.with { server in
            try await withClient(server.topology.primary) { client in
                try await expectPong(client)
                server.stop(.kill)
                for _ in 0..<5 { #expect(await failure(client)?.code == .connectionFailed) }
                try server.start()
                // The back-off is real: ask until it is over, without waiting longer than the suite allows.
                while let error = await failure(client) {
                    #expect(error.code == .connectionFailed)
                    await Task.yield()
                }
            }
        }
    }

    @Test func pausedServerCostsADeadlineAndLaterAConnection() async throws {
        try await RedisServer.with { server in
            try await withClient(
                server.topology.primary,
                {
                    $0.connections = 1
                    $0.limits.headGrace = .zero
                }
            ) { client in
                try await expectPong(client)
                server.pause()
                #expect(await failure(client, within: .milliseconds(20))?.code == .deadlineExceeded)
                server.resume()
                try await expectPong(client)
            }
        }
    }

    @Test func connectionTriesAreLimited() async throws {
        try await RedisServer.with { server in
            try await withClient(server.topology.primary, { $0.connectsPerSecond = 1 }) { client in
                var refusal: RedisError?
                for _ in 0..<100 where refusal == nil {
                    do throws(RedisError) {
                        await (try client.makeConnection(deadline: .now + .seconds(10))).close()
                    } catch {
                        refusal = error
                    }
                }
                #expect(refusal?.code == .connectionFailed)
            }
        }
    }

    @Test func connectionGivenBackIsTheNextCallers() async throws {
        try await RedisServer.with { server in
            try await withClient(server.topology.primary, { $0.connectsPerSecond = 1_000 }) { client in
                let before = try await connectionsReceived(server)
                for _ in 0..<100 {
                    let connection = try await client.makeConnection(deadline: .now + .seconds(10))
                    await client.giveBack(connection)
                }
                // One for all of them, and the one that asks.
                #expect(try await connectionsReceived(server) == before + 2)
                let connection = try await client.makeConnection(deadline: .now + .seconds(10))
                await client.giveBack(connection)
                await connection.close()
                // What was closed meanwhile is nobody's: a new one is made.
                let another = try await client.makeConnection(deadline: .now + .seconds(10))
                #expect(another.isOpen)
                #expect(try await connectionsReceived(server) == before + 4)
            }
        }
    }

    private func connectionsReceived(_ server: RedisServer) async throws -> Int {
        let text = String(decoding: try await server.command("INFO", "stats").bytes() ?? [], as: UTF8.self)
        let line = text.split(separator: "\r\n").first { $0.hasPrefix("total_connections_received:") }
        return try #require(line.flatMap { Int($0.drop { $0 != ":" }.dropFirst()) })
    }

    @Test func noMoreConnectionsAreKeptThanMayBe() async throws {
        try await RedisServer.with { server in
            let change = { (configuration: inout RedisClient.Configuration) in
                configuration.spareConnections = 1
                configuration.connectsPerSecond = 1_000
            }
            try await withClient(server.topology.primary, change) { client in
                let first = try await client.makeConnection(deadline: .now + .seconds(10))
                let second = try await client.makeConnection(deadline: .now + .seconds(10))
                await client.giveBack(first)
                await client.giveBack(second)
                #expect(first.isOpen && !second.isOpen)
                await client.close()
                #expect(!first.isOpen)
            }
        }
    }

    @Test func closedClientRefuses() async throws {
        try await RedisServer.with { server in
            try await withClient(server.topology.primary) { client in
                let connection = try await client.makeConnection(deadline: .now + .seconds(10))
                await client.close()
                #expect(await failure(client)?.code == .clientClosed)
                #expect(!connection.isOpen)
            }
        }
    }
}
