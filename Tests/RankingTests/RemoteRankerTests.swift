import FeatureModel
import Ranking
import Testing
import TidemarkTesting

/// A remote ranker before servers that do what servers do.
@Suite(.timeLimit(.minutes(2))) struct RemoteRankerTests {
    private static let columns = [RankerColumn(.recall("similar")), RankerColumn(.recall("popular"))]
    private static let whole =
        #"{"model_version":"3","outputs":[{"name":"p","shape":[2],"datatype":"FP32","data":[2,1]}]}"#

    private static func answer(_ status: String, _ body: String, length: Int? = nil) -> String {
        "HTTP/1.1 \(status)\r\ncontent-type: application/json\r\ncontent-length: \(length ?? body.utf8.count)\r\n\r\n\(body)"
    }

    /// What comes of a call to a server that says this, whatever it is asked, and then nothing more.
    private func call(_ words: String, hangsUp: Bool = false) async throws -> Result<[Float], RankerError> {
        let client = InferenceClient()
        let result = try await RedisPeer.with { connection in
            // Not before it is asked: the first byte of the request is no command.
            _ = connection.readCommand()
            _ = connection.write(words)
            if !hangsUp { connection.waitForHangUp() }
        } _: { peer in
            // The path of the socket, as a host.
            let socket = peer.url.dropFirst("redis+unix://".count).split(separator: "/").map { "%2F\($0)" }.joined()
            let ranker = RemoteRanker(
                name: "ranker", columns: Self.columns,
                config: RemoteModelConfig(
                    url: "http+unix://\(socket)", model: "m", version: nil, timeout: .milliseconds(300),
                    maximumInFlight: 1),
                client: client)
            var results: [Result<[Float], RankerError>] = []
            // A second call is refused if the first one holds its place.
            for _ in 0..<2 {
                do throws(RankerError) {
                    results.append(
                        .success(try await ranker.score(FeatureMatrix(rows: 2, columns: 2), deadline: .soon)))
                } catch {
                    results.append(.failure(error))
                }
            }
            return results
        }
        try await client.shutdown()
        for case .failure(let error) in result { #expect(error.code != .overloaded) }
        return try #require(result.first)
    }

    private func code(_ result: Result<[Float], RankerError>) -> RankerError.Code? {
        if case .failure(let error) = result { error.code } else { nil }
    }

    @Test func scoresAreTaken() async throws {
        let result = try await call(Self.answer("200 OK", Self.whole), hangsUp: true)
        #expect(try result.get() == [2, 1])
    }

    @Test(arguments: [
        ("404 Not Found", RankerError.Code.notFound), ("503 Service Unavailable", .unavailable),
        ("500 Internal Server Error", .unavailable), ("429 Too Many Requests", .unavailable),
        ("400 Bad Request", .mismatch), ("302 Found", .mismatch),
    ])
    func statusSaysWhatIsWrong(_ status: String, _ expected: RankerError.Code) async throws {
        #expect(code(try await call(Self.answer(status, "{}"), hangsUp: true)) == expected)
    }

    @Test func answerWithoutEndIsLate() async throws {
        // Nothing at all, half a head, and a head without its body.
        for words in ["", "HTTP/1.1 200", Self.answer("200 OK", #"{"outputs":"#, length: 500)] {
            #expect(code(try await call(words)) == .deadlineExceeded, "after \(words.count) bytes")
        }
    }

    @Test func brokenAnswerIsNoScore() async throws {
        let cut = try await call(Self.answer("200 OK", Self.whole, length: 500), hangsUp: true)
        #expect(code(cut) == .unavailable)
        #expect(code(try await call("SSH-2.0-OpenSSH\r\n", hangsUp: true)) == .unavailable)
        let long = String(repeating: " ", count: InferenceExchange.answerLimit(rows: 2) + 1)
        let tooLong = try await call(Self.answer("200 OK", long))
        #expect(code(tooLong) == .mismatch, "\(tooLong)")
        #expect(code(try await call(Self.answer("200 OK", #"{"outputs":[]}"#), hangsUp: true)) == .mismatch)
    }
}
