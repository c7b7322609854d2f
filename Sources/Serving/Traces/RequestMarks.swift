import NIOCore
import NIOHTTP1
import Telemetry

/// What is told of a request beside its answer: its trace, and its line in the log. Of one connection, on its loop; used again for
/// each request.
final class RequestMarks {
    /// `nil` when the request is not recorded.
    private(set) var trace: RequestTrace?
    /// The caller's own, which is in logs of requests that aren't recorded here.
    private var caller: TraceContext?
    private var arrivedAt = NIODeadline.now()
    /// Of the router's answer.
    private var routedStatus = 0

    /// The trace that the request is in, for logs: recorded here, or only named by the caller.
    var named: TraceContext? { trace?.context ?? caller }

    /// Another request came, and this is what its caller says of the trace.
    @inline(__always)
    func arrive(_ caller: TraceContext?, at arrivedAt: NIODeadline) {
        self.arrivedAt = arrivedAt
        self.caller = caller
    }

    /// The request may come in: from here on it may be recorded.
    @inline(__always)
    func begin(
        _ label: RouteLabel, _ head: HTTPRequestHead, _ fields: HeadFields, requestID: String, _ room: LoopRoom
    ) {
        trace = RequestTrace.begin(
            label, method: head.method.rawValue, path: head.uri, fields: fields, requestID: requestID, room: room,
            at: arrivedAt)
    }

    /// The head as the router sees it: with the id that the answer will carry, for routes that say it in their body, and with the
    /// span of the request for `traceparent`, to be a child of.
    func handedOn(_ head: HTTPRequestHead, requestID: String) -> HTTPRequestHead {
        var head = head
        head.headers.replaceOrAdd(name: RequestHeaders.requestID, value: requestID)
        guard let trace else { return head }
        head.headers.replaceOrAdd(name: RequestHeaders.traceparent, value: trace.context.traceparent)
        if trace.state == nil { head.headers.remove(name: RequestHeaders.tracestate) }
        return head
    }

    /// The router answers.
    func sign(_ head: inout HTTPResponseHead, requestID: String) {
        head.headers.replaceOrAdd(name: RequestHeaders.requestID, value: requestID)
        if let trace { head.headers.replaceOrAdd(name: "traceresponse", value: trace.context.traceparent) }
        routedStatus = Int(head.status.code)
    }

    /// The router has answered.
    func routed(_ label: RouteLabel, requestID: String, _ room: LoopRoom) {
        let named = named
        end(status: routedStatus)
        note(label, routedStatus, after: NIODeadline.now() - arrivedAt, requestID: requestID, in: named, room)
    }

    /// Logs an answer that failed or took long. 501 and 503 are words to the caller, and counted.
    func note(
        _ label: RouteLabel, _ status: Int, after time: TimeAmount, requestID: String, in trace: TraceContext?,
        _ room: LoopRoom
    ) {
        let isFailed = status == 500 || status == 502 || status == 504
        guard isFailed || time > room.settings.slowRequest else { return }
        room.log.note(
            isFailed ? .failed : .slow, route: label.name, status: "\(status)", after: time, requestID: requestID,
            trace: trace)
    }

    /// The request is answered.
    @inline(__always)
    func end(status: Int) {
        guard let ended = trace else { return }
        trace = nil
        ended.end(status: status)
    }

    /// Nobody waits for an answer any more.
    func abandon() {
        trace?.end(failing: "abandoned")
        trace = nil
    }
}
