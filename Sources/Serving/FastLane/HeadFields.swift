import NIOCore
package import NIOHTTP1
import Telemetry

/// What the server itself needs of a request's headers, read in one pass.
package struct HeadFields {
    /// Why a request can't be taken as it is.
    package enum Fault: Hashable {
        case timeout
        case expectation
        case encoding
        case transferEncoding
        case host

        var problem: Problem {
            switch self {
            case .timeout: .invalidTimeout
            case .expectation: Problem(status: 417, type: "expectation-failed", title: "The expectation can't be met")
            case .transferEncoding, .host: .malformed
            case .encoding: Problem(status: 415, type: "unsupported-encoding", title: "The body is encoded")
            }
        }

        var words: String {
            switch self {
            case .timeout: "X-Request-Timeout-Ms is a whole number from 1 to 600000"
            case .expectation: "only 100-continue can be expected"
            case .encoding: "a body is taken without Content-Encoding only"
            case .transferEncoding:
                "chunked is the only Transfer-Encoding that is taken, in HTTP/1.1 and without a Content-Length"
            case .host: "a request of HTTP/1.1 has one Host, and it is a host"
            }
        }
    }

    /// The length that the head announces.
    package private(set) var contentLength: Int?
    /// The smallest budget asked for, in milliseconds.
    private(set) var timeoutMilliseconds: Int64?
    /// Of the request, where it is one.
    package private(set) var requestID: String?
    /// The client waits for a word before it sends the body.
    private(set) var expectsContinue = false
    /// What `traceparent` says; `nil` when it makes no sense or is there twice.
    private(set) var trace: TraceContext?
    /// All `tracestate` as they came; means nothing without `trace`.
    private(set) var traceState: String?
    package private(set) var fault: Fault?
    /// The first `Authorization`, and how many there are.
    private(set) var authorization: String?
    private(set) var authorizations = 0
    private var hasTrace = false

    /// Reads them. HTTP/1.1 wants a `Host` (RFC 9112, 3.2); older versions don't, and know no `Transfer-Encoding`, so that one is
    /// a sign of somebody on the way who will find another end of the request (6.1).
    package init(_ headers: HTTPHeaders, isOld: Bool = false) {
        var hosts = 0
        var isCoded = false
        for (name, value) in headers {
            // The length sorts out all but a few names before any comparison.
            switch name.utf8.count {
            case 4 where Self.isSame(name, "host"):
                hosts += 1
                if !Self.isHost(value) { fault = .host }
            case 17 where Self.isSame(name, "transfer-encoding"):
                isCoded = true
                if !Self.isSame(value, "chunked") { fault = .transferEncoding }
            case 6 where Self.isSame(name, "expect"):
                expectsContinue = Self.isSame(value, "100-continue")
                if !expectsContinue { fault = .expectation }
            case 10 where Self.isSame(name, "tracestate"): traceState = traceState.map { "\($0),\(value)" } ?? value
            case 11 where Self.isSame(name, "traceparent"):
                trace = hasTrace ? nil : TraceContext(traceparent: value)
                hasTrace = true
            case 12 where Self.isSame(name, "x-request-id"):
                if requestID == nil, RequestHeaders.isRequestID(value) { requestID = value }
            case 13 where Self.isSame(name, "authorization"):
                if authorizations == 0 { authorization = value }
                authorizations += 1
            case 14 where Self.isSame(name, "content-length"):
                // The decoder lets nothing but digits and blanks through; what no Int holds is over every limit.
                contentLength = Int(value) ?? Int(String(value.filter { $0 != " " && $0 != "\t" })) ?? .max
            case 16 where Self.isSame(name, "content-encoding"):
                if !Self.isSame(value, "identity") { fault = .encoding }
            case 20 where Self.isSame(name, "x-request-timeout-ms"): readTimeout(value)
            default: break
            }
        }
        // Whoever stands before this daemon may have gone by the one where it goes by the other (RFC 9112, 6.1).
        if isCoded, contentLength != nil || isOld { fault = .transferEncoding }
        if hosts > 1 || (hosts == 0 && !isOld) { fault = .host }
    }

    /// Whether a value can name a host and a port; nothing here goes by which. Empty is allowed.
    private static func isHost(_ value: String) -> Bool {
        value.utf8.allSatisfy { byte in
            switch byte {
            case 0x21...0x7E:
                byte != UInt8(ascii: "/") && byte != UInt8(ascii: "@") && byte != UInt8(ascii: "?")
                    && byte != UInt8(ascii: "#") && byte != UInt8(ascii: "\\") && byte != UInt8(ascii: ",")
            default: false
            }
        }
    }

    /// Of several the smallest counts.
    private mutating func readTimeout(_ value: String) {
        do {
            guard let milliseconds = try RequestHeaders.timeoutMilliseconds(value) else { return }
            timeoutMilliseconds = min(timeoutMilliseconds ?? .max, milliseconds)
        } catch {
            fault = .timeout
        }
    }

    /// Compares ASCII without regard to case; `lowercase` is in lower case.
    static func isSame(_ text: String, _ lowercase: StaticString) -> Bool {
        let bytes = text.utf8
        guard bytes.count == lowercase.utf8CodeUnitCount else { return false }
        return lowercase.withUTF8Buffer { expected in
            var index = 0
            for byte in bytes {
                let lowered = byte &- UInt8(ascii: "A") < 26 ? byte | 0x20 : byte
                guard unsafe lowered == expected[index] else { return false }
                index += 1
            }
            return true
        }
    }
}
