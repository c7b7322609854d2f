import GRPCCore

/// A transport that hides `grpc-timeout` from grpc-swift, which reads it before any code of ours runs: version 2.4.3 ends the
/// process for an amount below zero (a precondition in `Timeout.init(amount:unit:)`), which any peer may send, and ignores one
/// of eight digits. `CallTimeout` reads what was hidden.
///
/// It refuses messages that are too large by RESOURCE_EXHAUSTED. The transport below only resets their streams, which clients
/// take for a reason to try again; it should let twice as much pass, and guards memory beyond that.
struct ShieldedTransport<Wrapped: ServerTransport>: ServerTransport {
    typealias Bytes = Wrapped.Bytes

    let wrapped: Wrapped
    /// Bytes of a message.
    let messageBytes: Int

    func configure(context: GRPCServerContext) { wrapped.configure(context: context) }

    func listen(
        streamHandler: @escaping @Sendable @concurrent (RPCStream<Inbound, Outbound>, ServerContext) async -> Void
    ) async throws {
        try await wrapped.listen { [messageBytes] stream, context in
            let inbound = RPCAsyncSequence(
                wrapping: ShieldedParts<Bytes>(base: stream.inbound, messageBytes: messageBytes))
            await streamHandler(
                RPCStream(descriptor: stream.descriptor, inbound: inbound, outbound: stream.outbound), context)
        }
    }

    func beginGracefulShutdown() { wrapped.beginGracefulShutdown() }
}

/// The parts of a call, its timeout under another name.
private struct ShieldedParts<Bytes: GRPCContiguousBytes & Sendable>: AsyncSequence, Sendable {
    typealias Element = RPCRequestPart<Bytes>
    typealias Failure = any Error

    let base: RPCAsyncSequence<Element, any Error>
    let messageBytes: Int

    struct AsyncIterator: AsyncIteratorProtocol {
        var base: RPCAsyncSequence<Element, any Error>.AsyncIterator
        let messageBytes: Int

        mutating func next() async throws -> Element? { try await next(isolation: #isolation) }

        mutating func next(isolation actor: isolated (any Actor)?) async throws(any Error) -> Element? {
            let part = try await base.next(isolation: actor)
            switch part {
            case .metadata(let metadata): return .metadata(CallTimeout.hide(metadata))
            case .message(let bytes):
                let count = unsafe bytes.withUnsafeBytes { $0.count }
                guard count <= messageBytes else {
                    throw RPCError.tooLarge("a message of \(count) bytes; at most \(messageBytes) are taken")
                }
                return part
            case nil: return nil
            }
        }
    }

    func makeAsyncIterator() -> AsyncIterator {
        AsyncIterator(base: base.makeAsyncIterator(), messageBytes: messageBytes)
    }
}
