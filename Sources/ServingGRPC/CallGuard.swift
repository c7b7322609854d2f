import GRPCCore
import NIOCore
import Resilience
import Serving
import Synchronization
import Telemetry

/// What every call passes but those of health: a look at its token, a limit of calls under way, a deadline, and a count of how it ended.
final class CallGuard: Sendable {
    private let serving: ServingContext
    private let spans: SpanBuffer
    private let log: Mutex<RequestLog>
    private let access: SharedAccess

    init(_ serving: ServingContext) {
        self.serving = serving
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
        let method = context.descriptor.fullyQualifiedMethod
        let start = NIODeadline.now()
        let caller = CallTrace(request.metadata)
        let span = caller.begin(in: spans, context.descriptor, at: start)
        do {
            let output = try await bounded(request, span, answer)
            ended(method, .ok, caller, span, start)
            return StreamingServerResponse(single: ServerResponse(message: output, metadata: CallTrace.answer(span)))
        } catch let error as RPCError {
            ended(method, Status.Code(error.code), caller, span, start)
            throw error
        } catch is CancellationError {
            ended(method, .cancelled, caller, span, start)
            throw RPCError(code: .cancelled, message: "the call was cancelled")
        } catch {
            ended(method, .internalError, caller, span, start)
            throw RPCError(code: .internalError, message: "the call could not be answered")
        }
    }

    /// Counts a call, and ends its trace.
    private func ended(
        _ method: String, _ code: Status.Code, _ caller: CallTrace, _ span: Span?, _ start: NIODeadline
    ) {
        let name = RPCError.Code(code).map { RPCError.name($0) } ?? "OK"
        serving.metrics.registry.counter(.grpcRequests, [method, name]).add()
        if var span {
            span.set(.rpcStatus, code.rawValue)
            if CallTrace.isFailure(code) { span.fail(name) }
            span.end()
        }
        let time = NIODeadline.now() - start
        let isFailed = code == .internalError || code == .unknown
        guard isFailed || time > TimeAmount(serving.liveSettings.slowRequest) else { return }
        let trace = span?.context ?? caller.context
        log.withLock {
            $0.note(isFailed ? .failed : .slow, route: method, status: name, after: time, requestID: nil, trace: trace)
        }
    }

    private func bounded<Input: Sendable, Output: Sendable>(
        _ request: StreamingServerRequest<Input>, _ span: Span?,
        _ answer: @escaping @Sendable (Input, CallTime) async throws -> Output
    ) async throws -> Output {
        let start = ContinuousClock.now
        let settings = serving.liveSettings
        try admit(request.metadata)
        let asked = try CallTimeout.of(request.metadata)
        let budget = min(asked ?? settings.timeout, settings.maximumTimeout)
        guard budget > .zero else { throw RPCError.late }
        guard case .admitted(let permit) = serving.admission.acquire(at: .now()) else {
            throw RPCError(code: .unavailable, message: "there is too much to do already")
        }
        let time = CallTime(start: start, deadline: start + budget, isFull: budget >= settings.timeout, span: span)
        do {
            let output = try await raced(request, time, answer)
            serving.admission.finished(permit, .success, at: .now())
            return output
        } catch {
            let isLate = (error as? RPCError)?.code == .deadlineExceeded && time.isFull
            serving.admission.finished(permit, isLate ? .late : .ignored, at: .now())
            throw error
        }
    }

    /// Every service here reads.
    private func admit(_ metadata: Metadata) throws(RPCError) {
        let fields = Array(metadata[stringValues: "authorization"])
        guard let refusal = access.refusal(fields, .read, at: .now()) else { return }
        serving.metrics.registry.counter(.accessRefusals, ["grpc", refusal.reason]).add()
        throw RPCError(
            code: refusal.isUnauthenticated ? .unauthenticated : .permissionDenied, message: refusal.words)
    }

    /// The answer, or DEADLINE_EXCEEDED, whichever comes first.
    private func raced<Input: Sendable, Output: Sendable>(
        _ request: StreamingServerRequest<Input>, _ time: CallTime,
        _ answer: @escaping @Sendable (Input, CallTime) async throws -> Output
    ) async throws -> Output {
        try await withThrowingTaskGroup(of: Output?.self) { group in
            group.addTask {
                let message = try await ServerRequest(stream: request).message
                var time = time
                if time.span != nil { time.messageAt = NIODeadline.now().uptimeNanoseconds }
                return try await answer(message, time)
            }
            group.addTask {
                try await Task.sleep(until: time.deadline, tolerance: .zero, clock: .continuous)
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
    /// Whether it had the usual budget or more; one with less says nothing about the store when it is late.
    let isFull: Bool
    /// Of the call, where it is recorded.
    let span: Span?
    /// When its message was read, in nanoseconds of the monotonic clock; 0 where it is not recorded.
    var messageAt: UInt64 = 0
}
