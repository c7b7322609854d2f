internal import CHiredis

/// What the pieces of replies go to. A class to inherit from, since hiredis' callbacks are C functions and so not generic.
///
/// Each `add` and `beginArray` returns `false` to refuse the piece; `refusal` then says why, and the reader is dead.
class ReplySink {
    /// Why a piece was refused.
    final var refusal: RedisError?

    /// An array of `count` elements follows.
    func beginArray(count: Int) -> Bool { false }
    /// `bytes` are valid during the call only.
    func addBulk(_ bytes: UnsafeRawBufferPointer) -> Bool { false }
    func addStatus(_ bytes: UnsafeRawBufferPointer) -> Bool { false }
    func addError(_ bytes: UnsafeRawBufferPointer) -> Bool { false }
    func addInteger(_ number: Int64) -> Bool { false }
    /// A null bulk or a null array.
    func addNull() -> Bool { false }

    /// Refuses what breaks a limit.
    final func refuse() -> Bool {
        refusal = RedisError(.replyTooLarge, "a reply exceeds a limit of bytes, elements or depth")
        return false
    }

    /// Refuses what is no RESP.
    final func refuseMalformed() -> Bool {
        refusal = RedisError(.malformedReply, "the reply is not RESP")
        return false
    }
}

/// Finds replies in bytes fed in arbitrary slices: hiredis' `redisReader` with object functions of our own.
///
/// One per connection, used on its event loop alone. The reader is safe against a hostile peer since nothing is allocated
/// on the word of a header:
/// - hiredis 0.14's default functions allocate 8 bytes for each element that an array header announces. Ours are asked
///   first (`createArray`) and refuse beyond the limit of elements; room for elements grows with those that arrived.
/// - hiredis buffers a bulk string until it is complete, whatever its length. `checkPending` reads the announced length
///   of an incomplete bulk after each feed and refuses it before more than one slice is buffered.
/// - A header or status line without an end is refused at `RedisReplyLimits.lineBytes`.
/// - hiredis skips the two bytes behind a bulk unread. `createString` refuses the bulk unless they are CR LF.
/// - Nesting beyond 7 is refused by hiredis itself.
///
/// After an error the reader is dead: the connection is closed, nothing is parsed any more.
@safe struct RESPReader: ~Copyable {
    /// How much is fed at once: hiredis moves the unread rest of its buffer after each KiB it consumed.
    static let sliceBytes = 16 << 10

    private let raw: UnsafeMutablePointer<redisReader>
    private let sink: ReplySink
    private let limits: RedisReplyLimits

    init(_ sink: ReplySink, limits: RedisReplyLimits) throws(RedisError) {
        guard let raw = unsafe redisReaderCreateWithFunctions(objectFunctions) else {
            throw RedisError(.overloaded, "no memory for a reply reader")
        }
        unsafe self.raw = raw
        self.sink = sink
        self.limits = limits
        // Not retained: `sink` lives as long as this value, and callbacks run inside of `advance` only.
        unsafe raw.pointee.privdata = Unmanaged.passUnretained(sink).toOpaque()
        // Keep the buffer between replies unless a large one blew it up; the default of 16 KiB frees it all the time.
        unsafe raw.pointee.maxbuf = 256 << 10
    }

    deinit {
        unsafe redisReaderFree(raw)
    }

    /// Whether every byte fed was taken by a reply that came.
    var isDrained: Bool {
        unsafe raw.pointee.pos == raw.pointee.len && raw.pointee.ridx <= 0 && openType == -1
    }

    /// Takes over bytes, at most `sliceBytes` of them; drain with `advance` before feeding again.
    mutating func feed(_ bytes: UnsafeRawBufferPointer) throws(RedisError) {
        guard let base = bytes.baseAddress, unsafe !bytes.isEmpty else { return }
        let status = unsafe redisReaderFeed(raw, base.assumingMemoryBound(to: CChar.self), bytes.count)
        guard status == REDIS_OK else { throw RedisError(.malformedReply, "the reply reader is dead") }
    }

    /// Goes on to the end of the next reply; `false` when more must be fed first.
    mutating func advance() throws(RedisError) -> Bool {
        var root: UnsafeMutableRawPointer?
        let status = unsafe redisReaderGetReply(raw, &root)
        guard status == REDIS_OK else {
            throw sink.refusal ?? RedisError(.malformedReply, "the reply is not RESP", detail: errorText)
        }
        if unsafe root != nil { return true }
        try checkPending()
        return false
    }

    /// Refuses an incomplete element whose header or line is too long already, or announces too much.
    private func checkPending() throws(RedisError) {
        let reader = unsafe raw.pointee
        let pending = unsafe reader.len - reader.pos
        guard pending > 0, unsafe (0..<9).contains(reader.ridx), let buffer = unsafe reader.buf else { return }
        switch openType {
        case REDIS_REPLY_STRING:
            try unsafe checkBulkHeader(UnsafeBufferPointer(start: buffer + reader.pos, count: min(pending, 32)))
        case REDIS_REPLY_ARRAY, REDIS_REPLY_INTEGER:
            // The line is incomplete, and 20 digits say everything.
            if pending > 32 { throw RedisError(.malformedReply, "a reply header has no end") }
        default:
            if pending > RedisReplyLimits.lineBytes { throw RedisError(.replyTooLarge, "a reply line is too long") }
        }
    }

    /// The type of the element that is being read; -1 before its first byte.
    private var openType: Int32 {
        let index = Int(unsafe raw.pointee.ridx)
        guard (0..<9).contains(index) else { return -1 }
        return unsafe withUnsafeBytes(of: &raw.pointee.rstack) { stack in
            unsafe stack.load(fromByteOffset: index * MemoryLayout<redisReadTask>.stride, as: redisReadTask.self).type
        }
    }

    private func checkBulkHeader(_ header: UnsafeBufferPointer<CChar>) throws(RedisError) {
        var length = 0
        for index in 0..<header.count {
            let digit = Int(unsafe header[index]) - 48
            // Anything but digits is left to hiredis, which refuses it when the line ends.
            guard (0...9).contains(digit) else { return }
            length = min(length * 10 + digit, 1 << 40)
            if length > limits.bulkBytes { throw RedisError(.replyTooLarge, "a bulk reply exceeds the limit") }
        }
        if header.count >= 32 { throw RedisError(.malformedReply, "a reply header has no end") }
    }

    /// hiredis' own constant text; the byte it may quote is escaped by hiredis.
    private var errorText: String {
        unsafe withUnsafeBytes(of: raw.pointee.errstr) { text in
            unsafe String(decoding: text.prefix { $0 != 0 }, as: UTF8.self)
        }
    }
}

/// What hiredis calls for each element. Filled once, never changed and never freed, so every thread may read it.
nonisolated(unsafe) private let objectFunctions: UnsafeMutablePointer<redisReplyObjectFunctions> = {
    let functions = UnsafeMutablePointer<redisReplyObjectFunctions>.allocate(capacity: 1)
    unsafe functions.initialize(
        to: redisReplyObjectFunctions(
            createString: createString, createArray: createArray, createInteger: createInteger, createNil: createNil,
            freeObject: freeObject))
    return unsafe functions
}()

/// What stands for an object at hiredis: it only tells it from NULL, since the sink holds the reply.
nonisolated(unsafe) private let placeholder = unsafe UnsafeMutableRawPointer(bitPattern: 8)

/// Objects are the sink's: there is nothing to free.
private func freeObject(_ object: UnsafeMutableRawPointer?) {}

/// Hands a piece to the sink of a task without counting references to it: the reader's owner keeps it. Returns what hiredis
/// wants to see.
@inline(__always)
private func offer(
    _ task: UnsafePointer<redisReadTask>?, _ piece: (ReplySink) -> Bool
) -> UnsafeMutableRawPointer? {
    guard let privdata = unsafe task?.pointee.privdata else { return nil }
    let isTaken = unsafe Unmanaged<ReplySink>.fromOpaque(privdata)._withUnsafeGuaranteedRef { piece($0) }
    return isTaken ? unsafe placeholder : nil
}

private func createString(
    _ task: UnsafePointer<redisReadTask>?, _ text: UnsafeMutablePointer<CChar>?, _ length: Int
) -> UnsafeMutableRawPointer? {
    guard let task = unsafe task, let text = unsafe text else { return nil }
    let bytes = unsafe UnsafeRawBufferPointer(start: text, count: length)
    switch unsafe task.pointee.type {
    case REDIS_REPLY_STRING:
        let isTerminated = unsafe text[length] == 13 && text[length + 1] == 10
        return unsafe offer(task) { isTerminated ? unsafe $0.addBulk(bytes) : $0.refuseMalformed() }
    case REDIS_REPLY_ERROR: return unsafe offer(task) { unsafe $0.addError(bytes) }
    default: return unsafe offer(task) { unsafe $0.addStatus(bytes) }
    }
}

private func createArray(_ task: UnsafePointer<redisReadTask>?, _ count: Int32) -> UnsafeMutableRawPointer? {
    unsafe offer(task) { $0.beginArray(count: Int(count)) }
}

private func createInteger(_ task: UnsafePointer<redisReadTask>?, _ number: Int64) -> UnsafeMutableRawPointer? {
    unsafe offer(task) { $0.addInteger(number) }
}

private func createNil(_ task: UnsafePointer<redisReadTask>?) -> UnsafeMutableRawPointer? {
    unsafe offer(task) { $0.addNull() }
}
