/// Puts the pieces that the reader finds together to one reply, within limits.
///
/// Belongs to one `ReplyReader`, and like it to one event loop.
final class ReplyBuilder {
    private struct OpenArray {
        var missing: Int
        var elements: [RedisReply] = []
    }

    private let limits: RedisReplyLimits
    private var open: [OpenArray] = []
    private var elementCount = 0
    private(set) var refusal: RedisError?
    private var finished: RedisReply?
    private(set) var byteCount = 0

    init(limits: RedisReplyLimits) {
        self.limits = limits
    }

    /// The reply that was completed; leaves the builder empty. `byteCount` is that of the reply until the next piece.
    func take() -> RedisReply? {
        defer {
            finished = nil
            elementCount = 0
            byteCount = 0
        }
        return finished
    }

    /// Opens an array of `count` elements. `false` when it is refused, before anything is allocated.
    func beginArray(count: Int) -> Bool {
        guard count >= 0, open.count < RedisReplyLimits.depth, count <= limits.elements - elementCount else {
            refuse()
            return false
        }
        elementCount += count
        guard count > 0 else {
            add(.array([]))
            return true
        }
        // A header alone is no reason to reserve: the peer has to send the elements first.
        var array = OpenArray(missing: count)
        array.elements.reserveCapacity(min(count, 256))
        open.append(array)
        return true
    }

    /// Whether a string of `count` bytes may be taken.
    func admits(byteCount count: Int) -> Bool {
        guard count <= limits.bulkBytes, count <= limits.totalBytes - byteCount else {
            refuse()
            return false
        }
        byteCount += count
        return true
    }

    /// Adds a complete element, which may complete arrays around it.
    func add(_ reply: RedisReply) {
        var reply = reply
        while let last = open.indices.last {
            open[last].elements.append(reply)
            open[last].missing -= 1
            guard open[last].missing == 0 else { return }
            reply = .array(open.removeLast().elements)
        }
        finished = reply
    }

    func refuse() {
        refusal = RedisError(.replyTooLarge, "a reply exceeds a limit of bytes, elements or depth")
    }

    func refuseMalformed() {
        refusal = RedisError(.malformedReply, "the reply is not RESP")
    }
}
