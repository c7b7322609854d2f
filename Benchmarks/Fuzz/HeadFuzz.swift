import NIOCore
import NIOEmbedded
import NIOHTTP1
import Serving
import TidemarkTesting

/// Bytes through the HTTP decoder with the daemon's limits, in pieces, and heads through what the daemon reads of them.
///
/// Promised: no trap; no head within the decoder's limits is over ours; no head has both a length and an encoding, or two lengths; a
/// body is no longer than its head says; no header carries a line end; after an error nothing more is taken for a request.
struct HeadFuzz {
    private static let headerBytes = 32 << 10
    private static let headerCount = 100

    private let world: World
    private var mutator: Mutator
    private let others: [[UInt8]]
    private var tally = Tally()

    init(_ world: World, seed: UInt64) {
        self.world = world
        mutator = Mutator(seed: seed ^ 0x4845_4144)
        others = world.bodies.prefix(8).map { route, body in
            Array("POST \(route.path) HTTP/1.1\r\nhost: a\r\ncontent-length: \(body.count)\r\n\r\n".utf8) + body
        }
    }

    consuming func run(_ count: Int) -> Tally {
        var fuzz = self
        for _ in 0..<count { fuzz.one() }
        return fuzz.tally
    }

    private mutating func one() {
        var bytes = HTTPText.stream(world, &mutator.random)
        mutator.mutate(&bytes, Mutator.http, times: 4, others: others)
        tally.cases += 1
        tally.bytes += bytes.count
        let channel = EmbeddedChannel()
        defer { _ = try? channel.finish(acceptAlreadyClosed: true) }
        var limits = NIOHTTPDecoderLimitConfiguration()
        limits.maxHeaderFieldSize = Self.headerBytes
        limits.maxHeaderListSize = Self.headerBytes
        limits.maxHeaderFieldCount = Self.headerCount
        do {
            try channel.pipeline.syncOperations.addHandler(
                ByteToMessageHandler(HTTPRequestDecoder(leftOverBytesStrategy: .dropBytes, limitConfiguration: limits)))
        } catch {
            return tally.fail("no pipeline: \(error)")
        }
        feed(bytes, channel)
    }

    private mutating func feed(_ bytes: [UInt8], _ channel: EmbeddedChannel) {
        var reading = Reading()
        var rest = bytes[...]
        var hasFailed = false
        while !rest.isEmpty {
            let part = rest.prefix(mutator.random.below(3) == 0 ? 1 + mutator.random.below(64) : rest.count)
            rest = rest.dropFirst(part.count)
            do {
                try channel.writeInbound(ByteBuffer(bytes: part))
            } catch {
                hasFailed = true
                tally.count("refused: \(error)")
                rest = []
            }
            while let part = try? channel.readInbound(as: HTTPServerRequestPart.self) {
                take(part, &reading, bytes)
            }
        }
        if hasFailed {
            // The daemon closes here; until it has, nothing behind the error may be taken for a request.
            _ = try? channel.writeInbound(ByteBuffer(string: "GET /livez HTTP/1.1\r\nhost: a\r\n\r\n"))
            while let part = try? channel.readInbound(as: HTTPServerRequestPart.self) {
                if case .head = part { tally.fail("a request behind an error is taken: \(BodyFuzz.shown(bytes))") }
            }
        }
        tally.count("\(reading.requests) requests whole")
    }

    /// What came of one stream so far.
    private struct Reading {
        var requests = 0
        var length: Int?
        var bodyBytes = 0
    }

    private mutating func take(_ part: HTTPServerRequestPart, _ reading: inout Reading, _ bytes: [UInt8]) {
        switch part {
        case .head(let head):
            let fields = HeadFields(head.headers, isOld: head.version != .http1_1)
            check(head, fields, bytes)
            reading.length = fields.contentLength
            reading.bodyBytes = 0
            if let fault = fields.fault { tally.count("refused for \(fault)") }
        case .body(let body):
            reading.bodyBytes += body.readableBytes
            if let length = reading.length, reading.bodyBytes > length {
                tally.fail("a body is longer than its head says: \(BodyFuzz.shown(bytes))")
            }
        case .end: reading.requests += 1
        }
    }

    private mutating func check(_ head: HTTPRequestHead, _ fields: HeadFields, _ bytes: [UInt8]) {
        let lengths = head.headers["content-length"]
        if !lengths.isEmpty, head.headers.contains(name: "transfer-encoding"), fields.fault == nil {
            tally.fail("a length beside an encoding: \(BodyFuzz.shown(bytes))")
        }
        if Set(lengths).count > 1 { tally.fail("two lengths: \(BodyFuzz.shown(bytes))") }
        if !lengths.isEmpty, (fields.contentLength ?? -1) < 0 || lengths[0].hasPrefix("+") {
            let length = lengths[0]
            tally.fail("the length \(length.debugDescription): \(BodyFuzz.shown(bytes))")
        }
        if head.headers.count > Self.headerCount { tally.fail("\(head.headers.count) headers") }
        var size = 0
        for (name, value) in head.headers {
            size += name.utf8.count + value.utf8.count
            if name.isEmpty || (name + value).utf8.contains(where: { $0 == 0 || $0 == 0x0A || $0 == 0x0D }) {
                tally.fail("a header with a line end or without a name: \(BodyFuzz.shown(bytes))")
            }
        }
        if size > Self.headerBytes { tally.fail("\(size) bytes of headers") }
        tally.count("heads")
    }
}
