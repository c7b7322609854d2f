import Testing
import TidemarkTesting

/// What else is held against Feast itself: its gRPC stubs, and the rows that it materialized.
@Suite(.enabled(if: Stage.isPossible && FeastClient.isHere), .timeLimit(.minutes(8)))
struct FeastToolTests {
    /// Fewer lookups than the script's own 10,000, which `RetailLookupTests` and a run of the script do.
    @Test func stubsOfFeastsOwnWheelReadOverGRPC() async throws {
        try await run("ops/feast/grpc-compat", ["--lookups", "1000"])
    }

    @Test func whatFeastMaterializedIsServedAndComparedWithFeast() async throws {
        try await run("ops/feast/compare-test", [])
    }

    private func run(_ script: String, _ arguments: [String]) async throws {
        let tidemark = try #require(DaemonProcess.tidemark)
        let process = try DaemonProcess(
            "\(FeastClient.root)/\(script)", arguments, environment: ["TIDEMARK_BIN": tidemark])
        let ending = await process.ending(within: .seconds(450))
        let lines = ending.output.split(separator: "\n")
        for line in lines where line.hasPrefix("skipped") || line.hasPrefix("==") || line.hasPrefix("    ") {
            print(line)
        }
        #expect(ending.code == 0, "\(ending.story)")
        #expect(lines.contains { $0.hasPrefix("ok") }, "no test ran: \(ending.story)")
    }
}
