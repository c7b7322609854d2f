import NIOCore
import Telemetry

/// The head of an answer of the fast lane, written in front of its body so that both leave in one write.
struct AnswerHead {
    /// Room that is kept for a head in front of a body.
    static let room = 512

    /// A status line with the headers that depend on nothing else.
    enum Kind {
        case json
        case problem
    }

    var status: Int
    var kind = Kind.json
    /// At most 128 bytes.
    var requestID: String
    var closes = false
    /// For 503 and 429.
    var retryAfterSeconds: Int?
    /// The request's own span, where the request is traced.
    var trace: TraceContext?
    /// For 401 and 403: `WWW-Authenticate`, at most 128 bytes.
    var challenge: StaticString?

    /// Prepares a buffer: room for a head, and then the body.
    static func begin(_ buffer: inout ByteBuffer) {
        buffer.clear()
        buffer.writeRepeatingByte(0, count: room)
    }

    /// Writes the head into the room before the body, and makes the buffer readable from there.
    func finish(_ buffer: inout ByteBuffer, date: HTTPDate) {
        let length = buffer.writerIndex - Self.room
        let headLength = unsafe buffer.withUnsafeMutableReadableBytes { bytes -> Int in
            // The buffer began with `room` bytes, and no head is longer: its parts are bounded one by one.
            var cursor = unsafe BackwardCursor(bytes, from: Self.room)
            cursor.put("\r\n\r\n")
            cursor.put(decimal: length)
            cursor.put("\r\ncontent-length: ")
            if closes { cursor.put("\r\nconnection: close") }
            if let retryAfterSeconds {
                cursor.put(decimal: min(max(0, retryAfterSeconds), 86_400))
                cursor.put("\r\nretry-after: ")
            }
            if let trace {
                cursor.put(trace.traceparent)
                cursor.put("\r\ntraceresponse: ")
            }
            if let challenge {
                cursor.put(challenge)
                cursor.put("\r\nwww-authenticate: ")
            }
            cursor.put(requestID)
            cursor.put("\r\nx-request-id: ")
            unsafe date.bytes.withUnsafeBytes { unsafe cursor.put($0) }
            cursor.put("\r\ndate: ")
            cursor.put(
                kind == .json ? "\r\ncontent-type: application/json" : "\r\ncontent-type: application/problem+json")
            cursor.put(Self.statusLine(status))
            return Self.room - cursor.position
        }
        buffer.moveReaderIndex(to: Self.room - headLength)
    }

    private static func statusLine(_ status: Int) -> StaticString {
        switch status {
        case 200: "HTTP/1.1 200 OK"
        case 400: "HTTP/1.1 400 Bad Request"
        case 404: "HTTP/1.1 404 Not Found"
        case 408: "HTTP/1.1 408 Request Timeout"
        case 413: "HTTP/1.1 413 Content Too Large"
        case 415: "HTTP/1.1 415 Unsupported Media Type"
        case 417: "HTTP/1.1 417 Expectation Failed"
        case 422: "HTTP/1.1 422 Unprocessable Content"
        case 429: "HTTP/1.1 429 Too Many Requests"
        case 431: "HTTP/1.1 431 Request Header Fields Too Large"
        case 401: "HTTP/1.1 401 Unauthorized"
        case 403: "HTTP/1.1 403 Forbidden"
        case 405: "HTTP/1.1 405 Method Not Allowed"
        case 501: "HTTP/1.1 501 Not Implemented"
        case 503: "HTTP/1.1 503 Service Unavailable"
        case 504: "HTTP/1.1 504 Gateway Timeout"
        default: "HTTP/1.1 500 Internal Server Error"
        }
    }
}

/// Writes from a place towards the front; what doesn't fit is left out.
@safe private struct BackwardCursor {
    private(set) var position: Int
    private let bytes: UnsafeMutableRawBufferPointer

    init(_ bytes: UnsafeMutableRawBufferPointer, from position: Int) {
        unsafe self.bytes = bytes
        self.position = min(position, bytes.count)
    }

    mutating func put(_ text: StaticString) {
        text.withUTF8Buffer { unsafe put(UnsafeRawBufferPointer($0)) }
    }

    mutating func put(_ text: String) {
        var text = text
        text.withUTF8 { unsafe put(UnsafeRawBufferPointer($0)) }
    }

    mutating func put(_ source: UnsafeRawBufferPointer) {
        guard position >= source.count else { return }
        position -= source.count
        unsafe UnsafeMutableRawBufferPointer(rebasing: bytes[position..<position + source.count]).copyMemory(
            from: source)
    }

    mutating func put(decimal number: Int) {
        var rest = UInt(max(0, number))
        repeat {
            guard position > 0 else { return }
            position -= 1
            unsafe bytes[position] = UInt8(ascii: "0") + UInt8(rest % 10)
            rest /= 10
        } while rest > 0
    }
}
