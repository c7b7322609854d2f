import Glibc
import Testing
import TidemarkTesting

/// An unmodified Feast SDK, from its own package, against `tidemark serve`. `ops/feast/suite.py` has the tests one by one; it
/// passes against Feast's own server too, so that it asks for nothing that Feast doesn't do.
@Suite(.enabled(if: Stage.isPossible && FeastClient.isHere), .timeLimit(.minutes(5)))
struct FeastClientTests {
    @Test(arguments: [[], ["--feast-statuses"]])
    func sdkReadsAndWritesAndGetsItsOwnErrors(_ options: [String]) async throws {
        let tidemark = try #require(DaemonProcess.tidemark)
        let run = try DaemonProcess(
            FeastClient.root + "/ops/feast/compat", ["--server", "tidemark"] + options,
            environment: ["TIDEMARK_BIN": tidemark])
        let ending = await run.ending(within: .seconds(280))
        let lines = ending.output.split(separator: "\n")
        // What is left out says so, here too.
        for line in lines where line.hasPrefix("skipped") || line.hasPrefix("==") { print(line) }
        #expect(ending.code == 0, "\(ending.story)")
        #expect(lines.contains { $0.hasPrefix("ok") }, "no test ran: \(ending.story)")
    }
}

/// Where Feast is, if it is here.
enum FeastClient {
    /// The top of the repository: four names above this file.
    static let root = #filePath.split(separator: "/").dropLast(4).map { "/" + $0 }.joined()

    /// Whether `ops/lib/feast-env` has installed it.
    static let isHere: Bool = {
        let folder = unsafe getenv("TIDEMARK_FEAST_VENV").map { unsafe String(cString: $0) } ?? "\(root)/.build/feast"
        let isHere = unsafe access("\(folder)/bin/feast", X_OK) == 0
        if !isHere { print("there is no Feast in \(folder) (ops/lib/feast-env installs it): its tests are SKIPPED") }
        return isHere
    }()
}
