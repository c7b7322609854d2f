import NIOCore
import NIOHTTP1
import Telemetry

/// Answers lookups and recommendations on the event loop itself, and passes every other request on to the router.
///
/// It stands right behind the HTTP decoder, one a connection. One request of a connection is under way at a time: parts of
/// later ones wait here, and while some do the connection isn't read, so that answers keep the order of the requests and
/// a client that pipelines holds no more than a read's worth of memory. It also keeps the connection's manners: body
/// limit, `Expect`, request ids, slow clients (`check`), and the end of the connection.
final class FastLaneHandler: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart
    typealias OutboundIn = HTTPServerResponsePart
    typealias OutboundOut = HTTPServerResponsePart

    let room: LoopRoom
    private(set) var phase = Phase.idle
    /// When the phase began.
    private(set) var since = NIODeadline.now()
    private let start: ConnectionStart
    private lazy var lookup = LookupCall(room: room, handler: self)
    private lazy var recommendation = RecommendCall(room: room, handler: self)
    private var context: ChannelHandlerContext?
    /// The context of the encoder, before which answers of the fast lane enter as bytes.
    private var encoder: ChannelHandlerContext?

    // Of the request under way.
    /// `nil` where the router answers.
    private var call: (any LaneCall)?
    private var contentLength: Int?
    private(set) var requestID = ""
    private(set) var label = RouteLabel.other
    let marks = RequestMarks()
    private var isKeptAlive = true
    private var bodyBytes = 0
    private var hasAnswerBegun = false

    // Of what comes after it.
    private var waiting = CircularBuffer<(part: HTTPServerRequestPart, at: NIODeadline)>(initialCapacity: 0)
    private var isResuming = false
    /// Whether the router got something that no end of a read told it of.
    private var hasPassedOn = false
    private var isReadHeld = false
    /// Whether the loop has enough to do without this connection.
    private var isHeldByRoom = false
    private var heldEvents: [Any] = []
    private var heldError: (any Error)?
    private var isUnwritableSince: NIODeadline?

    init(room: LoopRoom, start: ConnectionStart) {
        self.room = room
        self.start = start
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        encoder = try? context.pipeline.syncOperations.context(handlerType: HTTPResponseEncoder.self)
        room.add(self)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        room.remove(self)
        enter(.ending)
        call?.abandon()
        self.context = nil
        encoder = nil
    }

    func channelInactive(context: ChannelHandlerContext) {
        enter(.ending)
        call?.abandon()
        waiting.removeAll()
        context.fireChannelInactive()
    }

    // MARK: Requests

    func channelReadComplete(context: ChannelHandlerContext) {
        hasPassedOn = false
        context.fireChannelReadComplete()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let part = unwrapInboundIn(data)
        guard waiting.isEmpty, !isResuming else {
            waiting.append((part, .now()))
            return
        }
        if !take(part, at: nil, context) { waiting.append((part, .now())) }
    }

    /// `false` when the part has to wait for the end of the request under way.
    private func take(_ part: HTTPServerRequestPart, at arrival: NIODeadline?, _ context: ChannelHandlerContext) -> Bool
    {
        switch phase {
        case .idle:
            // Who doesn't read answers gets no others.
            guard isUnwritableSince == nil else { return false }
            if case .head(let head) = part { begin(head, at: arrival, context) }
        case .collecting: collect(part)
        case .routing(requestEnded: false, let answerEnded): route(part, answerEnded: answerEnded, context)
        case .ending: break
        case .working, .routing: return false
        }
        return true
    }

    private func begin(_ head: HTTPRequestHead, at arrival: NIODeadline?, _ context: ChannelHandlerContext) {
        let now = NIODeadline.now()
        let arrivedAt = room.arrival(
            of: start.firstByteAt ?? arrival ?? now, at: now, quietSince: since, on: context.channel)
        start.firstByteAt = nil
        start.bytes = 0
        let fields = HeadFields(head.headers, isOld: head.version != .http1_1)
        contentLength = fields.contentLength
        requestID = fields.requestID ?? room.ids.next()
        isKeptAlive = head.isKeepAlive
        bodyBytes = 0
        hasAnswerBegun = false
        let route = head.method == .POST ? LaneRoute(path: head.uri) : nil
        label = route?.label ?? RouteLabel(path: head.uri)
        marks.arrive(fields.trace, at: arrivedAt)
        let refusal = room.refusal(fields, label.need, at: now) { PeerName.of(context.channel.remoteAddress) }
        if let refusal {
            room.serving.metrics.refused(refusal)
            return refuse(
                refusal.answer(isFeast: label.isFeast), challenge: refusal.challenge,
                retryAfterSeconds: refusal.retryAfterSeconds)
        }
        // Who may not ask may not make us record, either.
        marks.begin(label, head, fields, requestID: requestID, room)
        if let fault = fields.fault { return refuse(fault.problem, fault.words) }
        if let length = fields.contentLength, length > room.settings.bodyBytes {
            return refuse(.bodyTooLarge, "the body has \(length) bytes; the limit is \(room.settings.bodyBytes)")
        }
        if fields.expectsContinue { writeContinue() }
        guard let route else {
            call = nil
            room.serving.metrics.inFlight.add(1)
            enter(.routing(requestEnded: false, answerEnded: false), at: now)
            hasPassedOn = true
            context.fireChannelRead(wrapInboundOut(.head(marks.handedOn(head, requestID: requestID))))
            return
        }
        let hold = start.takeHold(latest: room.latestBatch)
        switch route {
        case .lookup(let route):
            call = lookup.begin(
                route, arrivedAt: arrivedAt, waitedSince: hold, timeoutMilliseconds: fields.timeoutMilliseconds)
        case .recommend:
            call = recommendation.begin(arrivedAt: arrivedAt, timeoutMilliseconds: fields.timeoutMilliseconds)
        }
        enter(.collecting, at: now)
    }

    private func collect(_ part: HTTPServerRequestPart) {
        switch part {
        case .head: break
        case .body(let bytes):
            bodyBytes += bytes.readableBytes
            guard bodyBytes <= room.settings.bodyBytes else {
                return refuse(.bodyTooLarge, "the body is over \(room.settings.bodyBytes) bytes")
            }
            call?.append(bytes, expecting: contentLength)
        case .end:
            enter(.working)
            call?.run()
        }
    }

    private func route(_ part: HTTPServerRequestPart, answerEnded: Bool, _ context: ChannelHandlerContext) {
        switch part {
        case .head: break
        case .body(let bytes):
            bodyBytes += bytes.readableBytes
            if bodyBytes > room.settings.bodyBytes {
                guard !hasAnswerBegun else { return end(context) }
                return refuse(.bodyTooLarge, "the body is over \(room.settings.bodyBytes) bytes")
            }
        case .end:
            enter(.routing(requestEnded: true, answerEnded: answerEnded))
        }
        hasPassedOn = true
        context.fireChannelRead(wrapInboundOut(part))
        if case .routing(requestEnded: true, answerEnded: true) = phase { requestEnded() }
    }

    // MARK: Answers

    /// Answers the request under way: `buffer` began with `AnswerHead.begin`, the body stands behind it.
    func answer(
        _ status: Int, _ kind: AnswerHead.Kind = .json, retryAfterSeconds: Int? = nil, _ buffer: inout ByteBuffer
    ) {
        guard case .working = phase else { return }
        write(status, kind, closing: !isKeptAlive, retryAfterSeconds: retryAfterSeconds, &buffer)
        if case .working = phase { requestEnded() }
    }

    private func write(
        _ status: Int, _ kind: AnswerHead.Kind, closing: Bool, retryAfterSeconds: Int?, _ buffer: inout ByteBuffer
    ) {
        let closes = closing || room.serving.isDraining
        let head = AnswerHead(
            status: status, kind: kind, requestID: requestID, closes: closes, retryAfterSeconds: retryAfterSeconds,
            trace: marks.trace?.context)
        head.finish(&buffer, date: room.date)
        room.serving.metrics.answered(label, status)
        marks.end(status: status)
        guard let encoder else { return }
        guard closes else { return encoder.writeAndFlush(NIOAny(buffer), promise: nil) }
        enter(.ending)
        let written = encoder.eventLoop.makePromise(of: Void.self)
        written.futureResult.assumeIsolated().whenComplete { [self] _ in closeAfterAnswer() }
        encoder.writeAndFlush(NIOAny(buffer), promise: written)
    }

    /// Closing both ways at once would reset the connection under an answer while requests behind it are unread.
    private func closeAfterAnswer() {
        guard !waiting.isEmpty || isReadHeld else {
            context?.close(promise: nil)
            return
        }
        waiting.removeAll()
        context?.close(mode: .output, promise: nil)
        context?.read()
    }

    /// Answers without reading the rest of the request, and ends the connection.
    private func refuse(_ problem: Problem, _ words: String) {
        refuse(label.isFeast ? ErrorBody.feast(problem, words) : ErrorBody.problem(problem, words))
    }

    private func refuse(_ error: ErrorAnswer, challenge: StaticString? = nil, retryAfterSeconds: Int? = nil) {
        var buffer = room.takeBuffer()
        AnswerHead.begin(&buffer)
        buffer.writeImmutableBuffer(error.body)
        let head = AnswerHead(
            status: error.status, kind: error.contentType == ErrorBody.problemType ? .problem : .json,
            requestID: requestID, closes: true, retryAfterSeconds: retryAfterSeconds, trace: marks.trace?.context,
            challenge: challenge)
        head.finish(&buffer, date: room.date)
        room.serving.metrics.answered(label, error.status)
        marks.end(status: error.status)
        enter(.ending)
        call?.abandon()
        waiting.removeAll()
        encoder?.writeAndFlush(NIOAny(buffer), promise: nil)
        room.giveBack(buffer)
        // Closing both ways now would reset the connection under an answer the client has not read: it still sends.
        context?.close(mode: .output, promise: nil)
        context?.read()
    }

    private func writeContinue() {
        encoder?.writeAndFlush(NIOAny(ByteBuffer(staticString: "HTTP/1.1 100 Continue\r\n\r\n")), promise: nil)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        guard case .routing(let requestEnded, _) = phase else {
            promise?.fail(ChannelError.ioOnClosedChannel)
            return
        }
        switch unwrapOutboundIn(data) {
        case .head(var head):
            hasAnswerBegun = true
            if room.serving.isDraining { isKeptAlive = false }
            if !isKeptAlive { head.headers.replaceOrAdd(name: "connection", value: "close") }
            marks.sign(&head, requestID: requestID)
            room.serving.metrics.answered(label, Int(head.status.code))
            context.write(wrapOutboundOut(.head(head)), promise: promise)
        case .body:
            context.write(data, promise: promise)
        case .end:
            finishRouted(data, requestEnded: requestEnded, promise, context)
        }
    }

    private func finishRouted(
        _ data: NIOAny, requestEnded: Bool, _ promise: EventLoopPromise<Void>?, _ context: ChannelHandlerContext
    ) {
        marks.routed(label, requestID: requestID, room)
        guard isKeptAlive else {
            enter(.ending)
            let written = promise ?? context.eventLoop.makePromise(of: Void.self)
            written.futureResult.assumeIsolated().whenComplete { [self] _ in closeAfterAnswer() }
            context.writeAndFlush(data, promise: written)
            return
        }
        enter(.routing(requestEnded: requestEnded, answerEnded: true))
        context.writeAndFlush(data, promise: promise)
        if case .routing(requestEnded: true, answerEnded: true) = phase { self.requestEnded() }
    }

    // MARK: From one request to the next

    private func requestEnded() {
        enter(.idle)
        resume()
    }

    /// Goes on with what waited, until the next request that takes its time.
    private func resume() {
        guard !isResuming, let context else { return }
        isResuming = true
        while let (part, arrival) = waiting.first, take(part, at: arrival, context) {
            if !waiting.isEmpty { waiting.removeFirst() }
        }
        isResuming = false
        // What went to the router did so outside of a read, and the router looks at its end.
        if hasPassedOn {
            hasPassedOn = false
            context.fireChannelReadComplete()
        }
        releaseWhatIsDue(context)
        readIfWanted(context)
    }

    private func enter(_ phase: Phase, at now: NIODeadline = .now()) {
        switch (self.phase, phase) {
        case (.ending, _): return
        case (.routing(_, answerEnded: false), .routing(_, answerEnded: false)): break
        case (.routing(_, answerEnded: false), _): room.serving.metrics.inFlight.add(-1)
        default: break
        }
        self.phase = phase
        since = now
        if case .idle = phase { start.awaitsHead = true } else { start.awaitsHead = false }
    }

    func read(context: ChannelHandlerContext) {
        if case .ending = phase { return context.read() }
        guard waiting.isEmpty, isUnwritableSince == nil else {
            isReadHeld = true
            return
        }
        if isHeldByRoom || mayBeHeld && !room.serving.isDraining && room.hold(self) {
            isReadHeld = true
            isHeldByRoom = true
            return
        }
        context.read()
    }

    /// Whether the next bytes would begin another lookup, as far as one can tell: new connections and those that asked for
    /// something else are read always.
    private var mayBeHeld: Bool {
        guard start.firstByteAt == nil, label == .lookup || label == .feastLookup else { return false }
        switch phase {
        case .idle, .working: return true
        case .collecting, .routing, .ending: return false
        }
    }

    /// The loop has time for what comes next here.
    func release(batch: UInt64) {
        isHeldByRoom = false
        guard let context else { return }
        // What comes behind an answer can't have come before it.
        if case .idle = phase { start.hold = (since, batch) }
        readIfWanted(context)
    }

    private func readIfWanted(_ context: ChannelHandlerContext) {
        guard isReadHeld, !isHeldByRoom, waiting.isEmpty, isUnwritableSince == nil else { return }
        isReadHeld = false
        context.read()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        isUnwritableSince = context.channel.isWritable ? nil : isUnwritableSince ?? .now()
        context.fireChannelWritabilityChanged()
        if isUnwritableSince == nil { resume() }
    }

    // MARK: Ends

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .ending = phase {
            if case ChannelEvent.inputClosed? = event as? ChannelEvent { context.close(promise: nil) }
            return
        }
        // What is under way and what waits comes first: behind these events the connection is closed.
        if case .idle = phase, waiting.isEmpty {
            guard event is ChannelShouldQuiesceEvent else { return context.fireUserInboundEventTriggered(event) }
            return linger(context)
        }
        if case .routing = phase, waiting.isEmpty { return context.fireUserInboundEventTriggered(event) }
        guard heldEvents.count < 4 else { return }
        heldEvents.append(event)
        // The rest of a body will never come.
        if case .collecting = phase, waiting.isEmpty, case ChannelEvent.inputClosed? = event as? ChannelEvent {
            end(context)
        }
    }

    /// The daemon ends, and nothing is under way here: a request may be on its way, though, and gets its answer.
    private func linger(_ context: ChannelHandlerContext) {
        isHeldByRoom = false
        readIfWanted(context)
        context.eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(ServingContext.acceptTime)) { [self] in
            guard let context = self.context, case .idle = phase, waiting.isEmpty else { return }
            context.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent())
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if case .ending = phase { return }
        if case .idle = phase, waiting.isEmpty { return fail(error, context) }
        switch phase {
        case .collecting: fail(error, context)
        case .routing(requestEnded: false, _) where !hasAnswerBegun: fail(error, context)
        default: heldError = heldError ?? error
        }
    }

    /// Lets what was held take effect once it concerns the request that is under way: nothing waits before it any more.
    private func releaseWhatIsDue(_ context: ChannelHandlerContext) {
        guard waiting.isEmpty else { return }
        switch phase {
        case .idle, .routing(requestEnded: false, _): releaseHeld(context)
        case .collecting:
            if let error = heldError { return fail(error, context) }
            // The rest of a body will never come.
            let isCut = heldEvents.contains { event in
                if case ChannelEvent.inputClosed? = event as? ChannelEvent { true } else { false }
            }
            if isCut { end(context) }
        case .working, .routing, .ending: break
        }
    }

    private func releaseHeld(_ context: ChannelHandlerContext) {
        if let error = heldError { return fail(error, context) }
        let events = heldEvents
        heldEvents = []
        for event in events { context.fireUserInboundEventTriggered(event) }
    }

    /// What came is not HTTP, or the socket failed.
    private func fail(_ error: any Error, _ context: ChannelHandlerContext) {
        guard let error = error as? HTTPParserError else { return end(context) }
        forgetLast()
        switch error {
        case .headerOverflow: refuse(.headersTooLarge, "the headers are over the limit")
        case .closedConnection, .invalidEOFState: end(context)
        default: refuse(.malformed, "the request is not HTTP/1.1")
        }
    }

    /// Between two requests: what is refused now is not the one before.
    private func forgetLast() {
        guard case .idle = phase else { return }
        label = .other
        requestID = room.ids.next()
        marks.arrive(nil, at: .now())
    }

    /// Closes at once; what is under way is given up.
    func end() {
        if let context { end(context) }
    }

    private func end(_ context: ChannelHandlerContext) {
        enter(.ending)
        call?.abandon()
        waiting.removeAll()
        context.close(promise: nil)
    }

    /// Since when nothing was under way and nothing came; `nil` while something is.
    var idleSince: NIODeadline? {
        if case .idle = phase, waiting.isEmpty, start.firstByteAt == nil { since } else { nil }
    }

    /// Looks whether the client keeps the connection waiting; called by the loop's room a few times a second.
    func check(at now: NIODeadline) {
        let settings = room.settings
        if let since = isUnwritableSince, now - since > settings.writeTimeout { return end() }
        switch phase {
        case .idle:
            if let first = start.firstByteAt {
                let (isSlow, isLarge) =
                    (now - first > settings.requestTimeout, start.bytes > settings.headerBytes * 2)
                guard isSlow || isLarge else { return }
                forgetLast()
                if isSlow { return refuse(.tooSlow, "the head took too long") }
                refuse(.headersTooLarge, "the headers are over the limit")
            } else if now - since > settings.idleTimeout {
                end()
            }
        case .collecting, .routing(requestEnded: false, answerEnded: _):
            guard now - since > settings.requestTimeout else { return }
            if hasAnswerBegun { end() } else { refuse(.tooSlow, "the body took too long") }
        case .ending:
            if now - since > settings.lingerTimeout { context?.close(promise: nil) }
        case .working, .routing: break
        }
    }
}
