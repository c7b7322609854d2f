/// Why a Redis server could not be asked, or what its answer refused.
///
/// Neither field ever holds a password, a key or a value: `detail` is the library's word on a broken connection, or the
/// server's error text cleaned by `RedisErrorReply`.
package struct RedisError: Error, Hashable, Sendable {
    /// What happened, in the terms that decide what to do about it.
    package enum Code: Hashable, Sendable {
        /// No connection could be made, or not yet: the server is down, or a back-off runs.
        case connectionFailed
        /// The connection ended before the answer; whether the commands took effect is unknown.
        case connectionClosed
        /// The answer is not RESP, or not the answer to this command. The connection is closed.
        case malformedReply
        /// The answer exceeds a limit. The connection is closed.
        case replyTooLarge
        /// The commands exceed a limit. Nothing was sent.
        case requestTooLarge
        /// Too much is waiting already. Nothing was sent.
        case overloaded
        /// No answer in time; whether the commands took effect is unknown.
        case deadlineExceeded
        /// The waiting task was cancelled; whether the commands took effect is unknown.
        case cancelled
        /// The server answered with an error.
        case errorReply(RedisErrorReply.Kind)
        /// The URL or an option makes no sense, or names something that isn't supported.
        case invalidConfiguration
        /// The client was closed by its owner.
        case clientClosed
    }

    /// What to do about it.
    package let code: Code
    /// Constant and groupable, without user data.
    package let message: StaticString
    /// What the peer or library said; for people, not for grouping.
    package let detail: String

    package init(_ code: Code, _ message: StaticString, detail: String = "") {
        self.code = code
        self.message = message
        self.detail = detail
    }

    package static func == (left: RedisError, right: RedisError) -> Bool {
        left.code == right.code && left.detail == right.detail
    }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(code)
        hasher.combine(detail)
    }

    /// An error reply as an error.
    package init(_ reply: RedisErrorReply) {
        self.init(.errorReply(reply.kind), "the server refused a command", detail: reply.text)
    }
}

extension RedisError: CustomStringConvertible {
    package var description: String {
        detail.isEmpty ? "\(message)" : "\(message): \(detail)"
    }
}
