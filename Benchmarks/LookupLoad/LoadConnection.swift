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
        /// Which of the exchange's requests is under way.
        var step = 0
        /// How often it was sent again.
        var retries = 0
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
            generator.ended(request, Verdict(fate: .broken))
        }
        generator.isGone(self)
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }

    func send(_ index: Int, due: NIODeadline, phase: Int) {
        request = Request(index: index, due: due, sent: .now(), phase: phase)
        write(index, 0)
    }

    private func write(_ index: Int, _ step: Int) {
        guard let context else { return }
        context.writeAndFlush(wrapOutboundOut(generator.plan.requests.exchanges[index][step]), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        if unread.readableBytes == 0 { unread = bytes } else { unread.writeBuffer(&bytes) }
        if head == nil { head = Self.readHead(unread.readableBytesUInt8Span) }
        guard let head, unread.readableBytes >= head.headBytes + head.bodyBytes else { return }
        self.head = nil
        unread.moveReaderIndex(forwardBy: head.headBytes)
        // An answer that nobody asked for counts as wrong by what it does to the next; the daemon never sends one.
        guard var request else { return context.close(promise: nil) }
        self.request = nil
        if head.status == 200, !head.closes, request.step + 1 < generator.plan.requests.exchanges[request.index].count {
            unread.moveReaderIndex(forwardBy: head.bodyBytes)
            if unread.readableBytes == 0 { unread = ByteBuffer() }
            request.step += 1
            self.request = request
            return write(request.index, request.step)
        }
        if head.status == 503, !head.closes, request.retries < generator.plan.retries {
            unread.moveReaderIndex(forwardBy: head.bodyBytes)
            if unread.readableBytes == 0 { unread = ByteBuffer() }
            request.retries += 1
            request.step = 0
            self.request = request
            return write(request.index, 0)
        }
        judge(request, head)
        unread.moveReaderIndex(forwardBy: head.bodyBytes)
        if unread.readableBytes == 0 { unread = ByteBuffer() }
        if head.closes { context.close(promise: nil) } else { generator.isIdle(self) }
    }

    private func judge(_ request: Request, _ head: Head) {
        guard head.status == 200 else {
            let verdict = Verdict(fate: head.status == 503 ? .refused : .other)
            return generator.ended(request, verdict, status: head.status)
        }
        let body = unread.getSlice(at: unread.readerIndex, length: head.bodyBytes) ?? ByteBuffer()
        let verdict = generator.plan.requests.judge(request.index, body.readableBytesUInt8Span)
        generator.ended(request, verdict, status: 200)
    }

    /// The head of an answer, its names in any case; `nil` until it is complete.
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
            for place in 0..<text.count {
                // Names of fields alone have capitals; what else is looked for has none.
                let byte = bytes[start + place]
                guard unsafe text[place] == ((0x41...0x5a).contains(byte) ? byte | 0x20 : byte) else { return false }
            }
            return true
        }
    }
}
