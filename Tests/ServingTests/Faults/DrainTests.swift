import Dispatch
import Serving
import Synchronization
import Testing
import TidemarkTesting

/// The end of the daemon under load.
@Suite(.enabled(if: DaemonStage.isPossible), .timeLimit(.minutes(2))) struct DrainTests {
    private final class Count: Sendable {
        private let answers = Atomic(0)

        var value: Int { answers.load(ordering: .relaxed) }

        func add() -> Int { answers.add(1, ordering: .relaxed).newValue }
    }

    /// Waits on a thread that may: the last tries are left without an answer for a second.
    private static func connect(_ stage: DaemonStage) async -> RawClient? {
        await withCheckedContinuation { continuation in
            DispatchQueue.global().async { continuation.resume(returning: try? stage.connect()) }
        }
    }

    /// Clients that connect again and again, each time as the daemon tells them to, until nobody takes them.
    @Test func whatWasSentBeforeTheEndIsAnswered() async throws {
        var options = DaemonStage.Options()
        options.settings.unready = .milliseconds(150)
        let answered = Count()
        try await DaemonStage.with(options) { stage in
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                for number in 0..<8 {
                    tasks.addTask {
                        var user = number
                        // Nobody listens any more: the end.
                        while let client = await Self.connect(stage) {
                            var isKept = true
                            while isKept {
                                let answer = try await client.ask(
                                    "POST", "/v1/lookup",
                                    "{\"features\":[\"activity:activity_count\"],\"entities\":[{\"user_id\":\(user)}]}")
                                #expect(answer.status == 200, "\(answer)")
                                #expect(answer.body.contains("[\(ConnectionTests.count(user))]"), "\(answer)")
                                isKept = answer.headers["connection"] != "close"
                                user = (user + 8) % DaemonStage.users
                                if answered.add() == 200 { await stage.stop() }
                            }
                            client.close()
                        }
                    }
                }
                try await tasks.waitForAll()
            }
        }
        #expect(answered.value > 200)
    }

    @Test func anIdleConnectionIsClosedInTheEnd() async throws {
        try await DaemonStage.with { stage in
            let client = try stage.connect()
            #expect(try await client.ask("GET", "/livez").status == 200)
            await stage.stop()
            #expect(try await client.receiveEnd().isEmpty)
        }
    }
}
