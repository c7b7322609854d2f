/// Finds whole replies in bytes fed in arbitrary slices. One per connection, used on its event loop alone.
///
/// After an error the reader is dead: the connection is closed, nothing is parsed any more.
struct ReplyReader: ~Copyable {
    static var sliceBytes: Int { RESPReader.sliceBytes }

    private var reader: RESPReader
    private let builder: ReplyBuilder

    init(limits: RedisReplyLimits) throws(RedisError) {
        builder = ReplyBuilder(limits: limits)
        reader = try RESPReader(builder, limits: limits)
    }

    /// Whether every byte fed was taken by a reply that came.
    var isDrained: Bool { reader.isDrained }

    /// Takes over bytes, at most `sliceBytes` of them; drain with `next` before feeding again.
    mutating func feed(_ bytes: UnsafeRawBufferPointer) throws(RedisError) {
        unsafe try reader.feed(bytes)
    }

    /// The next complete reply and the bytes of strings in it; `nil` when more must be fed first.
    mutating func next() throws(RedisError) -> (reply: RedisReply, byteCount: Int)? {
        guard try reader.advance() else { return nil }
        let byteCount = builder.byteCount
        return builder.take().map { ($0, byteCount) }
    }
}
