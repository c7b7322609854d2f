import Testing
import TidemarkTesting

/// Keys that are bytes are typed in Base64, as they are on the wire.
@Suite(.enabled(if: Stage.isPossible), .timeLimit(.minutes(2))) struct BytesKeyTests {
    @Test func aBytesKeyIsTypedInBase64AndNothingElse() async throws {
        try await Places.shared.with {
            try await Stage.with(.sqlite) { stage async throws in
                try await stage.source.commit([
                    "CREATE TABLE devices (id BLOB PRIMARY KEY, n INTEGER, seq INTEGER)",
                    "INSERT INTO devices VALUES (X'00FF2C', 7, 1)",
                ])
                try stage.define(
                    """
                    entities:
                      device: {keys: {id: bytes}}
                    views:
                      devices:
                        entity: device
                        source: {from: bank, query: "SELECT id, n, seq FROM devices", watermark: {column: seq}}
                        every: 1m
                        ttl: 7d
                        sweep: 1d
                        features: {n: int64}
                    """)
                try await stage.succeed("sync", "--once")
                let found = try await stage.run("lookup", "--features", "devices:n", "--entity", "id=AP8s", "--json")
                #expect(found.code == 0 && found.output.contains("\"values\":[7]"), "\(found.story)")
                let table = try await stage.run("lookup", "--features", "devices:n", "--entity", "id=AP8s,AAAA")
                #expect(table.output.contains("id=AP8s") && table.output.contains("id=AAAA"), "\(table.story)")
                for wrong in ["AP8s", "AP8=", "A*8", "ä"] {
                    let ending = try await stage.run("lookup", "--features", "devices:n", "--entity", "id=\(wrong)x")
                    #expect(ending.code == 2 && ending.errors.contains("in Base64 with padding"), "\(ending.story)")
                }
            }
        }
    }
}
