import Testing

// The reader has no package API: it is the C handle inside of a connection.
@testable import RedisClient

struct ReplyReaderTests {
    private static let everything = Array(
        "*8\r\n:-42\r\n$3\r\na\r\n\r\n$0\r\n\r\n$-1\r\n*-1\r\n+OK\r\n-ERR no\r\n*2\r\n*0\r\n:9223372036854775807\r\n"
            .utf8)
    private static let parsed = RedisReply.array([
        .integer(-42), .bulk(Array("a\r\n".utf8)), .bulk([]), .null, .null, .status("OK"),
        .error(RedisErrorReply("ERR no")), .array([.array([]), .integer(.max)]),
    ])

    private func read(_ parts: [ArraySlice<UInt8>], limits: RedisReplyLimits = .init()) throws -> [RedisReply] {
        var reader = try ReplyReader(limits: limits)
        var replies: [RedisReply] = []
        for part in parts {
            try feed(Array(part), to: &reader)
            while let next = try reader.next() { replies.append(next.reply) }
        }
        return replies
    }

    private func feed(_ bytes: [UInt8], to reader: inout ReplyReader) throws {
        var failure: (any Error)?
        unsafe bytes.withUnsafeBytes { bytes in
            do { try unsafe reader.feed(bytes) } catch { failure = error }
        }
        if let failure { throw failure }
    }

    private func read(_ text: String, limits: RedisReplyLimits = .init()) throws -> [RedisReply] {
        // In slices, as a connection feeds it.
        let bytes = Array(text.utf8)
        let slices = stride(from: 0, to: bytes.count, by: ReplyReader.sliceBytes).map {
            bytes[$0..<min($0 + ReplyReader.sliceBytes, bytes.count)]
        }
        return try read(slices, limits: limits)
    }

    private func refusal(_ text: String, limits: RedisReplyLimits = .init()) -> RedisError.Code? {
        let error = #expect(throws: RedisError.self) { try read(text, limits: limits) }
        return error?.code
    }

    @Test func repliesOfEveryTypeAreRead() throws {
        #expect(try read([Self.everything[...]]) == [Self.parsed])
    }

    @Test func splitAtEveryBoundaryReadsTheSame() throws {
        let twice = Self.everything + Self.everything
        for split in 0...twice.count {
            #expect(try read([twice[..<split], twice[split...]]) == [Self.parsed, Self.parsed])
        }
        #expect(try read(twice.indices.map { twice[$0...$0] }) == [Self.parsed, Self.parsed])
    }

    @Test func truncationAtEveryByteYieldsNothing() throws {
        for end in 0..<Self.everything.count { #expect(try read([Self.everything[..<end]]).isEmpty) }
    }

    @Test func flippedBitsNeverTrap() throws {
        for index in Self.everything.indices {
            for bit in 0..<8 {
                var bytes = Self.everything
                bytes[index] ^= 1 << UInt8(bit)
                do { _ = try read([bytes[...]]) } catch let error as RedisError {
                    #expect([.malformedReply, .replyTooLarge].contains(error.code))
                }
            }
        }
    }

    @Test(arguments: [
        "!x\r\n", "HTTP/1.1 400 Bad Request\r\n", "$-2\r\n", "*-2\r\n", "*2147483648\r\n", ":\r\n", ":1x\r\n",
        ":9223372036854775808\r\n", "$x\r\n", "*x\r\n", "$3\r\nabcXY", "$3\r\nabc\r\r", "$1 \r\n",
        "*99999999999999999999999999999999999999", ":11111111111111111111111111111111111111",
        "$00000000000000000000000000000000000000",
    ])
    func whatIsNotRESPIsMalformed(_ text: String) {
        #expect(refusal(text) == .malformedReply)
    }

    @Test func announcedLengthIsRefusedBeforeItComes() throws {
        var limits = RedisReplyLimits()
        limits.bulkBytes = 100
        #expect(try read("$100\r\n" + String(repeating: "x", count: 100) + "\r\n", limits: limits).count == 1)
        #expect(refusal("$101\r\n", limits: limits) == .replyTooLarge)
        #expect(refusal("$101", limits: limits) == .replyTooLarge)
        #expect(refusal("$9223372036854775807\r\n") == .replyTooLarge)
        #expect(refusal("*1\r\n*2\r\n:1\r\n$16777217\r\n") == .replyTooLarge)
    }

    @Test func bulkInOneSliceIsRefusedToo() {
        var limits = RedisReplyLimits()
        limits.bulkBytes = 2
        #expect(refusal("$3\r\nabc\r\n", limits: limits) == .replyTooLarge)
    }

    @Test func announcedElementsAreRefusedBeforeTheyCome() throws {
        #expect(refusal("*1000000000\r\n") == .replyTooLarge)
        var limits = RedisReplyLimits()
        limits.elements = 5
        #expect(try read("*3\r\n:1\r\n:2\r\n*2\r\n:3\r\n:4\r\n", limits: limits).count == 1)
        #expect(refusal("*3\r\n:1\r\n:2\r\n*3\r\n", limits: limits) == .replyTooLarge)
        // The count starts anew with each reply.
        #expect(
            try read("*5\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n*5\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n", limits: limits).count
                == 2)
    }

    @Test func stringsOfOneReplyAreLimitedTogether() throws {
        var limits = RedisReplyLimits()
        limits.totalBytes = 6
        #expect(try read("*2\r\n$3\r\nabc\r\n$3\r\nabc\r\n", limits: limits).count == 1)
        #expect(refusal("*2\r\n$3\r\nabc\r\n$4\r\nabcd\r\n", limits: limits) == .replyTooLarge)
    }

    @Test func nestingBeyondSevenIsRefused() throws {
        #expect(try read(String(repeating: "*1\r\n", count: 7) + ":1\r\n").count == 1)
        #expect(refusal(String(repeating: "*1\r\n", count: 8) + ":1\r\n") != nil)
    }

    @Test(arguments: ["+", "-"])
    func lineWithoutEndIsRefused(_ mark: String) throws {
        let longest = String(repeating: "x", count: RedisReplyLimits.lineBytes - 64)
        #expect(try read("\(mark)\(longest)\r\n").count == 1)
        #expect(refusal(mark + String(repeating: "x", count: 2 * RedisReplyLimits.lineBytes)) == .replyTooLarge)
    }

    @Test func deadReaderStaysDead() throws {
        var reader = try ReplyReader(limits: .init())
        try feed(Array("!".utf8), to: &reader)
        #expect(throws: RedisError.self) { try reader.next() }
        #expect(throws: RedisError.self) {
            try feed(Array("+OK\r\n".utf8), to: &reader)
            _ = try reader.next()
        }
    }
}
