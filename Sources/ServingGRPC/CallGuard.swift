import GRPCCore
import NIOCore
import Resilience
import Serving
import Synchronization
import Telemetry

/// What every call passes but those of health: a look at its token, a deadline, limits of calls that are still read and of calls
/// under way, and a count of how it ended.
final class CallGuard: Sendable {
    private let serving: ServingContext
    /// Calls whose message may be awaited at once.
    private let readingLimit: Int
    private let reading = Atomic<Int>(0)
    private let spans: SpanBuffer
    private let log: Mutex<RequestLog>
    private let access: SharedAccess
    private let ids = Mutex(RequestIDs())

    init(_ serving: ServingContext, callsBeingRead: Int) {
        self.serving = serving
        readingLimit = callsBeingRead
        spans = serving.tracer.makeBuffer()
        log = Mutex(RequestLog(serving.logger))
        access = SharedAccess(serving.access)
    }

    /// Reads the one message of a call and answers it, all before its deadline. `answer` gets the message and the instant by
    /// which it must be done.
    func unary<Input: Sendable, Output: Sendable>(
        _ request: StreamingServerRequest<Input>, _ context: ServerContext,
        _ answer: @escaping @Sendable (Input, CallTime) async throws -> Output
    ) async throws -> StreamingServerResponse<Output> {
        try await counted(request, context) { call in
            let settings = serving.liveSettings
            let time = try time(request.metadata, call, usual: settings.timeout, settings)
            return try await raced(time.deadline) { [self] in
                var time = time
                let message = try await message(of: request)
                // A client that took most of the time for its message says nothing about the store, either.
                time.isFull = time.isFull && (time.deadline - .now) * 2 >= settings.timeout
                if time.span != nil { time.messageAt = NIODeadline.now().uptimeNanoseconds }
                return try await admitted(message, time, answer)
            }
        }
    }

    /// Reads the one message of a call before its deadline, or within `serve.max_timeout`, and answers it by `answer`, which has a limit
    /// of its own and ends by itself in the time that the message asks for. It is not cut off: what comes late is an answer still.
    func received<Input: Sendable, Output: Sendable>(
        _ request: StreamingServerRequest<Input>, _ context: ServerContext,
        _ answer: (Input, CallTime) async throws -> Output
    ) async throws -> StreamingServerResponse<Output> {
        try await counted(request, context) { call in
            let settings = serving.liveSettings
            let time = try time(request.metadata, call, usual: settings.maximumTimeout, settings)
            let message: Input = try await raced(time.deadline) { [self] in try await self.message(of: request) }
            return try await answer(message, time)
        }
    }

    // MARK: Its end

    /// A call from its first moment on.
    private struct Call {
        let start = ContinuousClock.now
        let span: Span?
        let requestID: String
    }

    /// Answers by `work` a call that may be made at all, counts it, and ends its trace.
    private func counted<Input: Sendable, Output: Sendable>(
        _ request: StreamingServerRequest<Input>, _ context: ServerContext, _ work: (Call) async throws -> Output
    ) async throws -> StreamingServerResponse<Output> {
        let method = context.descriptor.fullyQualifiedMethod
        let start = NIODeadline.now()
        let caller = CallTrace(request.metadata)
        let id = requestID(request.metadata)
        var span = caller.begin(in: spans, context.descriptor, at: start)
        span?.set(.requestID, id)
        let call = Call(span: span, requestID: id)
        func end(_ code: Status.Code) { ended(method, code, caller, call, start) }
        do {
            try admit(request.metadata, context.remotePeer)
            let output = try await work(call)
            end(.ok)
            var metadata = CallTrace.answer(span)
            metadata.addString(id, forKey: RequestHeaders.requestID)
            return StreamingServerResponse(single: ServerResponse(message: output, metadata: metadata))
        } catch let error as RPCError {
            end(Status.Code(error.code))
            throw error.shortened(requestID: id)
        } catch is CancellationError {
            end(.cancelled)
            throw RPCError(code: .cancelled, message: "the call was cancelled").shortened(requestID: id)
        } catch {
            end(.internalError)
            throw RPCError(code: .internalError, message: "the call could not be answered").shortened(requestID: id)
        }
    }

    /// The caller's own id where it is a safe one, as over HTTP.
    private func requestID(_ metadata: Metadata) -> String {
        for value in metadata[stringValues: RequestHeaders.requestID] where RequestHeaders.isRequestID(value) {
            return value
        }
        return ids.withLock { $0.next() }
    }

    /// Counts a call, and ends its trace.
    private func ended(
        _ method: String, _ code: Status.Code, _ caller: CallTrace, _ call: Call, _ start: NIODeadline
    ) {
        let name = RPCError.Code(code).map { RPCError.name($0) } ?? "OK"
        serving.metrics.registry.counter(.grpcRequests, [method, name]).add()
        if var span = call.span {
            span.set(.rpcStatus, code.rawValue)
            if CallTrace.isFailure(code) { span.fail(name) }
            span.end()
        }
        let time = NIODeadline.now() - start
        let isFailed = code == .internalError || code == .unknown
        guard isFailed || time > TimeAmount(serving.liveSettings.slowRequest) else { return }
        let trace = call.span?.context ?? caller.context
        log.withLock {
            $0.note(
                isFailed ? .failed : .slow, route: method, status: name, after: time, requestID: call.requestID,
                trace: trace)
        }
    }

    // MARK: Its way

    /// The time of a call: what it asks for or else `usual`, at most `serve.max_timeout`.
    private func time(
        _ metadata: Metadata, _ call: Call, usual: Duration, _ settings: ServerSettings
    ) throws(RPCError) -> CallTime {
        let asked = try CallTimeout.of(metadata)
        let budget = min(asked ?? usual, settings.maximumTimeout)
        guard budget > .zero else { throw RPCError.late }
        return CallTime(
            start: call.start, deadline: call.start + budget, asked: asked, isFull: budget >= settings.timeout,
            span: call.span, requestID: call.requestID)
    }

    /// The one message. Calls that wait for theirs cost little, and hold up nobody who has sent it.
    private func message<Input: Sendable>(of request: StreamingServerRequest<Input>) async throws -> Input {
        defer { reading.subtract(1, ordering: .relaxed) }
        guard reading.add(1, ordering: .relaxed).newValue <= readingLimit else {
            throw RPCError(code: .unavailable, message: "too many calls wait for their message")
        }
        return try await ServerRequest(stream: request).message
    }

    /// Answers once there is room for one more.
    private func admitted<Input: Sendable, Output: Sendable>(
        _ message: Input, _ time: CallTime, _ answer: @Sendable (Input, CallTime) async throws -> Output
    ) async throws -> Output {
        let permit: ConcurrencyLimiter.Permit
        switch serving.admission.acquire(at: .now()) {
        case .admitted(let admitted): permit = admitted
        case .refused(let seconds): throw RPCError.overloaded("there is too much to do already", retryAfter: seconds)
        }
        do {
            let output = try await answer(message, time)
            serving.admission.finished(permit, .success, at: .now())
            return output
        } catch {
            let isLate = (error as? RPCError)?.code == .deadlineExceeded || ContinuousClock.now >= time.deadline
            serving.admission.finished(permit, isLate && time.isFull ? .late : .ignored, at: .now())
            throw error
        }
    }

    /// Every service here reads.
    private func admit(_ metadata: Metadata, _ peer: String) throws(RPCError) {
        let fields = Array(metadata[stringValues: "authorization"])
        let refusal = access.refusal(fields, .read, at: .now()) { PeerName.of(remotePeer: peer) }
        guard let refusal else { return }
        serving.metrics.registry.counter(.accessRefusals, ["grpc", refusal.reason]).add()
        let code: RPCError.Code =
            refusal == .exhausted
            ? .resourceExhausted : refusal.isUnauthenticated ? .unauthenticated : .permissionDenied
        throw RPCError(code: code, message: refusal.words)
    }

    /// What `work` gives, or DEADLINE_EXCEEDED, whichever comes first.
    private func raced<Output: Sendable>(
        _ deadline: ContinuousClock.Instant, _ work: @escaping @Sendable () async throws -> Output
    ) async throws -> Output {
        try await withThrowingTaskGroup(of: Output?.self) { group in
            group.addTask { try await work() }
            group.addTask {
                try await Task.sleep(until: deadline, tolerance: .zero, clock: .continuous)
                return nil
            }
            defer { group.cancelAll() }
            guard let first = try await group.next(), let output = first else { throw RPCError.late }
            return output
        }
    }
}

/// When a call began and when it must have ended.
struct CallTime: Sendable {
    let start: ContinuousClock.Instant
    let deadline: ContinuousClock.Instant
    /// What the caller allows; `nil` when it says nothing.
    let asked: Duration?
    /// Whether it had the usual budget or more; one with less says nothing about the store when it is late.
    var isFull: Bool
    /// Of the call, where it is recorded.
    let span: Span?
    /// The caller's own, or one that was made.
    let requestID: String
    /// When its message was read, in nanoseconds of the monotonic clock; 0 where it is not recorded.
    var messageAt: UInt64 = 0
}
