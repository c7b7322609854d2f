/// One event on its way to a log.
package struct QueuedEvent: Sendable {
    /// About how many bytes of memory it holds while it waits; ≥ 1.
    package let size: Int
    private let encode: @Sendable () -> [UInt8]

    /// `encode` makes the event's JSON, which must have no line feed in it. It is called off the request path, once a try.
    package init(size: Int, encode: @escaping @Sendable () -> [UInt8]) {
        self.size = max(1, size)
        self.encode = encode
    }

    /// An event that is JSON already, without a line feed in it.
    package init(_ json: [UInt8]) {
        self.init(size: json.count) { json }
    }

    /// Its JSON.
    var json: [UInt8] { encode() }
}
