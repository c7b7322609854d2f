internal import FeatureModel
internal import RedisClient
internal import RowCodec
internal import Synchronization

/// The writes of one lease holder over a connection of its own. When that ends, every call throws `sessionLost`.
///
/// A session that ends with every answer in gives its connection back, for the next pass over some view.
final class RedisSession: StoreSession {
    private struct State {
        /// `nil` once the session is closed.
        var connection: RedisConnection?
        var callsUnderWay = 0
        /// A call failed: answers may still be on their way.
        var isFlawed = false
    }

    let lease: Lease
    private let client: RedisClient
    private let keys: ControlKeys
    private let configuration: RedisStore.Configuration
    private let state: Mutex<State>

    init(
        lease: Lease, connection: RedisConnection, of client: RedisClient, keys: ControlKeys,
        configuration: RedisStore.Configuration
    ) {
        self.lease = lease
        self.client = client
        state = Mutex(State(connection: connection))
        self.keys = keys
        self.configuration = configuration
    }

    /// Splits the batch into calls of the script and keeps several pipelines of them on their way.
    ///
    /// When it throws, any part of the batch may have been written; writing all of it again is harmless.
    func write(
        _ batch: RowBatch, in space: KeySpace, mode: WriteMode
    ) async throws(StoreError) -> [WriteOutcome] {
        try check(batch)
        return try await withConnection { (connection) throws(StoreError) in
            try await write(batch, in: space, mode: mode, over: connection)
        }
    }

    private func write(
        _ batch: RowBatch, in space: KeySpace, mode: WriteMode, over connection: RedisConnection
    ) async throws(StoreError) -> [WriteOutcome] {
        var outcomes: [WriteOutcome] = []
        outcomes.reserveCapacity(batch.count)
        var onTheirWay: [(exchange: RedisExchange, rows: Range<Int>)] = []
        let deadline = ContinuousClock.now + configuration.writeTimeout
        let encoder = RowCallEncoder(batch: batch, space: space, mode: mode, lease: lease, tokens: keys.tokens)
        var next = 0
        var oldest = 0
        while outcomes.count < batch.count {
            while next < batch.count, onTheirWay.count - oldest < max(1, configuration.pipelinesInFlight) {
                let (pipeline, rows) = encoder.pipeline(from: next, bytes: configuration.pipelineBytes)
                onTheirWay.append((connection.submit(pipeline, deadline: deadline), rows))
                next = rows.upperBound
            }
            let (exchange, rows) = onTheirWay[oldest]
            oldest += 1
            outcomes += try await self.outcomes(exchange, rows)
        }
        return outcomes
    }

    func marker(_ space: KeySpace) async throws(StoreError) -> Marker? {
        var pipeline = RedisPipeline()
        let key = ControlKeys.marker(space)
        pipeline.append("HMGET", .text(key), .text("sequence"), .text("bytes"))
        let values = try await call(pipeline) { replies throws(RedisError) in
            try RedisStore.values(replies[0], count: 2)
        }
        guard let number = values[0], let bytes = values[1] else { return nil }
        guard let sequence = Int64(String(decoding: number, as: UTF8.self)) else {
            throw StoreError(.corrupt, "the sequence of a marker in Redis is not a number")
        }
        return Marker(sequence: sequence, bytes: bytes)
    }

    func advance(_ space: KeySpace, to marker: Marker) async throws(StoreError) {
        let (expected, overflows) = marker.sequence.subtractingReportingOverflow(1)
        guard !overflows else { throw StoreError(.markerMoved, "the marker's sequence is out of range") }
        var pipeline = RedisPipeline()
        let key = ControlKeys.marker(space)
        pipeline.append(
            ControlScripts.advance, keys: [keys.tokens, key],
            [
                .text(lease.name), .integer(lease.token), .integer(expected), .integer(marker.sequence),
                .bytes(marker.bytes),
            ])
        switch try await call(pipeline, decode: { replies throws(RedisError) in try replies[0].integer() }) {
        case 1: return
        case 0: throw Self.fenced
        default: throw StoreError(.markerMoved, "the marker is not where this writer left it")
        }
    }

    func close() async {
        let (connection, isClean) = state.withLock { state in
            defer { state.connection = nil }
            return (state.connection, state.callsUnderWay == 0 && !state.isFlawed)
        }
        guard let connection else { return }
        if isClean { await client.giveBack(connection) } else { await connection.close() }
    }

    /// Runs one call over the connection, and notes whether it went well.
    private func withConnection<Answer>(
        _ body: (RedisConnection) async throws(StoreError) -> Answer
    ) async throws(StoreError) -> Answer {
        let present = state.withLock { state in
            if state.connection != nil { state.callsUnderWay += 1 }
            return state.connection
        }
        guard let present else { throw StoreError(.sessionLost, "the session was closed") }
        do throws(StoreError) {
            let answer = try await body(present)
            state.withLock { $0.callsUnderWay -= 1 }
            return answer
        } catch {
            state.withLock { state in
                state.callsUnderWay -= 1
                state.isFlawed = true
            }
            throw error
        }
    }

    private static let fenced = StoreError(.fenced, "a newer lease exists, or the store lost this one")

    /// Refuses rows that the script could not read. It is our own mistake if there are any, but not one to spread.
    private func check(_ batch: RowBatch) throws(StoreError) {
        for index in 0..<batch.count {
            guard batch.ttlMilliseconds[index] > 0 else {
                throw StoreError(.corrupt, "a row to write has no TTL")
            }
            do throws(RowCodecError) {
                _ = try RowHeader(batch.bytes.span.extracting(batch.range(index)))
            } catch {
                if error.code == .tooLarge { throw StoreError(.tooLarge, "a row to write is too large") }
                throw StoreError(.corrupt, "a row to write is not a packed row", detail: error.description)
            }
        }
    }

    private func outcomes(_ exchange: RedisExchange, _ rows: Range<Int>) async throws(StoreError) -> [WriteOutcome] {
        let outcomes: [WriteOutcome]?
        do throws(RedisError) {
            outcomes = try await exchange.replies { replies throws(RedisError) in
                try Self.decode(replies, count: rows.count)
            }
        } catch {
            throw StoreError(inSession: error)
        }
        guard let outcomes else { throw Self.fenced }
        return outcomes
    }

    /// One outcome a row; `nil` when fenced. The first error reply is thrown.
    private static func decode(_ replies: [RedisReply], count: Int) throws(RedisError) -> [WriteOutcome]? {
        var outcomes: [WriteOutcome] = []
        outcomes.reserveCapacity(count)
        for reply in replies {
            if case .error(let error) = reply, error.prefix == RowScript.fencedPrefix { return nil }
            for digit in try reply.bytes() ?? [] {
                guard let outcome = WriteOutcome(rawValue: digit &- 48) else {
                    throw RedisError(.malformedReply, "the script answered an unknown outcome")
                }
                outcomes.append(outcome)
            }
        }
        guard outcomes.count == count else {
            throw RedisError(.malformedReply, "the script answered for another number of rows")
        }
        return outcomes
    }

    private func call<Answer>(
        _ pipeline: RedisPipeline, decode: ([RedisReply]) throws(RedisError) -> Answer
    ) async throws(StoreError) -> Answer {
        try await withConnection { (connection) throws(StoreError) in
            do throws(RedisError) {
                let deadline = ContinuousClock.now + configuration.writeTimeout
                return try await connection.send(pipeline, deadline: deadline, decode: decode)
            } catch {
                throw StoreError(inSession: error)
            }
        }
    }
}

/// Encodes the rows of a batch as calls of the row script.
private struct RowCallEncoder {
    let batch: RowBatch
    let prefix: String
    let suffix: String
    let modeText: String
    let lease: Lease
    /// The token hash, for a mode that is fenced.
    let fence: String?

    init(batch: RowBatch, space: KeySpace, mode: WriteMode, lease: Lease, tokens: String) {
        self.batch = batch
        prefix = space.prefix
        suffix = space.suffix
        modeText = RowScript.spelling(mode)
        self.lease = lease
        switch mode {
        case .newest, .repair: fence = tokens
        case .compare, .push: fence = nil
        }
    }

    /// Calls for the rows from `start` on until there are about `bytes` of them.
    func pipeline(from start: Int, bytes: Int) -> (RedisPipeline, Range<Int>) {
        var pipeline = RedisPipeline()
        pipeline.reserve(bytes: bytes + bytes / 8)
        var row = start
        while row < batch.count, pipeline.byteCount < bytes {
            row = encodeCall(from: row, bytes: bytes, into: &pipeline)
        }
        return (pipeline, start..<row)
    }

    /// One call; returns the row behind its last. It has as many rows as allowed, and one at least.
    private func encodeCall(from start: Int, bytes: Int, into pipeline: inout RedisPipeline) -> Int {
        var end = start + 1
        let last = min(batch.count, start + RowScript.rowsPerCall)
        let begin = batch.range(start).lowerBound
        while end < last, batch.ends[end] - begin <= bytes { end += 1 }
        let rows = start..<end
        pipeline.begin(
            RowScript.script, keyCount: rows.count + (fence == nil ? 0 : 1), argumentCount: 3 + 2 * rows.count)
        for row in rows { pipeline.add(prefix, batch.keys[row].text, suffix) }
        if let fence { pipeline.add(fence) }
        pipeline.add(modeText)
        pipeline.add(lease.name)
        pipeline.add(lease.token)
        for row in rows {
            pipeline.add(batch.row(row))
            pipeline.add(batch.ttlMilliseconds[row])
        }
        return end
    }
}
