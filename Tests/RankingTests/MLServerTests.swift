import FeatureModel
import Glibc
import Ranking
import Testing
import TidemarkTesting

/// A real MLServer with the very file that a training writes, started by `ops/mlserver/serve`.
@Suite(.enabled(if: MLServer.isHere), .serialized, .timeLimit(.minutes(5))) struct MLServerTests {
    /// Scores are sums of the same leaves, added by two versions of XGBoost and printed as decimal text in between.
    static let tolerance: Float = 1e-5

    private func withServer(
        _ body: (_ server: MLServer, _ fixture: ModelFixture, _ client: InferenceClient) async throws -> Void
    ) async throws {
        let fixture = try ModelFixture()
        defer { fixture.remove() }
        let server = try await MLServer(fixture.folder)
        let client = InferenceClient()
        do {
            try await body(server, fixture, client)
        } catch {
            try await client.shutdown()
            await server.stop()
            throw error
        }
        try await client.shutdown()
        await server.stop()
    }

    @Test func itScoresAsThisProcessDoes() async throws {
        try await withServer { server, fixture, client async throws in
            let here = try XGBoostRanker(fixture.folder.read("1"))
            let there = server.ranker("ranker", client)
            var random = SeededGenerator(seed: 11)
            for rows in [1, 2, 100, 1_000] {
                var matrix = FeatureMatrix(rows: rows, columns: ModelFixture.columns.count)
                for place in matrix.values.indices {
                    switch Int.random(in: 0..<20, using: &random) {
                    case 0...2: matrix.values[place] = .nan
                    case 3: matrix.values[place] = Float.random(in: -1e30..<1e30, using: &random)
                    default: matrix.values[place] = Float.random(in: -0.2..<1.2, using: &random)
                    }
                }
                let expected = try await here.score(matrix, deadline: .soon)
                let scores = try await there.score(matrix, deadline: .soon)
                #expect(scores.count == rows)
                #expect(rows < 100 || Set(expected).count > 10, "the model tells nothing apart")
                for (row, pair) in zip(expected, scores).enumerated() {
                    let apart = abs(pair.0 - pair.1)
                    #expect(apart <= Self.tolerance * max(1, abs(pair.0)), "row \(row) of \(rows): \(pair)")
                }
            }
            #expect(there.version == "1")
            #expect(there.openScores == 0)
        }
    }

    @Test func whatItHasNotIsNotFoundAndWhatItHasIsReady() async throws {
        try await withServer { server, _, client async throws in
            #expect(try await server.status("/v2/health/live") == 200)
            #expect(try await server.status("/v2/health/ready") == 200)
            #expect(try await server.status("/v2/models/ranker/ready") == 200)
            #expect(try await server.status("/v2/models/other/ready") == 404)
            let matrix = FeatureMatrix(rows: 3, columns: ModelFixture.columns.count)
            for ranker in [server.ranker("other", client), server.ranker("ranker", version: "7", client)] {
                await #expect { _ = try await ranker.score(matrix, deadline: .soon) } throws: {
                    ($0 as? RankerError)?.code == .notFound
                }
            }
            // It says 500 to a matrix of another width. That is the model's affair, not the caller's: the breaker counts it.
            let wide = server.ranker("ranker", client, columns: ModelFixture.columns + ModelFixture.columns)
            await #expect {
                _ = try await wide.score(FeatureMatrix(rows: 3, columns: wide.columns.count), deadline: .soon)
            } throws: {
                ($0 as? RankerError)?.code == .unavailable
            }
        }
    }

    @Test func stoppedItIsLateAndKilledUnavailable() async throws {
        try await withServer { server, _, client async throws in
            let matrix = FeatureMatrix(rows: 3, columns: ModelFixture.columns.count)
            let ranker = server.ranker("ranker", client)
            _ = try await ranker.score(matrix, deadline: .soon)
            await server.process.pause()
            let brief = server.ranker("ranker", client, timeout: .milliseconds(200))
            await #expect { _ = try await brief.score(matrix, deadline: .soon) } throws: {
                ($0 as? RankerError)?.code == .deadlineExceeded
            }
            await #expect { _ = try await ranker.score(matrix, deadline: .now + .milliseconds(200)) } throws: {
                ($0 as? RankerError)?.code == .deadlineExceeded
            }
            server.process.resume()
            #expect(try await ranker.score(matrix, deadline: .soon).count == 3)
            server.process.kill()
            _ = await server.process.ending()
            await #expect { _ = try await ranker.score(matrix, deadline: .soon) } throws: {
                ($0 as? RankerError)?.code == .unavailable
            }
        }
    }
}

/// An MLServer of a test's own, on ports that nobody had.
struct MLServer: Sendable {
    let process: DaemonProcess
    private let port: Int

    /// The top of the repository: three names above this file.
    private static let root = #filePath.split(separator: "/").dropLast(3).map { "/" + $0 }.joined()

    /// Whether `ops/lib/mlserver-env` has installed it.
    static let isHere: Bool = {
        let given = unsafe getenv("TIDEMARK_MLSERVER_VENV").map { unsafe String(cString: $0) }
        let folder = given ?? "\(root)/.build/mlserver"
        let isHere = unsafe access("\(folder)/bin/mlserver", X_OK) == 0
        if !isHere {
            print("there is no MLServer in \(folder) (ops/lib/mlserver-env installs it): its tests are SKIPPED")
        }
        return isHere
    }()

    /// Starts one and waits until it has loaded the model.
    init(_ folder: ModelFolder) async throws {
        // It takes three ports in a row.
        var port = try freePort()
        while port > 65_000 { port = try freePort() }
        self.port = port
        process = try DaemonProcess(
            "\(Self.root)/ops/mlserver/serve", [folder.path, "--name", "ranker", "--port", "\(port)"])
        for line in ["Loaded model 'ranker' successfully", "Uvicorn running on http://127.0.0.1:\(port) "] {
            guard await process.hasSaid(line) else {
                let ending = await process.ending()
                throw ClientError(ending.story)
            }
        }
    }

    func ranker(
        _ model: String, version: String? = nil, _ client: InferenceClient,
        columns: [RankerColumn] = ModelFixture.columns, timeout: Duration = .seconds(20)
    ) -> RemoteRanker {
        RemoteRanker(
            name: "ranker", columns: columns,
            config: RemoteModelConfig(
                url: "http://127.0.0.1:\(port)", model: model, version: version, timeout: timeout,
                maximumInFlight: 8),
            client: client)
    }

    /// The status of an answer to a GET.
    func status(_ path: String) async throws -> Int {
        let client = try RawClient(port: port)
        defer { client.close() }
        try await client.send("GET \(path) HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        return try await client.receive().status
    }

    /// Whether an MLServer of its own gives the probes of a trained model the scores that they have here.
    static func expectSameScores(_ folder: ModelFolder, _ here: XGBoostRanker) async throws {
        try folder.setCurrent(here.version)
        let server = try await MLServer(folder)
        let client = InferenceClient()
        let there = server.ranker("ranker", client, columns: here.columns)
        let scores = try? await there.score(here.manifest.probes, deadline: .soon)
        try await client.shutdown()
        await server.stop()
        #expect(scores?.count == here.manifest.probeScores.count)
        for (one, other) in zip(scores ?? [], here.manifest.probeScores) {
            #expect(abs(one - other) <= MLServerTests.tolerance * max(1, abs(other)))
        }
    }

    func stop() async {
        process.kill()
        _ = await process.ending()
    }
}
