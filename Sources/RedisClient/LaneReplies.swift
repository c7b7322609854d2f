/// Forwards the elements of MGET answers to whom they belong, from the reader's buffer, and refuses any other answer.
///
/// Belongs to one `RedisLaneHandler`, and like it to one event loop.
@safe final class LaneReplies: ReplySink {
    private let limits: RedisReplyLimits
    private var isAsked = false
    /// Elements of the open array that have not come.
    private var missing = 0
    /// Whose the reply is; `nil` when it gave up.
    private(set) var read: LaneRead?
    /// The same without a count of references, which would cost more than an element. Safe since `read` changes in
    /// `expect` only, which nobody calls while the reader is inside of an element.
    private var borrowed: Unmanaged<LaneRead>?

    init(limits: RedisReplyLimits) {
        self.limits = limits
    }

    /// Says whose the next reply is, or the rest of the open one.
    func expect(_ head: ExchangeQueue<LaneRead, some ExchangeInstant>.Head) {
        switch head {
        case .nobody: (isAsked, read) = (false, nil)
        case .orphan: (isAsked, read) = (true, nil)
        case .waiter(let waiter): (isAsked, read) = (true, waiter)
        }
        unsafe borrowed = read.map { unsafe Unmanaged.passUnretained($0) }
    }

    override func beginArray(count: Int) -> Bool {
        guard isAsked else { return refuseUnasked() }
        guard missing == 0 else { return refuseForeign() }
        if let read, read.refusal == nil {
            guard count == read.takeCount(), count <= read.keys - read.received else { return refuseForeign() }
        } else {
            guard count <= limits.elements else { return refuse() }
        }
        missing = count
        return true
    }

    override func addBulk(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard takeElement() else { return false }
        guard bytes.count <= limits.bulkBytes else { return refuse() }
        guard let borrowed = unsafe borrowed else { return true }
        let isTaken = unsafe borrowed._withUnsafeGuaranteedRef { read in
            guard read.refusal == nil else { return true }
            guard bytes.count <= limits.totalBytes - read.receivedBytes else { return false }
            unsafe read.deliver(bytes)
            return true
        }
        return isTaken || refuse()
    }

    override func addNull() -> Bool {
        guard takeElement() else { return false }
        guard let borrowed = unsafe borrowed else { return true }
        unsafe borrowed._withUnsafeGuaranteedRef { read in
            if read.refusal == nil { unsafe read.deliver(nil) }
        }
        return true
    }

    override func addError(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard isAsked else { return refuseUnasked() }
        if missing > 0 { missing -= 1 }
        if let read, read.refusal == nil {
            read.refusal = RedisError(RedisErrorReply(unsafe String(decoding: bytes, as: UTF8.self)))
        }
        return true
    }

    override func addStatus(_ bytes: UnsafeRawBufferPointer) -> Bool { refuseForeign() }

    override func addInteger(_ number: Int64) -> Bool { refuseForeign() }

    /// Counts an element of the open array; refuses one outside of an array.
    private func takeElement() -> Bool {
        guard missing > 0 else { return isAsked ? refuseForeign() : refuseUnasked() }
        missing -= 1
        return true
    }

    private func refuseForeign() -> Bool {
        refusal = RedisError(.malformedReply, "the reply is no answer to MGET")
        return false
    }

    private func refuseUnasked() -> Bool {
        refusal = RedisError(.malformedReply, "the server sent a reply that nobody asked for")
        return false
    }
}
