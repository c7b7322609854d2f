package import Logging
package import NIOCore
package import Telemetry

/// Log lines of requests that were slow, or that could not be answered in full: one a second at most, which tells how many
/// there were since the last. Of one event loop, or under a lock.
package struct RequestLog {
    /// Why a request is in the log.
    package enum Matter: Sendable {
        case slow
        /// Answered, but some values could not be read.
        case degraded
        /// Answered with a failure of ours.
        case failed

        fileprivate var words: Logger.Message {
            switch self {
            case .slow: "a request was slow"
            case .degraded: "a request was answered without some of its values"
            case .failed: "a request failed"
            }
        }
    }

    private static let interval = TimeAmount.seconds(1)

    private let logger: Logger
    private var last: NIODeadline?
    private var untold = 0

    package init(_ logger: Logger) {
        self.logger = logger
    }

    /// Tells of a request, or counts it for the next line.
    package mutating func note(
        _ matter: Matter, route: String, status: String, after time: TimeAmount, requestID: String?,
        trace: TraceContext?,
        cause: @autoclosure () -> String? = nil, at now: NIODeadline = .now()
    ) {
        if let last, now - last < Self.interval {
            untold += 1
            return
        }
        var metadata: Logger.Metadata = [
            "route": "\(route)", "status": "\(status)", "milliseconds": "\(Double(time.nanoseconds / 1_000) / 1_000)",
        ]
        if let requestID { metadata["request_id"] = "\(requestID)" }
        if let cause = cause() { metadata["cause"] = "\(cause)" }
        if let trace {
            metadata["trace_id"] = "\(trace.traceID)"
            metadata["span_id"] = "\(trace.spanID)"
        }
        if untold > 0 { metadata["others_since"] = "\(untold)" }
        last = now
        untold = 0
        logger.warning(matter.words, metadata: metadata)
    }
}
