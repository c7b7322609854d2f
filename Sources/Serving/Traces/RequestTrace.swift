import NIOCore
import Telemetry

/// The spans of a request that is recorded: its own, and that of the stage it is in. Of one connection, on its loop; other
/// requests have none.
final class RequestTrace {
    private var request: Span?
    private var stage: Span?
    /// The request's own span, for whom it calls and for the answer.
    let context: TraceContext

    /// `nil` when the request is not recorded.
    @inline(__always)
    static func begin(
        _ label: RouteLabel, method: @autoclosure () -> String, path: @autoclosure () -> String, fields: HeadFields,
        requestID: @autoclosure () -> String, room: LoopRoom, at start: NIODeadline
    ) -> RequestTrace? {
        let span = room.spans.begin(
            "", .server, parent: fields.trace, state: fields.traceState, isRoot: label.beginsTraces,
            at: start.uptimeNanoseconds)
        guard let span else { return nil }
        return RequestTrace(
            span, label, method: method(), path: path(), requestID: requestID(), isSecure: room.serving.security != nil)
    }

    private init(
        _ span: Span, _ label: RouteLabel, method: String, path: String, requestID: String, isSecure: Bool
    ) {
        var span = span
        context = span.context
        let method = Self.known(method)
        // A path that nobody serves is anything; a span's name is one of few.
        span.rename(label == .other ? method : "\(method) \(label.name)")
        span.set(.httpMethod, method)
        if label != .other, label != .health { span.set(.httpRoute, label.name) }
        span.set(.urlPath, String(path.prefix { $0 != "?" }))
        span.set(.urlScheme, isSecure ? "https" : "http")
        span.set(.requestID, requestID)
        request = span
    }

    private static func known(_ method: String) -> String {
        ["GET", "POST", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"].contains(method) ? method : "_OTHER"
    }

    func set(_ key: SpanKey, _ number: Int) { request?.set(key, number) }

    func set(_ key: SpanKey, _ text: String) { request?.set(key, text) }

    /// What the headers of a request hand on to whom it calls.
    var state: String? { request?.state }

    /// Begins a stage; one that is under way ends.
    func enter(_ name: String) {
        leave()
        stage = request?.child(name)
    }

    /// Begins a read of the store.
    func enter(_ store: StoreSpan, commands: Int, rows: Int) {
        leave()
        stage = request.map { store.begin(in: $0, commands: commands, rows: rows) }
    }

    func setOfStage(_ key: SpanKey, _ number: Int) { stage?.set(key, number) }

    /// Ends the stage that is under way, if any. `failure` is a word of a small set.
    func leave(failing failure: String? = nil) {
        guard var ended = stage.take() else { return }
        if let failure { ended.fail(failure) }
        ended.end()
    }

    /// Ends the request with the status of its answer.
    func end(status: Int) {
        guard var ended = request.take() else { return }
        leave()
        ended.set(.httpStatus, status)
        if status >= 500 { ended.fail("\(status)") }
        ended.end()
    }

    /// Ends a request that got no whole answer.
    func end(failing failure: String) {
        leave(failing: failure)
        guard var ended = request.take() else { return }
        ended.fail(failure)
        ended.end()
    }
}
