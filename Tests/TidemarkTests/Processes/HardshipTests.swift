import Foundation
import Testing
import TidemarkTesting

/// `tidemark serve` without descriptors, and without the processor.
@Suite(.enabled(if: Stage.isPossible), .timeLimit(.minutes(3))) struct HardshipTests {
    /// What `tidemark_accept_failures_total` says.
    private static func failures(_ client: RawClient) async throws -> Int {
        let page = try await client.ask("GET", "/metrics").body
        let line = try #require(page.split(separator: "\n").first { $0.hasPrefix("tidemark_accept_failures_total ") })
        return try #require(line.split(separator: " ").last.flatMap { Int($0) })
    }

    /// Sets how many descriptors a process may have; its own ceiling stays.
    private static func limitDescriptors(of process: Int32, to count: String) async throws {
        let ending = try await DaemonProcess("/usr/bin/prlimit", ["--pid=\(process)", "--nofile=\(count):"]).ending()
        #expect(ending.code == 0, "\(ending.story)")
    }

    @Test func aListenerWithoutDescriptorsRestsAndComesBack() async throws {
        try await Places.shared.with {
            try await Stage.with(.sqlite) { stage in
                let (daemon, port) = try await ServeTests.serve(stage)
                let client = try RawClient(port: port)
                #expect(try await client.ask("GET", "/livez").status == 200)
                let inUse = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(daemon.id)/fd")
                let highest = try #require(inUse.compactMap { Int($0) }.max())
                try await Self.limitDescriptors(of: daemon.id, to: "\(highest + 2)")
                let began = ContinuousClock.now
                // The kernel takes them all; the daemon has no places for so many.
                let crowd = try (0..<(highest + 10)).map { _ in try RawClient(port: port) }
                var failures = try await Self.failures(client)
                while failures < 3 { failures = try await Self.failures(client) }
                // Ten looks a second at most, however long this took: who looks again at once has thousands.
                let tenths = (ContinuousClock.now - began) / .milliseconds(100)
                #expect(Double(failures) <= tenths + 2, "\(failures) in \(tenths)")
                try await Self.limitDescriptors(of: daemon.id, to: "\(3 * highest + 100)")
                #expect(try await crowd[crowd.count - 1].ask("GET", "/livez").status == 200)
                daemon.terminate()
                #expect(await daemon.ending(within: .seconds(20)).code == 0)
            }
        }
    }

    @Test func whatLayUnreadForLongerThanItsTimeIsRefused() async throws {
        try await Places.shared.with {
            try await Stage.with(.sqlite) { stage in
                let (daemon, port) = try await ServeTests.serve(stage)
                let client = try RawClient(port: port)
                #expect(try await client.ask("POST", "/v1/lookup", "{}").status == 400)
                await daemon.pause()
                try await client.send(RawClient.request("POST", "/v1/lookup", "{}"))
                // The fault itself: ten times as long as a lookup may take.
                try await Task.sleep(for: .milliseconds(500))
                daemon.resume()
                let late = try await client.receive()
                #expect(late.status == 503 && late.headers["retry-after"] != nil, "\(late)")
                // The next one didn't wait.
                #expect(try await client.ask("POST", "/v1/lookup", "{}").status == 400)
                daemon.terminate()
                #expect(await daemon.ending(within: .seconds(20)).code == 0)
            }
        }
    }
}
