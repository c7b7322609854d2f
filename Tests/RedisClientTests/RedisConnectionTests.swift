import RedisClient
import Testing
import TidemarkTesting

/// Connections to a peer that answers what no Redis would, or when no Redis would.
@Suite(.timeLimit(.minutes(1)))
struct RedisConnectionTests {
    /// Limits under which a busy machine's pauses are no silence of the server.
    private static var patient: RedisConnection.Limits {
        var limits = RedisConnection.Limits()
        limits.headGrace = .seconds(60)
        return limits
    }

    private func withConnection(
        limits: RedisConnection.Limits = Self.patient, _ script: @escaping RedisPeer.Script,
        _ body: (RedisConnection) async throws -> Void
    ) async throws {
        try await RedisPeer.with(script) { peer in
            var configuration = RedisClient.Configuration(topology: try RedisTopology(url: peer.url))
            configuration.limits = limits
            configuration.connectTimeout = .seconds(60)
            let client = try RedisClient(configuration)
            let connection = try await client.makeConnection(deadline: .now + .seconds(60))
            try await body(connection)
            await client.close()
        }
    }

    private func ping(_ text: String = "x") -> RedisPipeline {
        var pipeline = RedisPipeline()
        pipeline.append("PING", .text(text))
        return pipeline
    }

    private func failure(
        _ connection: RedisConnection, _ pipeline: RedisPipeline, within: Duration = .seconds(60)
    ) async -> RedisError.Code? {
        do throws(RedisError) {
            _ = try await connection.send(pipeline, deadline: .now + within)
            return nil
        } catch {
            return error.code
        }
    }

    @Test(arguments: [
        ("!\r\n", RedisError.Code.malformedReply), ("HTTP/1.1 400 Bad Request\r\n\r\n", .malformedReply),
        ("$-7\r\n", .malformedReply), ("*-7\r\n", .malformedReply), ("$3\r\nabcde", .malformedReply),
        (":99999999999999999999\r\n", .malformedReply), ("$99999999999\r\n", .replyTooLarge),
        ("*1000000000\r\n", .replyTooLarge), ("*2147483647\r\n", .replyTooLarge),
        ("*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n", .replyTooLarge),
        (":1\r\n:2\r\n", .malformedReply),
    ])
    func hostileReplyClosesTheConnection(_ reply: String, _ code: RedisError.Code) async throws {
        try await withConnection { peer in
            guard peer.greet(), peer.readCommand() != nil else { return }
            peer.write(reply)
            peer.waitForHangUp()
        } _: { connection in
            // One reply too many arrives behind a good answer: it is the next call that finds the connection closed.
            if reply.hasPrefix(":1\r\n") { _ = try await connection.send(ping(), deadline: .now + .seconds(60)) }
            let first = await failure(connection, ping())
            #expect(first == code)
            #expect(await failure(connection, ping()) == code)
            #expect(!connection.isOpen)
        }
    }

    @Test func replyLineWithoutEndClosesTheConnection() async throws {
        try await withConnection { peer in
            guard peer.greet(), peer.readCommand() != nil else { return }
            // Goes on until the client hangs up; the suite's time limit ends it otherwise.
            peer.write("+")
            while peer.write(Array(repeating: 120, count: 4_096)) {}
        } _: { connection in
            let code = await failure(connection, ping())
            #expect(code == .replyTooLarge)
        }
    }

    @Test func replyCutAtAnyByteIsAClosedConnection() async throws {
        let reply = "*3\r\n:1\r\n$3\r\nabc\r\n-ERR x\r\n"
        for end in 0..<reply.utf8.count {
            try await withConnection { peer in
                guard peer.greet(), peer.readCommand() != nil else { return }
                peer.write(Array(reply.utf8.prefix(end)))
            } _: { connection in
                #expect(await failure(connection, ping()) == .connectionClosed)
            }
        }
    }

    @Test func replyInSingleBytesIsWhole() async throws {
        let reply = "*3\r\n:1\r\n$3\r\nabc\r\n-ERR x\r\n"
        try await withConnection { peer in
            guard peer.greet(), peer.readCommand() != nil else { return }
            for byte in reply.utf8 { peer.write([byte]) }
            peer.waitForHangUp()
        } _: { connection in
            let replies = try await connection.send(ping(), deadline: .now + .seconds(60))
            let expected = RedisReply.array([
                .integer(1), .bulk(Array("abc".utf8)), .error(RedisErrorReply("ERR x")),
            ])
            #expect(replies == [expected])
        }
    }

    @Test func lateReplyIsSwallowedAndShiftsNothing() async throws {
        try await withConnection { peer in
            guard peer.greet() else { return }
            // Holds back every reply until the one that is waited for. On a busy machine the late one may never be sent.
            var held = ""
            while let command = peer.readCommand() {
                let text = String(decoding: command[1], as: UTF8.self)
                held += "+\(text)\r\n"
                if text == "next" { break }
            }
            peer.write(held)
            peer.waitForHangUp()
        } _: { connection in
            #expect(await failure(connection, ping("late"), within: .milliseconds(20)) == .deadlineExceeded)
            let replies = try await connection.send(ping("next"), deadline: .now + .seconds(60))
            #expect(replies == [.status("next")])
        }
    }

    @Test func cancelledCallIsAnsweredAtOnceAndShiftsNothing() async throws {
        let sent = Gate()
        try await withConnection { peer in
            guard peer.greet(), let first = peer.readCommand() else { return }
            sent.open()
            guard let next = peer.readCommand() else { return }
            for command in [first, next] { peer.write("+" + String(decoding: command[1], as: UTF8.self) + "\r\n") }
            peer.waitForHangUp()
        } _: { connection in
            let code = await withTaskGroup(of: RedisError.Code?.self) { group in
                group.addTask { await failure(connection, ping("cancelled"), within: .seconds(60)) }
                await sent.opened()
                group.cancelAll()
                return await group.next() ?? nil
            }
            #expect(code == .cancelled)
            let replies = try await connection.send(ping("next"), deadline: .now + .seconds(60))
            #expect(replies == [.status("next")])
        }
    }

    @Test func overlappingCallsGetTheirOwnReplies() async throws {
        try await withConnection { peer in
            guard peer.greet() else { return }
            while let command = peer.readCommand() {
                peer.write("+" + String(decoding: command[1], as: UTF8.self) + "\r\n")
            }
        } _: { connection in
            await withTaskGroup(of: Void.self) { group in
                for task in 0..<8 {
                    group.addTask {
                        for call in 0..<100 {
                            var pipeline = RedisPipeline()
                            for number in 0...task { pipeline.append("PING", .text("\(task).\(call).\(number)")) }
                            let expected = (0...task).map { RedisReply.status("\(task).\(call).\($0)") }
                            // Some calls give up at once, at any moment of their life.
                            let patience: Duration = call % 7 == 3 ? .microseconds(call * 5) : .seconds(60)
                            do throws(RedisError) {
                                let replies = try await connection.send(pipeline, deadline: .now + patience)
                                #expect(replies == expected)
                            } catch {
                                #expect(error.code == .deadlineExceeded)
                                #expect(call % 7 == 3)
                            }
                        }
                    }
                }
            }
            #expect(connection.isOpen)
        }
    }

    @Test func serverThatFallsSilentIsGivenUp() async throws {
        var limits = RedisConnection.Limits()
        limits.headGrace = .zero
        try await withConnection(limits: limits) { peer in
            if peer.greet() { peer.waitForHangUp() }
        } _: { connection in
            // On a busy machine the first deadlines may pass before anything is sent.
            var code: RedisError.Code?
            for _ in 0..<1_000 where code != .connectionClosed {
                code = await failure(connection, ping(), within: .milliseconds(10))
            }
            #expect(code == .connectionClosed)
        }
    }

    @Test func deadlineInThePastSendsNothing() async throws {
        try await withConnection { peer in
            guard peer.greet(), let command = peer.readCommand() else { return }
            peer.write("+" + String(decoding: command[1], as: UTF8.self) + "\r\n")
            peer.waitForHangUp()
        } _: { connection in
            #expect(await failure(connection, ping("never"), within: .zero) == .deadlineExceeded)
            let replies = try await connection.send(ping("sent"), deadline: .now + .seconds(60))
            #expect(replies == [.status("sent")])
        }
    }

    @Test func unexpectedTypeClosesTheConnection() async throws {
        try await withConnection { peer in
            guard peer.greet(), peer.readCommand() != nil else { return }
            peer.write("+OK\r\n")
            peer.waitForHangUp()
        } _: { connection in
            await #expect(throws: RedisError(.malformedReply, "")) {
                try await connection.send(ping(), deadline: .now + .seconds(60)) { replies throws(RedisError) in
                    try replies[0].integer()
                }
            }
            #expect(await failure(connection, ping()) == .malformedReply)
        }
    }

    @Test func repliesOfOnePipelineAreLimitedTogether() async throws {
        var limits = RedisConnection.Limits()
        limits.reply.totalBytes = 5
        try await withConnection(limits: limits) { peer in
            guard peer.greet(), peer.readCommand() != nil else { return }
            peer.write("$3\r\nabc\r\n$3\r\nabc\r\n")
            peer.waitForHangUp()
        } _: { connection in
            var pipeline = ping()
            pipeline.append("PING")
            #expect(await failure(connection, pipeline) == .replyTooLarge)
        }
    }

    @Test func errorReplyThatMakesTheConnectionUselessClosesIt() async throws {
        try await withConnection { peer in
            guard peer.greet(), peer.readCommand() != nil else { return }
            peer.write("-READONLY You can't write against a read only replica.\r\n")
            peer.waitForHangUp()
        } _: { connection in
            let replies = try await connection.send(ping(), deadline: .now + .seconds(60))
            #expect(
                replies.first.map { if case .error(let error) = $0 { error.kind == .readonly } else { false } } == true)
            #expect(await failure(connection, ping()) == .connectionClosed)
        }
    }
}
