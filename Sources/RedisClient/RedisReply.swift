/// One reply of the server.
package enum RedisReply: Hashable, Sendable {
    /// A null bulk or null array.
    case null
    case integer(Int64)
    /// A simple string, as in `OK`.
    case status(String)
    case bulk([UInt8])
    case error(RedisErrorReply)
    case array([RedisReply])

    /// The integer; throws the error of an error reply, or `malformedReply` for anything else.
    package func integer() throws(RedisError) -> Int64 {
        switch self {
        case .integer(let number): return number
        case .null, .status, .bulk, .error, .array: throw unexpected()
        }
    }

    /// The bytes of a bulk, `nil` for a null; throws as `integer()` does.
    package func bytes() throws(RedisError) -> [UInt8]? {
        switch self {
        case .bulk(let bytes): return bytes
        case .null: return nil
        case .integer, .status, .error, .array: throw unexpected()
        }
    }

    /// The elements of an array; throws as `integer()` does.
    package func elements() throws(RedisError) -> [RedisReply] {
        switch self {
        case .array(let elements): return elements
        case .null, .integer, .status, .bulk, .error: throw unexpected()
        }
    }

    /// Passes for anything that isn't an error reply.
    package func check() throws(RedisError) {
        if case .error(let reply) = self { throw RedisError(reply) }
    }

    private func unexpected() -> RedisError {
        if case .error(let reply) = self { return RedisError(reply) }
        return RedisError(.malformedReply, "the reply has an unexpected type")
    }
}

/// What a reply may hold at most. Beyond it the connection is closed.
package struct RedisReplyLimits: Hashable, Sendable {
    /// Bytes of one bulk string.
    package var bulkBytes = 16 << 20
    /// Elements of one reply, those of nested arrays included.
    package var elements = 1 << 20
    /// Bytes of all strings in the replies to one pipeline.
    package var totalBytes = 128 << 20

    package init() {}

    /// Bytes of a status, an error or a header line.
    static let lineBytes = 16 << 10
    /// Arrays inside arrays. hiredis 0.14 ends there.
    static let depth = 7
}
