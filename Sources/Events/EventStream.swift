package import RedisClient

/// A Redis stream as a sink: an entry an event, with the event's JSON in the field `event`. The stream is kept at about
/// `maximumLength` entries, the oldest leave.
///
/// A call that has no answer in time is sent again, so that an event can be there twice, byte for byte the same.
package struct EventStream: EventSink {
    private let client: RedisClient
    private let key: String
    private let maximumLength: Int
    private let timeout: Duration

    /// `client` is closed with it. `timeout` is for one batch, connecting included.
    package init(_ client: RedisClient, key: String, maximumLength: Int, timeout: Duration) {
        self.client = client
        self.key = key
        self.maximumLength = maximumLength
        self.timeout = timeout
    }

    package var place: String { "stream \(key) at \(client.endpoint)" }

    package func write(_ events: [QueuedEvent]) async throws(EventSinkFailure) {
        var pipeline = RedisPipeline()
        for event in events {
            pipeline.append(
                "XADD", .text(key), .text("MAXLEN"), .text("~"), .integer(Int64(maximumLength)), .text("*"),
                .text("event"), .bytes(event.json))
        }
        let replies: [RedisReply]
        do throws(RedisError) {
            replies = try await client.send(pipeline, deadline: .now + timeout, idempotent: false) { $0 }
        } catch {
            throw EventSinkFailure("\(error)", unwritten: Array(events.indices))
        }
        var unwritten: [Int] = []
        var reason: RedisErrorReply?
        for (index, reply) in replies.enumerated() {
            guard case .error(let error) = reply else { continue }
            unwritten.append(index)
            reason = error
        }
        if let reason { throw EventSinkFailure("the server refuses: \(reason.text)", unwritten: unwritten) }
    }

    package func settle() async throws(EventSinkFailure) {}

    package func close() async { await client.close() }
}
