import AsyncHTTPClient
package import FeatureModel
import NIOCore
import NIOHTTP1
import Synchronization

/// The connections to other servers that score. Whoever makes it shuts it down.
package final class InferenceClient: Sendable {
    let http: HTTPClient

    package init() {
        var configuration = HTTPClient.Configuration()
        configuration.redirectConfiguration = .disallow
        configuration.timeout.connect = .seconds(2)
        configuration.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = 64
        http = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
    }

    /// Closes the connections. Calls under way fail.
    package func shutdown() async throws {
        try await http.shutdown()
    }
}

/// A model that another server scores with: Open Inference Protocol v2 over HTTP, as MLServer, Triton and KServe speak it.
///
/// Each call ends by its deadline and by the model's timeout, whichever is sooner, and the server is told how long that is.
/// No call is tried again: whoever asks has a fallback, and a breaker.
package final class RemoteRanker: Ranker {
    package let name: String
    package let columns: [RankerColumn]
    private let config: RemoteModelConfig
    private let client: HTTPClient
    private let url: String
    private let inFlight = Atomic<Int>(0)
    private let requests = Atomic<UInt64>(0)
    private let openScoreCount = Atomic<Int>(0)
    private let seenVersion: Mutex<String?>

    /// The client is the caller's, who shuts it down.
    package init(name: String, columns: [RankerColumn], config: RemoteModelConfig, client: InferenceClient) {
        self.name = name
        self.columns = columns
        self.config = config
        self.client = client.http
        let version = config.version.map { "/versions/\($0)" } ?? ""
        url = "\(config.url)/v2/models/\(config.model)\(version)/infer"
        seenVersion = Mutex(config.version)
    }

    /// The one of the config, else the one that the last answer named, else `unknown`.
    package var version: String { seenVersion.withLock { $0 } ?? "unknown" }

    /// How many scores the model left open.
    package var openScores: Int { openScoreCount.load(ordering: .relaxed) }

    package func score(
        _ matrix: FeatureMatrix, deadline: ContinuousClock.Instant
    ) async throws(RankerError) -> [Float] {
        try check(matrix)
        guard matrix.rows <= XGBoostRanker.maximumRows else {
            throw RankerError(
                .tooLarge, "too many rows", detail: "\(matrix.rows), \(XGBoostRanker.maximumRows) at most")
        }
        guard matrix.rows > 0 else { return [] }
        let left = min(config.timeout, ContinuousClock.now.duration(to: deadline))
        guard left > .zero else { throw RankerError(.deadlineExceeded, "no time is left to score") }
        guard inFlight.add(1, ordering: .relaxed).newValue <= config.maximumInFlight else {
            inFlight.subtract(1, ordering: .relaxed)
            throw RankerError(.overloaded, "too many calls of the model are under way")
        }
        defer { inFlight.subtract(1, ordering: .relaxed) }
        let body = try await exchange(matrix, left)
        var (scores, version) = try InferenceExchange.scores(body, rows: matrix.rows)
        if let version, config.version == nil { seenVersion.withLock { $0 = String(version.prefix(64)) } }
        let open = FiniteScores.lowerOpen(&scores)
        if open > 0 { openScoreCount.add(open, ordering: .relaxed) }
        return scores
    }

    private func exchange(_ matrix: FeatureMatrix, _ left: Duration) async throws(RankerError) -> [UInt8] {
        let id = requests.add(1, ordering: .relaxed).newValue
        var request = HTTPClientRequest(url: url)
        request.method = .POST
        request.headers.add(name: "content-type", value: "application/json")
        let nanoseconds = left.components.seconds * 1_000_000_000 + left.components.attoseconds / 1_000_000_000
        request.headers.add(name: "x-request-timeout-ms", value: "\(max(1, nanoseconds / 1_000_000))")
        request.body = .bytes(ByteBuffer(string: InferenceExchange.request(matrix, id: "\(id)")))
        do {
            let deadline = NIODeadline.now() + .nanoseconds(nanoseconds)
            let limit = InferenceExchange.answerLimit(rows: matrix.rows)
            let (status, body) = try await Self.within(left) { [client, request] in
                let response = try await client.execute(request, deadline: deadline)
                return (response.status, try await response.body.collect(upTo: limit))
            }
            try Self.check(status, body)
            return Array(body.readableBytesView)
        } catch let error as RankerError {
            throw error
        } catch let error as HTTPClientError where Self.isLate(error) {
            throw RankerError(.deadlineExceeded, "the model's server was too slow")
        } catch is NIOTooManyBytesError {
            throw RankerError(.mismatch, "the answer is too long")
        } catch is CancellationError {
            throw RankerError(.deadlineExceeded, "the call was cancelled")
        } catch {
            throw RankerError(
                .unavailable, "the model's server can't be reached", detail: String("\(error)".prefix(200)))
        }
    }

    /// The client's own deadline ends with the head of an answer; this one holds for the body too.
    private static func within<Value: Sendable>(
        _ time: Duration, _ work: @escaping @Sendable () async throws -> Value
    ) async throws -> Value {
        try await withThrowingTaskGroup(of: Value?.self) { group in
            group.addTask { try await work() }
            group.addTask {
                try await Task.sleep(for: time)
                return nil
            }
            defer { group.cancelAll() }
            guard let value = try await group.next() ?? nil else {
                throw RankerError(.deadlineExceeded, "the model's server was too slow")
            }
            return value
        }
    }

    private static func isLate(_ error: HTTPClientError) -> Bool {
        error == .deadlineExceeded || error == .connectTimeout || error == .readTimeout
            || error == .getConnectionFromPoolTimeout || error == .cancelled
    }

    private static func check(_ status: HTTPResponseStatus, _ body: ByteBuffer) throws(RankerError) {
        guard status != .ok else { return }
        let text = String(buffer: body).prefix(200)
        switch status.code {
        case 404: throw RankerError(.notFound, "the server has no such model", detail: String(text))
        case 408, 429, 500...:
            throw RankerError(.unavailable, "the model's server failed", detail: "\(status.code) \(text)")
        default: throw RankerError(.mismatch, "the server refuses the request", detail: "\(status.code) \(text)")
        }
    }
}
