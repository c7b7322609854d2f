import Glibc
import Synchronization
import Testing
import TidemarkTesting

/// Engine and store against a model: 10,000 random schedules of commits, crashes, failures and readers.
///
/// `TIDEMARK_MODEL_SEED=N` replays one seed and prints its steps; `TIDEMARK_MODEL_SCHEDULES=N` runs another number.
@Suite(.timeLimit(.minutes(20))) struct ScheduleTests {
    private static func number(_ name: String) -> Int? {
        guard let raw = unsafe getenv(name) else { return nil }
        return unsafe Int(String(cString: raw))
    }

    private static let lanes = 4

    @Test(arguments: 0..<lanes) func storeEqualsSourceAfterAnySchedule(lane: Int) async throws {
        if let seed = Self.number("TIDEMARK_MODEL_SEED") {
            if lane == 0 { try await Self.run(UInt64(seed), verbose: true) }
            return
        }
        let schedules = Self.number("TIDEMARK_MODEL_SCHEDULES") ?? 10_000
        for seed in stride(from: lane, to: schedules, by: Self.lanes) {
            try await Self.run(UInt64(seed), verbose: false)
        }
    }

    private static func run(_ seed: UInt64, verbose: Bool) async throws {
        let thread = SingleThread()
        try await withTaskExecutorPreference(thread) {
            let schedule = Schedule(seed: seed)
            do {
                try await schedule.run()
                if verbose { print(schedule.history) }
            } catch {
                print("schedule \(seed) failed: \(error)\n\(schedule.history)\nreplay: TIDEMARK_MODEL_SEED=\(seed)")
                throw error
            }
        }
    }
}
