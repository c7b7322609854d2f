/// The messages of a client that takes its time, and says when they are asked for.
struct SlowMessages: AsyncSequence, Sendable {
    let messages: AsyncThrowingStream<Int, any Error>
    let asked: AsyncStream<Void>.Continuation

    struct Iterator: AsyncIteratorProtocol {
        var base: AsyncThrowingStream<Int, any Error>.Iterator
        let asked: AsyncStream<Void>.Continuation

        mutating func next() async throws -> Int? { try await next(isolation: #isolation) }

        mutating func next(isolation actor: isolated (any Actor)?) async throws(any Error) -> Int? {
            asked.yield()
            return try await base.next(isolation: actor)
        }
    }

    func makeAsyncIterator() -> Iterator { Iterator(base: messages.makeAsyncIterator(), asked: asked) }
}
