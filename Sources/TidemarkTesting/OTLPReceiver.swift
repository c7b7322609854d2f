internal import FoundationEssentials
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import Synchronization

/// A collector of a test's own: an HTTP server on a free port that takes OTLP's JSON, and answers as the test says.
///
/// What it took comes out of `spans`, in the order of arrival; what doesn't decode as OTLP is a trouble of the test.
package final class OTLPReceiver: Sendable {
    /// How it answers one export.
    package enum Answer: Sendable {
        case accepted
        /// 200 with a word on spans that were left out.
        case rejected(Int)
        case status(Int, retryAfter: String? = nil)
        /// The connection is closed without an answer.
        case closed
        /// There is no answer.
        case silent
    }

    /// One export as it came.
    package struct Export: Sendable {
        package let path: String
        /// By lower-case name.
        package let headers: [String: String]
        package let resource: [String: String]
        package let scope: String
        package let spans: [ReceivedSpan]
        /// Why the body is not OTLP; `nil` when it is.
        package let trouble: String?
    }

    package let port: Int
    private let channel: any Channel
    private let script: Script

    /// Runs `body` beside a receiver that answers the first exports with `answers` and all others with `usual`.
    package static func with<Result: Sendable>(
        answers: [Answer] = [], usual: Answer = .accepted,
        _ body: (OTLPReceiver) async throws -> Result
    ) async throws -> Result {
        let receiver = try await OTLPReceiver(Script(answers: answers, usual: usual))
        do {
            let result = try await body(receiver)
            await receiver.close()
            return result
        } catch {
            await receiver.close()
            throw error
        }
    }

    private init(_ script: Script) async throws {
        self.script = script
        channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    script.opened(channel)
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline()
                    try channel.pipeline.syncOperations.addHandler(Handler(script))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        port = channel.localAddress?.port ?? 0
    }

    /// The base URL that exporters are given.
    package var endpoint: String { "http://127.0.0.1:\(port)" }

    /// Answers all exports from now on with this.
    package func answer(_ usual: Answer) { script.state.withLock { $0.usual = usual } }

    /// What came so far.
    package var exports: [Export] { script.state.withLock { $0.exports } }

    /// Waits until this many exports came.
    package func exports(_ count: Int) async -> [Export] {
        await script.wait { $0.exports.count >= count }.exports
    }

    /// Waits until this many spans came in all.
    package func spans(_ count: Int) async -> [ReceivedSpan] {
        await script.wait { state in state.exports.reduce(0) { $0 + $1.spans.count } >= count }.exports
            .flatMap(\.spans)
    }

    /// Closes the listener and every connection.
    package func close() async {
        try? await channel.close()
        for child in script.state.withLock({ $0.connections }) { try? await child.close() }
    }

    // MARK: What is shared with the connections

    fileprivate struct State {
        var answers: ArraySlice<Answer>
        var usual: Answer
        var exports: [Export] = []
        var connections: [any Channel] = []
        var watchers: [(isEnough: @Sendable (State) -> Bool, continuation: CheckedContinuation<State, Never>)] = []
    }

    fileprivate final class Script: Sendable {
        let state: Mutex<State>

        init(answers: [Answer], usual: Answer) {
            state = Mutex(State(answers: answers[...], usual: usual))
        }

        func opened(_ channel: any Channel) { state.withLock { $0.connections.append(channel) } }

        func wait(_ isEnough: @escaping @Sendable (State) -> Bool) async -> State {
            await withCheckedContinuation { continuation in
                let ready = state.withLock { state -> State? in
                    if isEnough(state) { return state }
                    state.watchers.append((isEnough, continuation))
                    return nil
                }
                if let ready { continuation.resume(returning: ready) }
            }
        }

        /// Keeps an export and tells how to answer it.
        func received(_ export: Export) -> Answer {
            let (answer, ready, now) = state.withLock { state in
                let answer = state.answers.popFirst() ?? state.usual
                state.exports.append(export)
                let now = state
                let ready = now.watchers.filter { $0.isEnough(now) }
                state.watchers = now.watchers.filter { !$0.isEnough(now) }
                return (answer, ready, now)
            }
            for watcher in ready { watcher.continuation.resume(returning: now) }
            return answer
        }
    }

    private final class Handler: ChannelInboundHandler {
        typealias InboundIn = HTTPServerRequestPart
        typealias OutboundOut = HTTPServerResponsePart

        private let script: Script
        private var head: HTTPRequestHead?
        private var body = ByteBuffer()

        init(_ script: Script) { self.script = script }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            switch unwrapInboundIn(data) {
            case .head(let head): self.head = head
            case .body(var bytes): body.writeBuffer(&bytes)
            case .end:
                guard let head else { return }
                let export = ReceivedSpan.decode(head.uri, head.headers, Array(body.readableBytesView))
                body.clear()
                answer(script.received(export), context)
            }
        }

        private func answer(_ answer: Answer, _ context: ChannelHandlerContext) {
            switch answer {
            case .silent: break
            case .closed: context.close(promise: nil)
            case .accepted: write(200, "{}", nil, context)
            case .rejected(let count):
                write(
                    200, "{\"partialSuccess\":{\"rejectedSpans\":\"\(count)\",\"errorMessage\":\"no\"}}", nil, context)
            case .status(let status, let retryAfter): write(status, "", retryAfter, context)
            }
        }

        private func write(_ status: Int, _ body: String, _ retryAfter: String?, _ context: ChannelHandlerContext) {
            var head = HTTPResponseHead(version: .http1_1, status: .init(statusCode: status))
            head.headers.add(name: "content-type", value: "application/json")
            head.headers.add(name: "content-length", value: "\(body.utf8.count)")
            if let retryAfter { head.headers.add(name: "retry-after", value: retryAfter) }
            context.write(wrapOutboundOut(.head(head)), promise: nil)
            context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(string: body)))), promise: nil)
            context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        }
    }
}

/// A span as a collector reads it.
package struct ReceivedSpan: Sendable {
    package let traceID: String
    package let spanID: String
    /// Empty for the first of a trace.
    package let parentID: String
    package let state: String?
    package let name: String
    package let kind: Int
    /// Nanoseconds since 1970.
    package let start: UInt64
    package let end: UInt64
    /// Numbers and flags as text.
    package let attributes: [String: String]
    /// 2 for an error.
    package let status: Int

    fileprivate static func decode(_ path: String, _ headers: HTTPHeaders, _ body: [UInt8]) -> OTLPReceiver.Export {
        let fields = Dictionary(headers.map { ($0.name.lowercased(), $0.value) }) { $1 }
        do {
            let request = try JSONDecoder().decode(Wire.Request.self, from: Data(body))
            let scopes = request.resourceSpans.flatMap(\.scopeSpans)
            return OTLPReceiver.Export(
                path: path, headers: fields,
                resource: Wire.text(request.resourceSpans.flatMap(\.resource.attributes)),
                scope: scopes.map(\.scope.name).joined(separator: ","),
                spans: try scopes.flatMap(\.spans).map { try ReceivedSpan($0) }, trouble: nil)
        } catch {
            return OTLPReceiver.Export(
                path: path, headers: fields, resource: [:], scope: "", spans: [], trouble: "\(error)")
        }
    }

    private init(_ span: Wire.Span) throws {
        guard span.traceId.utf8.count == 32, span.spanId.utf8.count == 16, let start = UInt64(span.startTimeUnixNano),
            let end = UInt64(span.endTimeUnixNano)
        else { throw ClientError("no span: \(span)") }
        traceID = span.traceId
        spanID = span.spanId
        parentID = span.parentSpanId ?? ""
        state = span.traceState
        name = span.name
        kind = span.kind
        self.start = start
        self.end = end
        attributes = Wire.text(span.attributes)
        status = span.status.code ?? 0
    }

    private enum Wire {
        struct Request: Decodable { let resourceSpans: [ResourceSpans] }

        struct ResourceSpans: Decodable {
            let resource: Resource
            let scopeSpans: [ScopeSpans]
        }

        struct Resource: Decodable { let attributes: [Attribute] }

        struct ScopeSpans: Decodable {
            let scope: Scope
            let spans: [Span]
        }

        struct Scope: Decodable {
            let name: String
            let version: String
        }

        struct Span: Decodable {
            let traceId: String
            let spanId: String
            let parentSpanId: String?
            let traceState: String?
            let name: String
            let kind: Int
            let startTimeUnixNano: String
            let endTimeUnixNano: String
            let attributes: [Attribute]
            let status: Status
        }

        struct Status: Decodable { let code: Int? }

        struct Attribute: Decodable {
            let key: String
            let value: Value
        }

        struct Value: Decodable {
            let stringValue: String?
            let intValue: String?
            let boolValue: Bool?

            var text: String { stringValue ?? intValue ?? boolValue.map { "\($0)" } ?? "" }
        }

        static func text(_ attributes: [Attribute]) -> [String: String] {
            Dictionary(attributes.map { ($0.key, $0.value.text) }) { $1 }
        }
    }
}
