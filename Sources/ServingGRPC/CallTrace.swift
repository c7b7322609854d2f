import GRPCCore
import NIOCore
import Serving
import Telemetry

/// What the caller of a call says about its trace, and the span of the call.
struct CallTrace: Sendable {
    /// `nil` when it says nothing, or nothing that makes sense.
    let context: TraceContext?
    private let state: String?

    init(_ metadata: Metadata) {
        let parents = Array(metadata[stringValues: RequestHeaders.traceparent])
        context = parents.count == 1 ? TraceContext(traceparent: parents[0]) : nil
        let states = Array(metadata[stringValues: RequestHeaders.tracestate])
        state = context == nil || states.isEmpty ? nil : states.joined(separator: ",")
    }

    /// The span of the call, where it is recorded; by OpenTelemetry's conventions for gRPC.
    func begin(in spans: SpanBuffer, _ method: MethodDescriptor, at start: NIODeadline) -> Span? {
        var span = spans.begin(
            method.fullyQualifiedMethod, .server, parent: context, state: state, at: start.uptimeNanoseconds)
        span?.set(.rpcSystem, "grpc")
        span?.set(.rpcService, method.service.fullyQualifiedService)
        span?.set(.rpcMethod, method.method)
        return span
    }

    /// What the answer says of it.
    static func answer(_ span: Span?) -> Metadata {
        guard let span else { return [:] }
        return ["traceresponse": .string(span.context.traceparent)]
    }

    /// Whether a status is the server's fault, as the conventions have it.
    static func isFailure(_ code: Status.Code) -> Bool {
        [.unknown, .deadlineExceeded, .unimplemented, .internalError, .unavailable, .dataLoss].contains(code)
    }
}
