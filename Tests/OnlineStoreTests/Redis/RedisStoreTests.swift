import FeatureModel
import OnlineStore
import RedisClient
import Testing
import TidemarkTesting

private let space = KeySpace(project: "shop", viewKey: "activity", version: 3)

@Suite(.enabled(if: RedisServer.isAvailable, "redis-server is not installed"), .timeLimit(.minutes(2)))
struct RedisStoreTests {
    private func withStore(
        _ options: RedisServer.Options = .init(), _ body: (RedisStore, RedisServer) async throws -> Void
    ) async throws {
        try await RedisServer.with(options) { server in
            let store = try await RedisStore(configuration: .init(project: "shop", topology: server.topology))
            try await body(store, server)
            await store.close()
        }
    }

    @Test func rowsComeBackInTheOrderAsked() async throws {
        try await withStore { store, _ in
            let lease = try #require(try await store.acquireLease("activity", owner: "a", duration: .seconds(60)))
            let session = try await store.openSession(lease)
            let rows = (0..<1_000).map { number in
                (
                    EntityKey(canonical: "\(number)"),
                    PackedRow(order: .init(epoch: 0, eventTime: nil, position: 7), body: Array("\(number)".utf8)).bytes
                )
            }
            let outcomes = try await session.write(RowBatch(rows), in: space, mode: .newest)
            #expect(outcomes == Array(repeating: .created, count: 1_000))
            let asked = [rows[999].0, EntityKey(canonical: "missing"), rows[0].0]
            #expect(try await store.read(asked, in: space) == [rows[999].1, nil, rows[0].1])
            try await session.advance(space, to: Marker(sequence: 1, bytes: [9]))
            #expect(try await session.marker(space) == Marker(sequence: 1, bytes: [9]))
        }
    }
}
