/// Where events go for good. One caller at a time.
package protocol EventSink: Sendable {
    /// Where, for people; without secrets.
    var place: String { get }
    /// Writes events, and returns when their place has them.
    func write(_ events: [QueuedEvent]) async throws(EventSinkFailure)
    /// Called now and then while nothing is to be written.
    func settle() async throws(EventSinkFailure)
    /// Nothing comes any more. What was written is as safe as it gets when this returns.
    func close() async
}

/// Why a sink did not take events.
package struct EventSinkFailure: Error, Sendable, CustomStringConvertible {
    package let description: String
    /// Of the events of the call, in their order, the places of those that were not taken.
    package let unwritten: [Int]

    package init(_ description: String, unwritten: [Int] = []) {
        self.description = description
        self.unwritten = unwritten
    }
}
