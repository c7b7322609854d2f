import Glibc
import Testing
import TidemarkTesting

/// A hundred thousand requests that nobody means; `ops/fuzz` does ten million.
@Suite(.enabled(if: Stage.isPossible && FuzzProgram.isPossible), .timeLimit(.minutes(5))) struct FuzzTests {
    @Test func noRequestBreaksAPromise() async throws {
        let tidemark = try #require(DaemonProcess.tidemark)
        let fuzz = try #require(FuzzProgram.path)
        let run = try DaemonProcess(
            FeastClient.root + "/ops/fuzz", ["--cases", "100000", "--sockets", "10000"],
            environment: ["TIDEMARK_BIN": tidemark, "TIDEMARK_FUZZ_BIN": fuzz])
        let ending = await run.ending(within: .seconds(280))
        for line in ending.output.split(separator: "\n") where !line.hasPrefix("  ") { print(line) }
        #expect(ending.code == 0, "\(ending.story)")
        #expect(ending.output.contains("every promise held"))
    }
}

/// The program that fuzzes.
enum FuzzProgram {
    /// It is built beside `tidemark`.
    static let path = DaemonProcess.tidemark.map { String($0.dropLast("tidemark".count)) + "fuzz" }

    static let isPossible: Bool = {
        let isHere = path.map { unsafe access($0, X_OK) == 0 } ?? false
        let hasPython = unsafe access("/usr/bin/python3", X_OK) == 0
        if !isHere || !hasPython { print("fuzz is not built or python3 is missing: the fuzz run is SKIPPED") }
        return isHere && hasPython
    }()
}
