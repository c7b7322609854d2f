/// Puts the pieces that the reader finds together to one reply, within limits.
///
/// Belongs to one `ReplyReader`, and like it to one event loop.
final class ReplyBuilder: ReplySink {
    private struct OpenArray {
        var missing: Int
        var elements: [RedisReply] = []
    }

    private let limits: RedisReplyLimits
    private var open: [OpenArray] = []
    private var elementCount = 0
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
    override func beginArray(count: Int) -> Bool {
        guard count >= 0, open.count < RedisReplyLimits.depth, count <= limits.elements - elementCount else {
            return refuse()
        }
        elementCount += count
        guard count > 0 else {
            return add(.array([]))
        }
        // A header alone is no reason to reserve: the peer has to send the elements first.
        var array = OpenArray(missing: count)
        array.elements.reserveCapacity(min(count, 256))
        open.append(array)
        return true
    }

    override func addBulk(_ bytes: UnsafeRawBufferPointer) -> Bool {
        unsafe admits(byteCount: bytes.count) && add(.bulk([UInt8](bytes)))
    }

    override func addStatus(_ bytes: UnsafeRawBufferPointer) -> Bool {
        unsafe admits(byteCount: bytes.count) && add(.status(String(decoding: bytes, as: UTF8.self)))
    }

    override func addError(_ bytes: UnsafeRawBufferPointer) -> Bool {
        unsafe admits(byteCount: bytes.count)
            && add(.error(RedisErrorReply(String(decoding: bytes, as: UTF8.self))))
    }

    override func addInteger(_ number: Int64) -> Bool { add(.integer(number)) }

    override func addNull() -> Bool { add(.null) }

    /// Whether a string of `count` bytes may be taken.
    private func admits(byteCount count: Int) -> Bool {
        guard count <= limits.bulkBytes, count <= limits.totalBytes - byteCount else { return refuse() }
        byteCount += count
        return true
    }

    /// Adds a complete element, which may complete arrays around it.
    private func add(_ reply: RedisReply) -> Bool {
        var reply = reply
        while let last = open.indices.last {
            open[last].elements.append(reply)
            open[last].missing -= 1
            guard open[last].missing == 0 else { return true }
            reply = .array(open.removeLast().elements)
        }
        finished = reply
        return true
    }
}
