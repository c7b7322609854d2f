import NIOCore

/// A connection to the daemon: one request at a time.
final class LoadConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    struct Request {
        let index: Int
        let due: NIODeadline
        let sent: NIODeadline
        let phase: Int
    }

    private struct Head {
        let status: Int
        let headBytes: Int
        let bodyBytes: Int
        let closes: Bool
    }

    private let generator: Generator
    private var context: ChannelHandlerContext?
    private var request: Request?
    private var unread = ByteBuffer()
    private var head: Head?

    init(_ generator: Generator) {
        self.generator = generator
    }

    func channelActive(context: ChannelHandlerContext) {
        self.context = context
        generator.isIdle(self)
        context.fireChannelActive()
    }

    func channelInactive(context: ChannelHandlerContext) {
        self.context = nil
        if let request {
            self.request = nil
            generator.ended(request, .broken)
        }
        generator.isGone(self)
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }

    func send(_ index: Int, due: NIODeadline, phase: Int) {
        request = Request(index: index, due: due, sent: .now(), phase: phase)
        guard let context else { return }
        context.writeAndFlush(wrapOutboundOut(generator.plan.requests.encoded[index]), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        if unread.readableBytes == 0 { unread = bytes } else { unread.writeBuffer(&bytes) }
        if head == nil { head = Self.readHead(unread.readableBytesUInt8Span) }
        guard let head, unread.readableBytes >= head.headBytes + head.bodyBytes else { return }
        self.head = nil
        unread.moveReaderIndex(forwardBy: head.headBytes)
        // An answer that nobody asked for counts as wrong by what it does to the next; the daemon never sends one.
        guard let request else { return context.close(promise: nil) }
        self.request = nil
        judge(request, head)
        unread.moveReaderIndex(forwardBy: head.bodyBytes)
        if unread.readableBytes == 0 { unread = ByteBuffer() }
        if head.closes { context.close(promise: nil) } else { generator.isIdle(self) }
    }

    private func judge(_ request: Request, _ head: Head) {
        guard head.status == 200 else {
            return generator.ended(request, head.status == 503 ? .refused : .other, status: head.status)
        }
        let requests = generator.plan.requests
        let check = AnswerCheck(unread.readableBytesUInt8Span, ids: requests.ids[request.index], requests)
        let fate: Fate = check.failed > 0 ? .degraded : check.missing > 0 ? .missing : .whole
        generator.ended(request, fate, status: 200, isWrong: check.isWrong)
    }

    /// The head of an answer as the daemon writes it, in lower case; `nil` until it is complete.
    private static func readHead(_ bytes: Span<UInt8>) -> Head? {
        var index = 0
        var status = 0
        var length = 0
        var closes = false
        while let end = lineEnd(bytes, from: index) {
            if end == index {
                return Head(status: status, headBytes: end + 2, bodyBytes: length, closes: closes)
            }
            if index == 0 {
                status = number(bytes, from: 9, to: min(12, end))
            } else if starts(bytes, at: index, with: "content-length: ") {
                length = number(bytes, from: index + 16, to: end)
            } else if starts(bytes, at: index, with: "connection: close") {
                closes = true
            }
            index = end + 2
        }
        return nil
    }

    private static func lineEnd(_ bytes: Span<UInt8>, from start: Int) -> Int? {
        var index = start
        while index + 1 < bytes.count {
            if bytes[index] == 13, bytes[index + 1] == 10 { return index }
            index += 1
        }
        return nil
    }

    private static func number(_ bytes: Span<UInt8>, from start: Int, to end: Int) -> Int {
        var value = 0
        var index = start
        while index < end, (48...57).contains(bytes[index]), value < 1 << 40 {
            value = value * 10 + Int(bytes[index]) - 48
            index += 1
        }
        return value
    }

    private static func starts(_ bytes: Span<UInt8>, at start: Int, with text: StaticString) -> Bool {
        guard bytes.count - start >= text.utf8CodeUnitCount else { return false }
        return text.withUTF8Buffer { text in
            for place in 0..<text.count where unsafe text[place] != bytes[start + place] { return false }
            return true
        }
    }
}
